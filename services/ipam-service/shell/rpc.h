// The gRPC face of ipam-service: hands each question to a handler with the way to answer it.
// Handlers are called on gRPC's threads; an answer may come from any thread.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "api/proto/ipam/v1alpha1/ipam.grpc.pb.h"
#include "services/base/wire/unary.h"

namespace portolan::ipam {

class IpamRpc : public v1alpha1::Ipam::CallbackService {
 public:
  using PlanReply = std::shared_ptr<wire::Reply<v1alpha1::PlanResponse>>;
  using ExplainReply = std::shared_ptr<wire::Reply<v1alpha1::ExplainResponse>>;
  struct Handlers {
    std::function<void(const v1alpha1::PlanRequest&, PlanReply)> on_plan;
    std::function<void(const v1alpha1::ExplainRequest&, ExplainReply)> on_explain;
  };

  explicit IpamRpc(Handlers handlers) : handlers_(std::move(handlers)) {}

  grpc::ServerUnaryReactor* Plan(grpc::CallbackServerContext* context,
                                 const v1alpha1::PlanRequest* request,
                                 v1alpha1::PlanResponse* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1alpha1::ExplainRequest* request,
                                    v1alpha1::ExplainResponse* response) override;

 private:
  const Handlers handlers_;
};

}  // namespace portolan::ipam
