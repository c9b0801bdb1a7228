#include "services/bgp-exporter/shell/control_rpc.h"

#include <memory>
#include <utility>

#include "services/base/wire/unary.h"

namespace portolan::bgp {
namespace {

constexpr char kAway[] = "bgp-exporter does not run in this process, or is stopping";

}  // namespace

void ControlRpc::Serve(Handler handler) {
  absl::MutexLock lock(&mutex_);
  handler_ = std::move(handler);
}

void ControlRpc::Leave() {
  absl::MutexLock lock(&mutex_);
  handler_ = nullptr;
}

template <typename Response>
grpc::ServerUnaryReactor* ControlRpc::Pass(Order order, Response* response) {
  return wire::Begin(response, kAway, [&](std::shared_ptr<wire::Reply<Response>> reply) {
    absl::ReaderMutexLock lock(&mutex_);
    if (handler_ == nullptr) return;
    handler_(std::move(order),
             [reply = std::move(reply)](const absl::Status& status, std::string message) {
               Response answer;
               answer.set_message(std::move(message));
               reply->Send(status, std::move(answer));
             });
  });
}

grpc::ServerUnaryReactor* ControlRpc::ResetPeer(grpc::CallbackServerContext*,
                                                const v1alpha1::ResetPeerRequest* request,
                                                v1alpha1::ResetPeerResponse* response) {
  return Pass(
      ResetRequested{.peer = request->peer(), .soft = request->soft(), .text = request->message()},
      response);
}

grpc::ServerUnaryReactor* ControlRpc::Drain(grpc::CallbackServerContext*,
                                            const v1alpha1::DrainRequest* request,
                                            v1alpha1::DrainResponse* response) {
  return Pass(DrainRequested{.hold_time = absl::Seconds(request->hold_time_s())}, response);
}

grpc::ServerUnaryReactor* ControlRpc::Undrain(grpc::CallbackServerContext*,
                                              const v1alpha1::UndrainRequest*,
                                              v1alpha1::UndrainResponse* response) {
  return Pass(UndrainRequested(), response);
}

}  // namespace portolan::bgp
