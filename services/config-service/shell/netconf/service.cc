#include "services/config-service/shell/netconf/service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/netconf/host_key.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/netconf/events.h"

namespace portolan::config {
namespace {

constexpr char kUnix[] = "unix";

std::string SocketIn(const std::string& run_dir) {
  return absl::StrCat(run_dir, "/netconf.socket");
}

}  // namespace

NetconfService::NetconfService(const process::Context& context, Options options,
                               std::shared_ptr<const Model> model, std::unique_ptr<Files> files)
    : context_(context),
      model_(model),
      service_(
          std::make_unique<ConfigService>(context, std::move(options), model, std::move(files))),
      statuses_(context.hub->NewWriter<status::v1alpha1::ObjectStatus>()),
      gate_(model->context(), service_->access()),
      state_(model->context(), context.clock->WallNow()),
      notices_(model->context(), &gate_, context.clock),
      actions_(service_->datastores()),
      front_({.context = model->context(),
              .datastores = service_->datastores(),
              .gate = &gate_,
              .state = &state_,
              .notices = &notices_,
              .users = &users_,
              .actions = &actions_,
              .clock = context.clock}) {
  // Nobody may wait for the word of an endpoint.
  statuses_.MarkSynced();
}

NetconfService::~NetconfService() {
  service_->Observe(nullptr);
  // Sessions may wait for this thread.
  service_->EndWaits();
  actions_.End();
  worker_.reset();
  notices_.SetServer(nullptr);
  server_.reset();
}

absl::Status NetconfService::Start(const process::Upstreams& upstreams) {
  service_->Observe([this](const Edit& edit, const Answer& answer,
                           const std::optional<Trial>& trial) { OnCommit(edit, answer, trial); });
  RETURN_IF_ERROR(service_->Start(upstreams));
  actions_.SetServices(upstreams);
  ASSIGN_OR_RETURN(server_, netconf::Server::Start(model_->context(), &front_, netconf::Limits()));
  state_.SetServer(server_.get());
  state_.SetOperational(service_->operational());
  front_.SetServer(server_.get());
  notices_.SetServer(server_.get());
  worker_ = std::make_unique<Worker>();
  worker_->Run([this] { Apply(); });
  return absl::OkStatus();
}

// ---- commits ----

void NetconfService::OnCommit(const Edit& edit, const Answer&, const std::optional<Trial>& trial) {
  const By by{edit.claim.session, edit.author.user.empty() ? edit.author.origin : edit.author.user};
  const auto tell = [&](const char* name, std::string xml) {
    notices_.Tell("ietf-netconf-notifications", name, xml);
  };
  if (!edit.comparison.differences.empty()) {
    tell("netconf-config-change", ConfigChange(*model_->context(), by, edit.comparison));
  }
  std::optional<std::string> event;
  if (trial.has_value()) {
    event = trial_revision_.has_value() ? "extend" : "start";
  } else if (trial_revision_.has_value()) {
    event = edit.purpose == Purpose::kGoBack   ? "timeout"
            : edit.purpose == Purpose::kCancel ? "cancel"
                                               : "complete";
  }
  if (event.has_value()) {
    std::optional<uint32_t> timeout_s;
    if (trial.has_value()) timeout_s = absl::ToInt64Seconds(trial->timeout);
    tell("netconf-confirmed-commit", ConfirmedCommit(by, *event, timeout_s));
  }
  trial_revision_.reset();
  if (trial.has_value()) trial_revision_ = trial->revision;
  if (worker_ != nullptr) worker_->Run([this] { Apply(); });
}

// ---- endpoints ----

void NetconfService::Apply() {
  const absl::StatusOr<yang::Tree> running =
      service_->datastores()->ReadPart(Datastore::kRunning, {.rest = true});
  if (!running.ok()) return;  // it is stopping
  NetconfSettings wanted = NetconfSettingsOf(*running);
  server_->SetLimits({.hello_timeout = wanted.hello_timeout, .idle_timeout = wanted.idle_timeout});
  ApplyUnix(wanted);
  ApplySsh(wanted);
  users_.Set(std::move(wanted.users), std::move(wanted.pam_service));
}

void NetconfService::ApplyUnix(const NetconfSettings& wanted) {
  const std::string path = SocketIn(context_.run_dir);
  if (unix_group_.has_value() && (!wanted.unix_socket || *unix_group_ != wanted.unix_group)) {
    server_->RemoveUnix(path);
    unix_group_.reset();
    Forget(kUnix);
  }
  if (!wanted.unix_socket || unix_group_.has_value()) return;
  const absl::Status status = server_->AddUnix({path, wanted.unix_group});
  if (status.ok()) unix_group_ = wanted.unix_group;
  Report(kUnix, status, path);
}

void NetconfService::ApplySsh(const NetconfSettings& wanted) {
  for (auto it = ssh_.begin(); it != ssh_.end();) {
    const auto found = wanted.ssh.find(it->first);
    if (found != wanted.ssh.end() && found->second == it->second) {
      ++it;
      continue;
    }
    server_->RemoveSsh(it->first);
    Forget("ssh/" + it->first);
    it = ssh_.erase(it);
  }
  const std::string key = absl::StrCat(context_.state_dir, "/ssh_host_key");
  for (const auto& [name, listen] : wanted.ssh) {
    if (ssh_.count(name) != 0) continue;
    absl::Status status = netconf::EnsureHostKey(key);
    if (status.ok()) status = server_->AddSsh({name, listen.address, listen.port, key});
    if (status.ok()) ssh_[name] = listen;
    Report("ssh/" + name, status, absl::StrCat(listen.address, " port ", listen.port));
  }
}

void NetconfService::Report(const std::string& endpoint, const absl::Status& status,
                            const std::string& place) {
  status::v1alpha1::ObjectStatus object;
  object.set_component("netconf");
  object.set_node(context_.node);
  object.set_kind("endpoint");
  object.set_key(endpoint);
  if (status.ok()) {
    object.set_state(status::v1alpha1::STATE_READY);
    object.set_reason("listening");
    object.set_message(absl::StrCat("NETCONF is served on ", place));
  } else {
    object.set_state(status::v1alpha1::STATE_FAILED);
    object.set_reason("not-listening");
    object.set_message(std::string(status.message()));
    object.set_remedy(
        "change /portolan-system:system/netconf, or free what is taken and commit anything");
    context_.log->Warning("a NETCONF endpoint does not listen",
                          {{"endpoint", endpoint}, {"reason", std::string(status.message())}});
  }
  statuses_.Upsert(absl::StrCat("netconf/", context_.node, "/endpoint/", endpoint), object);
}

void NetconfService::Forget(const std::string& endpoint) {
  statuses_.Remove(absl::StrCat("netconf/", context_.node, "/endpoint/", endpoint));
}

absl::StatusOr<std::unique_ptr<process::Service>> NewNetconfService(const process::Context& context,
                                                                    Options options) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Model> model, LoadModel(options, *context.log));
  return std::unique_ptr<process::Service>(std::make_unique<NetconfService>(
      context, std::move(options), std::move(model), SystemFiles()));
}

}  // namespace portolan::config
