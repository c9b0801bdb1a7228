#include "plugins/examples/spread/spread.h"

#include <cstdint>

namespace portolan::plugin {

grpc::ServerUnaryReactor* SpreadPicker::Pick(grpc::CallbackServerContext* context,
                                             const v1alpha1::PickRequest* request,
                                             v1alpha1::PickResponse* response) {
  if (request->free_size() == 0) {
    response->set_message("nothing is free");
  } else {
    uint32_t hash = 2166136261;  // FNV-1a
    for (unsigned char c : request->service()) hash = (hash ^ c) * 16777619;
    const int choice = static_cast<int>(hash % static_cast<uint32_t>(request->free_size()));
    response->set_address(request->free(choice).first());
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace portolan::plugin
