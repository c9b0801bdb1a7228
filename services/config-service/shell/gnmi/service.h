// gNMI over the running configuration and what the services report: Capabilities, Get, Set,
// Subscribe.
//
// Calls come on gRPC's threads; what blocks is done where Backend says. Answers nothing until
// Apply() brought a configuration that switches it on (/portolan-system:system/gnmi). Who calls,
// and what access control permits: caller.h. Secrets are shown to nobody.
//
// A Set is one edit, all or nothing: its deletions, replacements and updates in this order make one
// draft, which is committed as one revision. Errors are gRPC codes, their message names the path.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "api/proto/gnmi/gnmi.grpc.pb.h"
#include "services/base/clock/clock.h"
#include "services/base/wire/unary.h"
#include "services/config-service/shell/configuration.h"
#include "services/config-service/shell/edit.h"
#include "services/config-service/shell/gnmi/caller.h"
#include "services/config-service/shell/gnmi/reading.h"
#include "services/config-service/shell/gnmi/stream.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {

class GnmiService : public ::gnmi::gNMI::CallbackService {
 public:
  // From any thread. A job that is dropped ends its call with UNAVAILABLE. `access` is not owned.
  struct Backend {
    GnmiStreams::Read read;
    std::function<void(Edit)> commit;
    GnmiStreams::After after;
    Access* access = nullptr;
  };

  // `clock` is not owned.
  GnmiService(std::shared_ptr<const Model> model, Backend backend, const Clock* clock);

  // What runs now. One thread at a time.
  void Apply(const Configuration& configuration);

  grpc::ServerUnaryReactor* Capabilities(grpc::CallbackServerContext* context,
                                         const ::gnmi::CapabilityRequest* request,
                                         ::gnmi::CapabilityResponse* response) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const ::gnmi::GetRequest* request,
                                ::gnmi::GetResponse* response) override;
  grpc::ServerUnaryReactor* Set(grpc::CallbackServerContext* context,
                                const ::gnmi::SetRequest* request,
                                ::gnmi::SetResponse* response) override;
  grpc::ServerBidiReactor<::gnmi::SubscribeRequest, ::gnmi::SubscribeResponse>* Subscribe(
      grpc::CallbackServerContext* context) override;

 private:
  using SetReply = std::shared_ptr<wire::Reply<::gnmi::SetResponse>>;

  absl::Status Refusal() const;
  // Who calls; FAILED_PRECONDITION: gNMI is switched off.
  absl::StatusOr<Caller> Admit(const grpc::ServerContextBase& context) const;
  absl::StatusOr<::gnmi::GetResponse> Answer(const ::gnmi::GetRequest& request,
                                             const View& view) const;
  // Of some path of the request.
  bool WantsState(const ::gnmi::GetRequest& request) const;
  void Commit(const ::gnmi::SetRequest& request, const Caller& caller, SetReply reply);

  const std::shared_ptr<const Model> model_;
  const Backend backend_;
  const Clock* const clock_;
  std::atomic<bool> enabled_ = false;
  GnmiStreams streams_;
};

}  // namespace portolan::config
