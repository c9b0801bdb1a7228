// The gRPC face of ipam-service: hands each question to a handler with the way to answer it.
//
// A server must know its RPCs before it starts, and a stage may come and go while it runs. So the
// face may outlive the service behind it; while there is none, every question is UNAVAILABLE, and
// the message says why.
// Thread-safe. Handlers are called on gRPC's threads; an answer may come from any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
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

  // Handlers must not block. None runs any more when Leave() returns.
  void Serve(Handlers handlers);
  void Leave() { Leave(kAway); }
  // `why`: what those who ask are told.
  void Leave(std::string why);

  grpc::ServerUnaryReactor* Plan(grpc::CallbackServerContext* context,
                                 const v1alpha1::PlanRequest* request,
                                 v1alpha1::PlanResponse* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1alpha1::ExplainRequest* request,
                                    v1alpha1::ExplainResponse* response) override;

 private:
  static constexpr char kAway[] = "ipam-service does not run in this process, or is stopping";

  // The message of a call that nobody answers.
  std::string Away();

  absl::Mutex mutex_;
  std::string away_ ABSL_GUARDED_BY(mutex_) = kAway;
  Handlers handlers_ ABSL_GUARDED_BY(mutex_);  // empty functions: nobody serves
};

}  // namespace portolan::ipam
