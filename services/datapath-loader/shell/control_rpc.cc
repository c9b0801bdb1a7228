#include "services/datapath-loader/shell/control_rpc.h"

#include <utility>

namespace portolan::datapath {
namespace {

constexpr char kAway[] = "datapath-loader does not run in this process, or is stopping";

}  // namespace

void ControlRpc::Serve(ControlHandler* handler) {
  absl::MutexLock lock(&mutex_);
  handler_ = handler;
}

void ControlRpc::Leave() {
  absl::MutexLock lock(&mutex_);
  handler_ = nullptr;
}

void ControlRpc::Refresh() {
  absl::ReaderMutexLock lock(&mutex_);
  if (handler_ != nullptr) handler_->Refresh();
}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* ControlRpc::Pass(const Request* request, Response* response) {
  return wire::Begin(response, kAway, [&](ReplyTo<Response> reply) {
    absl::ReaderMutexLock lock(&mutex_);
    if (handler_ != nullptr) handler_->Handle(*request, std::move(reply));
  });
}

grpc::ServerUnaryReactor* ControlRpc::ListFlows(grpc::CallbackServerContext*,
                                                const v1alpha1::ListFlowsRequest* request,
                                                v1alpha1::ListFlowsResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::ImportFlows(grpc::CallbackServerContext*,
                                                  const v1alpha1::ImportFlowsRequest* request,
                                                  v1alpha1::ImportFlowsResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::FlushFlows(grpc::CallbackServerContext*,
                                                 const v1alpha1::FlushFlowsRequest* request,
                                                 v1alpha1::FlushFlowsResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::GetCapabilities(
    grpc::CallbackServerContext*, const v1alpha1::GetCapabilitiesRequest* request,
    v1alpha1::GetCapabilitiesResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::Simulate(grpc::CallbackServerContext*,
                                               const v1alpha1::SimulateRequest* request,
                                               v1alpha1::SimulateResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::Upgrade(grpc::CallbackServerContext*,
                                              const v1alpha1::UpgradeRequest* request,
                                              v1alpha1::UpgradeResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::Attach(grpc::CallbackServerContext*,
                                             const v1alpha1::AttachRequest* request,
                                             v1alpha1::AttachResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::Detach(grpc::CallbackServerContext*,
                                             const v1alpha1::DetachRequest* request,
                                             v1alpha1::DetachResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::Apply(grpc::CallbackServerContext*,
                                            const v1alpha1::ApplyRequest* request,
                                            v1alpha1::ApplyResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::ListChain(grpc::CallbackServerContext*,
                                                const v1alpha1::ListChainRequest* request,
                                                v1alpha1::ListChainResponse* response) {
  return Pass(request, response);
}

grpc::ServerUnaryReactor* ControlRpc::SetChainSlot(grpc::CallbackServerContext*,
                                                   const v1alpha1::SetChainSlotRequest* request,
                                                   v1alpha1::SetChainSlotResponse* response) {
  return Pass(request, response);
}

grpc::ServerWriteReactor<v1alpha1::WatchEventsResponse>* ControlRpc::WatchEvents(
    grpc::CallbackServerContext*, const v1alpha1::WatchEventsRequest* request) {
  const std::shared_ptr<EventWatcher> watcher = EventWatcher::Begin();
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (handler_ != nullptr) {
      handler_->Watch(*request, watcher);
    } else {
      watcher->End(absl::UnavailableError(kAway));
    }
  }
  // Calls end before the server does, and that before this object.
  watcher->OnEnd([this] { Refresh(); });
  return watcher->reactor();
}

}  // namespace portolan::datapath
