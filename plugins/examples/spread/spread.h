// Example of an address picker in another process: spreads Services over the free ranges.
//
// The answer is the first address of one of the free ranges that the question lists; which one, the
// Service's name decides. Stateless; thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include "api/proto/plugin/v1alpha1/address_picker.grpc.pb.h"

namespace portolan::plugin {

class SpreadPicker : public v1alpha1::AddressPicker::CallbackService {
 public:
  grpc::ServerUnaryReactor* Pick(grpc::CallbackServerContext* context,
                                 const v1alpha1::PickRequest* request,
                                 v1alpha1::PickResponse* response) override;
};

}  // namespace portolan::plugin
