#include "services/config-service/shell/gnmi/service.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/yang/modules.h"
#include "services/base/status/status_macros.h"
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
  explicit RefusedStream(const absl::Status& status) {
    Finish(
        grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message())));
  }
  void OnDone() override { delete this; }
};

}  // namespace

GnmiService::GnmiService(std::shared_ptr<const Model> model, Backend backend, const Clock* clock)
    : model_(std::move(model)),
      backend_(std::move(backend)),
      clock_(clock),
      streams_(backend_.read, backend_.after, clock) {}

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

absl::StatusOr<::gnmi::GetResponse> GnmiService::Answer(const ::gnmi::GetRequest& request,
                                                        const Configuration& configuration) const {
  RETURN_IF_ERROR(CheckEncoding(request.encoding()));
  std::vector<::gnmi::Path> paths(request.path().begin(), request.path().end());
  if (paths.empty()) paths.emplace_back();  // the prefix alone
  // State is told by other ways in.
  const bool configured =
      request.type() == ::gnmi::GetRequest::ALL || request.type() == ::gnmi::GetRequest::CONFIG;
  ::gnmi::GetResponse response;
  for (const ::gnmi::Path& path : paths) {
    ASSIGN_OR_RETURN(const std::string xpath, ToXPath(request.prefix(), path));
    ASSIGN_OR_RETURN(const std::vector<Instance> instances, InstancesOf(configuration, xpath));
    if (instances.empty() && !HasWildcard(request.prefix(), path)) {
      return absl::NotFoundError(absl::StrCat("the path ", xpath, ": nothing is there"));
    }
    ::gnmi::Notification* notification = response.add_notification();
    notification->set_timestamp(absl::ToUnixNanos(clock_->WallNow()));
    notification->mutable_prefix()->set_target(request.prefix().target());
    if (!configured) continue;
    for (const Instance& instance : instances) {
      ::gnmi::Update* update = notification->add_update();
      *update->mutable_path() = instance.path;
      *update->mutable_val() = ToValue(instance.json, request.encoding());
    }
  }
  return response;
}

grpc::ServerUnaryReactor* GnmiService::Get(grpc::CallbackServerContext*,
                                           const ::gnmi::GetRequest* request,
                                           ::gnmi::GetResponse* response) {
  using Reply = std::shared_ptr<wire::Reply<::gnmi::GetResponse>>;
  return wire::Begin(response, kStopping, [&](Reply reply) {
    if (const absl::Status refusal = Refusal(); !refusal.ok()) return reply->Send(refusal, {});
    backend_.read([this, request = *request, reply](const Configuration& configuration, uint64_t) {
      absl::StatusOr<::gnmi::GetResponse> answer = Answer(request, configuration);
      if (!answer.ok()) return reply->Send(answer.status(), {});
      reply->Send(absl::OkStatus(), *std::move(answer));
    });
  });
}

// The edit is made when its turn comes, of what runs then: nobody's commit comes between.
void GnmiService::Commit(const ::gnmi::SetRequest& request, SetReply reply) {
  Edit edit;
  edit.kind = Edit::Kind::kMake;
  edit.make = [model = model_, request](const Configuration& running) {
    return DraftOf(*model, running, request);
  };
  edit.author.origin = "gnmi";
  edit.done = [clock = clock_, request, reply](const Edit&, const config::Answer& answer) {
    if (!answer.problems.empty()) return reply->Send(ToStatus(answer.problems), {});
    ::gnmi::SetResponse response = ResponseOf(request);
    response.set_timestamp(absl::ToUnixNanos(clock->WallNow()));
    reply->Send(absl::OkStatus(), std::move(response));
  };
  backend_.commit(std::move(edit));
}

grpc::ServerUnaryReactor* GnmiService::Set(grpc::CallbackServerContext*,
                                           const ::gnmi::SetRequest* request,
                                           ::gnmi::SetResponse* response) {
  return wire::Begin(response, kStopping, [&](SetReply reply) {
    if (const absl::Status refusal = Refusal(); !refusal.ok()) return reply->Send(refusal, {});
    if (request->union_replace_size() > 0) {
      return reply->Send(absl::UnimplementedError("union_replace is not known; use replace"), {});
    }
    Commit(*request, std::move(reply));
  });
}

GnmiStreams::Reactor* GnmiService::Subscribe(grpc::CallbackServerContext*) {
  if (const absl::Status refusal = Refusal(); !refusal.ok()) return new RefusedStream(refusal);
  return streams_.Begin();
}

}  // namespace portolan::config
