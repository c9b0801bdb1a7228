#include "services/ipam-service/shell/rpc.h"

namespace portolan::ipam {

void IpamRpc::Serve(Handlers handlers) {
  absl::MutexLock lock(&mutex_);
  handlers_ = std::move(handlers);
}

void IpamRpc::Leave(std::string why) {
  absl::MutexLock lock(&mutex_);
  handlers_ = {};
  away_ = std::move(why);
}

std::string IpamRpc::Away() {
  absl::ReaderMutexLock lock(&mutex_);
  return away_;
}

grpc::ServerUnaryReactor* IpamRpc::Plan(grpc::CallbackServerContext*,
                                        const v1alpha1::PlanRequest* request,
                                        v1alpha1::PlanResponse* response) {
  return wire::Begin(response, Away(), [&](PlanReply reply) {
    absl::ReaderMutexLock lock(&mutex_);
    if (handlers_.on_plan) handlers_.on_plan(*request, std::move(reply));
  });
}

grpc::ServerUnaryReactor* IpamRpc::Explain(grpc::CallbackServerContext*,
                                           const v1alpha1::ExplainRequest* request,
                                           v1alpha1::ExplainResponse* response) {
  return wire::Begin(response, Away(), [&](ExplainReply reply) {
    absl::ReaderMutexLock lock(&mutex_);
    if (handlers_.on_explain) handlers_.on_explain(*request, std::move(reply));
  });
}

}  // namespace portolan::ipam
