#include "services/config-service/shell/gnmi/service.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/yang/modules.h"
#include "services/base/status/status_macros.h"
#include "services/base/wire/grpc_status.h"
#include "services/base/yang/filter.h"
#include "services/config-service/shell/gnmi/path.h"
#include "services/config-service/shell/gnmi/reading.h"
#include "services/config-service/shell/gnmi/setting.h"

namespace portolan::config {
namespace {

constexpr char kStopping[] = "config-service is stopping";
constexpr char kVersion[] = "0.10.0";

// A call that is over as soon as it began.
class RefusedStream : public GnmiStreams::Reactor {
 public:
  explicit RefusedStream(const absl::Status& status) { Finish(wire::ToGrpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

GnmiService::GnmiService(std::shared_ptr<const Model> model, Backend backend, const Clock* clock)
    : model_(std::move(model)),
      backend_(std::move(backend)),
      clock_(clock),
      streams_(model_->context(), backend_.read, backend_.after, clock) {}

void GnmiService::Apply(const Configuration& configuration) {
  const yang::Node system = configuration.rest().Top("portolan-system", "system");
  const yang::Node gnmi = system ? system.Child("gnmi") : yang::Node();
  const yang::Node enabled = gnmi ? gnmi.Child("enabled") : yang::Node();
  enabled_ = enabled && enabled.value() == "true";
  if (enabled_) streams_.Tell();
}

absl::Status GnmiService::Refusal() const {
  if (enabled_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "gNMI is switched off; set /portolan-system:system/gnmi/enabled to true");
}

absl::StatusOr<Caller> GnmiService::Admit(const grpc::ServerContextBase& context) const {
  RETURN_IF_ERROR(Refusal());
  return Caller::Of(context, backend_.access);
}

grpc::ServerUnaryReactor* GnmiService::Capabilities(grpc::CallbackServerContext*,
                                                    const ::gnmi::CapabilityRequest*,
                                                    ::gnmi::CapabilityResponse* response) {
  using Reply = std::shared_ptr<wire::Reply<::gnmi::CapabilityResponse>>;
  return wire::Begin(response, kStopping, [&](Reply reply) {
    ::gnmi::CapabilityResponse answer;
    for (size_t i = 0; i < api::kYangModuleCount; ++i) {
      const std::string name = api::kYangModules[i].name;
      ::gnmi::ModelData* data = answer.add_supported_models();
      data->set_name(name);
      data->set_organization(absl::StartsWith(name, "portolan-") ? "Portolan" : "IETF");
      data->set_version(model_->context()->Revision(name));
    }
    answer.add_supported_encodings(::gnmi::JSON_IETF);
    answer.add_supported_encodings(::gnmi::JSON);
    answer.set_gnmi_version(kVersion);
    reply->Send(Refusal(), std::move(answer));
  });
}

// What a path selects of what was asked for. NOT_FOUND is of what is configured: state comes and
// goes.
absl::StatusOr<::gnmi::GetResponse> GnmiService::Answer(const ::gnmi::GetRequest& request,
                                                        const View& view) const {
  RETURN_IF_ERROR(CheckEncoding(request.encoding()));
  std::vector<::gnmi::Path> paths(request.path().begin(), request.path().end());
  if (paths.empty()) paths.emplace_back();  // the prefix alone
  ::gnmi::GetResponse response;
  for (const ::gnmi::Path& path : paths) {
    ASSIGN_OR_RETURN(const std::string xpath, ToXPath(request.prefix(), path));
    ASSIGN_OR_RETURN(const std::vector<Instance> instances, InstancesOf(view, xpath));
    const bool configured =
        view.configuration != nullptr &&
        (view.state == nullptr || !yang::CanSelect(*model_->context(), xpath, yang::Kind::kState));
    if (instances.empty() && configured && !HasWildcard(request.prefix(), path)) {
      return absl::NotFoundError(absl::StrCat("the path ", xpath, ": nothing is there"));
    }
    ::gnmi::Notification* notification = response.add_notification();
    notification->set_timestamp(absl::ToUnixNanos(clock_->WallNow()));
    notification->mutable_prefix()->set_target(request.prefix().target());
    for (const Instance& instance : instances) {
      ::gnmi::Update* update = notification->add_update();
      *update->mutable_path() = instance.path;
      *update->mutable_val() = ToValue(instance.json, request.encoding());
    }
  }
  return response;
}

bool GnmiService::WantsState(const ::gnmi::GetRequest& request) const {
  if (request.type() == ::gnmi::GetRequest::CONFIG) return false;
  const auto may_have = [&](const ::gnmi::Path& path) {
    const absl::StatusOr<std::string> xpath = ToXPath(request.prefix(), path);
    return xpath.ok() && yang::CanSelect(*model_->context(), *xpath, yang::Kind::kState);
  };
  if (request.path().empty()) return may_have({});
  return std::any_of(request.path().begin(), request.path().end(), may_have);
}

grpc::ServerUnaryReactor* GnmiService::Get(grpc::CallbackServerContext* context,
                                           const ::gnmi::GetRequest* request,
                                           ::gnmi::GetResponse* response) {
  using Reply = std::shared_ptr<wire::Reply<::gnmi::GetResponse>>;
  return wire::Begin(response, kStopping, [&](Reply reply) {
    absl::StatusOr<Caller> caller = Admit(*context);
    if (!caller.ok()) return reply->Send(caller.status(), {});
    const bool state_alone = request->type() == ::gnmi::GetRequest::STATE ||
                             request->type() == ::gnmi::GetRequest::OPERATIONAL;
    backend_.read(WantsState(*request),
                  [this, state_alone, request = *request, caller = *std::move(caller), reply](
                      const Configuration& configuration, const yang::Tree* state) {
                    const yang::Tree nothing(model_->context());
                    View view{&configuration, state, &caller};
                    if (state_alone) {
                      view = {nullptr, state == nullptr ? &nothing : state, &caller};
                    }
                    absl::StatusOr<::gnmi::GetResponse> answer = Answer(request, view);
                    if (!answer.ok()) return reply->Send(answer.status(), {});
                    reply->Send(absl::OkStatus(), *std::move(answer));
                  });
  });
}

// The edit is made when its turn comes, of what runs then: nobody's commit comes between.
void GnmiService::Commit(const ::gnmi::SetRequest& request, const Caller& caller, SetReply reply) {
  Edit edit;
  edit.kind = Edit::Kind::kMake;
  edit.make = [model = model_, request, caller](const Configuration& running) {
    Edited edited = DraftOf(*model, running, request);
    if (!edited.draft.has_value()) return edited;
    std::vector<Problem> denied = caller.CheckWrite(running, *edited.draft);
    return denied.empty() ? edited : Edited{std::nullopt, std::move(denied)};
  };
  edit.author = caller.author();
  edit.done = [clock = clock_, request, reply](const Edit&, const config::Answer& answer) {
    if (!answer.problems.empty()) return reply->Send(ToStatus(answer.problems), {});
    ::gnmi::SetResponse response = ResponseOf(request);
    response.set_timestamp(absl::ToUnixNanos(clock->WallNow()));
    reply->Send(absl::OkStatus(), std::move(response));
  };
  backend_.commit(std::move(edit));
}

grpc::ServerUnaryReactor* GnmiService::Set(grpc::CallbackServerContext* context,
                                           const ::gnmi::SetRequest* request,
                                           ::gnmi::SetResponse* response) {
  return wire::Begin(response, kStopping, [&](SetReply reply) {
    const absl::StatusOr<Caller> caller = Admit(*context);
    if (!caller.ok()) return reply->Send(caller.status(), {});
    if (request->union_replace_size() > 0) {
      return reply->Send(absl::UnimplementedError("union_replace is not known; use replace"), {});
    }
    Commit(*request, *caller, std::move(reply));
  });
}

GnmiStreams::Reactor* GnmiService::Subscribe(grpc::CallbackServerContext* context) {
  absl::StatusOr<Caller> caller = Admit(*context);
  if (!caller.ok()) return new RefusedStream(caller.status());
  return streams_.Begin(*std::move(caller));
}

}  // namespace portolan::config
