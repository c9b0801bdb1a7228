#include "services/ipam-service/shell/rpc.h"

namespace portolan::ipam {
namespace {

constexpr char kStopping[] = "ipam-service is stopping";

}  // namespace

grpc::ServerUnaryReactor* IpamRpc::Plan(grpc::CallbackServerContext*,
                                        const v1alpha1::PlanRequest* request,
                                        v1alpha1::PlanResponse* response) {
  return wire::Begin(response, kStopping,
                     [&](PlanReply reply) { handlers_.on_plan(*request, std::move(reply)); });
}

grpc::ServerUnaryReactor* IpamRpc::Explain(grpc::CallbackServerContext*,
                                           const v1alpha1::ExplainRequest* request,
                                           v1alpha1::ExplainResponse* response) {
  return wire::Begin(response, kStopping,
                     [&](ExplainReply reply) { handlers_.on_explain(*request, std::move(reply)); });
}

}  // namespace portolan::ipam
