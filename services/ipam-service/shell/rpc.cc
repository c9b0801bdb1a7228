#include "services/ipam-service/shell/rpc.h"

namespace portolan::ipam {
namespace {

constexpr char kAway[] = "ipam-service does not run in this process, or is stopping";

}  // namespace

void IpamRpc::Serve(Handlers handlers) {
  absl::MutexLock lock(&mutex_);
  handlers_ = std::move(handlers);
}

void IpamRpc::Leave() { Serve({}); }

grpc::ServerUnaryReactor* IpamRpc::Plan(grpc::CallbackServerContext*,
                                        const v1alpha1::PlanRequest* request,
                                        v1alpha1::PlanResponse* response) {
  return wire::Begin(response, kAway, [&](PlanReply reply) {
    absl::ReaderMutexLock lock(&mutex_);
    if (handlers_.on_plan) handlers_.on_plan(*request, std::move(reply));
  });
}

grpc::ServerUnaryReactor* IpamRpc::Explain(grpc::CallbackServerContext*,
                                           const v1alpha1::ExplainRequest* request,
                                           v1alpha1::ExplainResponse* response) {
  return wire::Begin(response, kAway, [&](ExplainReply reply) {
    absl::ReaderMutexLock lock(&mutex_);
    if (handlers_.on_explain) handlers_.on_explain(*request, std::move(reply));
  });
}

}  // namespace portolan::ipam
