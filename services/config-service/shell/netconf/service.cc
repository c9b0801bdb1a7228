#include "services/config-service/shell/netconf/service.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/netconf/host_key.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/netconf/events.h"
#include "services/config-service/shell/netconf/notice_text.h"

namespace portolan::config {
namespace {

// Of the ObjectStatus.
constexpr char kComponent[] = "netconf";
constexpr char kEndpoint[] = "endpoint";
constexpr char kCallHome[] = "call-home";
constexpr char kUnix[] = "unix";

std::string KeyOfEndpoint(const netconf::TcpEndpoint& endpoint) {
  return absl::StrCat(endpoint.transport == netconf::Transport::kSsh ? "ssh/" : "tls/",
                      endpoint.name);
}

bool UsesSsh(const NetconfSettings& settings) {
  const auto is_ssh = [](const netconf::TcpEndpoint& endpoint) {
    return endpoint.transport == netconf::Transport::kSsh;
  };
  return std::any_of(settings.listen.begin(), settings.listen.end(), is_ssh) ||
         std::any_of(settings.call_home.begin(), settings.call_home.end(), [&](const auto& entry) {
           const std::vector<netconf::TcpEndpoint>& endpoints = entry.second.endpoints;
           return std::any_of(endpoints.begin(), endpoints.end(), is_ssh);
         });
}

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
      state_(model->context(), service_->access(), context.clock->WallNow()),
      notices_(model->context(), &gate_, context.clock),
      actions_(service_->datastores()),
      front_({.context = model->context(),
              .datastores = service_->datastores(),
              .gate = &gate_,
              .state = &state_,
              .notices = &notices_,
              .users = &users_,
              .actions = &actions_,
              .clock = context.clock,
              .log = context.log,
              .on_call = [this](const netconf::CallState& state) { OnCall(state); }}) {
  // Nobody may wait for the word of an endpoint.
  statuses_.MarkSynced();
}

NetconfService::~NetconfService() {
  service_->Observe(nullptr);
  if (service_->events() != nullptr) service_->events()->Listen(nullptr);
  // Sessions may wait for this thread.
  service_->EndWaits();
  actions_.End();
  worker_.reset();
  teller_.reset();
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
  teller_ = std::make_unique<Worker>();
  service_->events()->Listen([this](std::vector<Notice> notices) { Tell(std::move(notices)); });
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

void NetconfService::Tell(std::vector<Notice> notices) {
  teller_->Run([this, notices = std::move(notices)] {
    for (const Notice& notice : notices) {
      notices_.Tell(notice.module, notice.name, ToXml(notice), PlaceOf(notice));
    }
  });
}

// ---- endpoints ----

void NetconfService::Apply() {
  const absl::StatusOr<yang::Tree> running =
      service_->datastores()->ReadPart(Datastore::kRunning, {.rest = true});
  if (!running.ok()) return;  // it is stopping
  NetconfSettings wanted = NetconfSettingsOf(*running);
  server_->SetLimits({.hello_timeout = wanted.hello_timeout,
                      .idle_timeout = wanted.idle_timeout,
                      .max_message = wanted.max_message});
  service_->events()->Follow(wanted.IsServed());
  // Before the endpoints where they count.
  users_.Set(std::move(wanted.users), std::move(wanted.pam_service));
  ApplyUnix(wanted);
  ApplyTcp(wanted);
  ApplyCallHome(wanted);
}

void NetconfService::ApplyUnix(const NetconfSettings& wanted) {
  const std::string path = SocketIn(context_.run_dir);
  if (unix_group_.has_value() && (!wanted.unix_socket || *unix_group_ != wanted.unix_group)) {
    server_->RemoveUnix(path);
    unix_group_.reset();
    statuses_.Remove(KeyOf(kEndpoint, kUnix));
  }
  if (!wanted.unix_socket || unix_group_.has_value()) return;
  const absl::Status status = server_->AddUnix({path, wanted.unix_group});
  if (status.ok()) unix_group_ = wanted.unix_group;
  Report(kUnix, status, path);
}

void NetconfService::ApplyTcp(const NetconfSettings& wanted) {
  std::map<std::string, netconf::TcpEndpoint> endpoints;
  for (const netconf::TcpEndpoint& listen : wanted.listen)
    endpoints[KeyOfEndpoint(listen)] = listen;
  for (auto it = tcp_.begin(); it != tcp_.end();) {
    const auto found = endpoints.find(it->first);
    if (found != endpoints.end() && found->second == it->second) {
      ++it;
      continue;
    }
    server_->RemoveTcp(it->second.transport, it->second.name);
    it = tcp_.erase(it);
  }
  for (const std::string& key : reported_) {
    if (endpoints.count(key) == 0) statuses_.Remove(KeyOf(kEndpoint, key));
  }
  reported_.clear();
  const std::string host_key = absl::StrCat(context_.state_dir, "/ssh_host_key");
  server_->SetHostKey(host_key);
  const absl::Status ssh = UsesSsh(wanted) ? netconf::EnsureHostKey(host_key) : absl::OkStatus();
  const absl::Status tls = wanted.tls.has_value() ? server_->SetTls(*wanted.tls) : absl::OkStatus();
  for (const auto& [key, endpoint] : endpoints) {
    const absl::Status status =
        Listen(endpoint, endpoint.transport == netconf::Transport::kSsh ? ssh : tls);
    Report(key, status, absl::StrCat(endpoint.address, " port ", endpoint.port));
    reported_.insert(key);
  }
}

absl::Status NetconfService::Listen(const netconf::TcpEndpoint& endpoint,
                                    const absl::Status& usable) {
  const std::string key = KeyOfEndpoint(endpoint);
  if (!usable.ok()) {
    if (tcp_.erase(key) != 0) server_->RemoveTcp(endpoint.transport, endpoint.name);
    return usable;
  }
  if (tcp_.count(key) != 0) return absl::OkStatus();
  RETURN_IF_ERROR(server_->AddTcp(endpoint));
  tcp_[key] = endpoint;
  return absl::OkStatus();
}

void NetconfService::ApplyCallHome(const NetconfSettings& wanted) {
  {
    absl::MutexLock lock(&calls_mutex_);
    for (auto it = calls_.begin(); it != calls_.end();) {
      const bool stays = wanted.call_home.count(it->first) != 0;
      if (!stays) statuses_.Remove(KeyOf(kCallHome, it->first));
      it = stays ? std::next(it) : calls_.erase(it);
    }
    for (const auto& [name, client] : wanted.call_home) calls_.emplace(name, false);
  }
  server_->SetCallHome(wanted.call_home);
}

void NetconfService::OnCall(const netconf::CallState& state) {
  status::v1alpha1::ObjectStatus object;
  object.set_component(kComponent);
  object.set_node(context_.node);
  object.set_kind(kCallHome);
  object.set_key(state.client);
  if (state.connected) {
    object.set_state(status::v1alpha1::STATE_READY);
    object.set_reason("connected");
    object.set_message(absl::StrCat("a NETCONF client has a session at ", state.place));
  } else if (state.failure.ok()) {
    object.set_state(status::v1alpha1::STATE_PENDING);
    object.set_reason("calling");
    object.set_message(absl::StrCat("the session at ", state.place, " is over; calls again"));
  } else {
    object.set_state(status::v1alpha1::STATE_FAILED);
    object.set_reason("no-session");
    object.set_message(absl::StrCat("no session at ", state.place, ": ", state.failure.message()));
    object.set_remedy(absl::StrCat("start the client there, or change the client ", state.client,
                                   " in /portolan-system:system/netconf/call-home"));
  }
  absl::MutexLock lock(&calls_mutex_);
  const auto it = calls_.find(state.client);
  if (it == calls_.end()) return;
  const bool failed = !state.failure.ok();
  if (failed && !it->second) {
    context_.log->Warning("a NETCONF client is called in vain",
                          {{"client", state.client}, {"reason", object.message()}});
  }
  it->second = failed;
  statuses_.Upsert(KeyOf(kCallHome, state.client), object);
}

void NetconfService::Report(const std::string& endpoint, const absl::Status& status,
                            const std::string& place) {
  status::v1alpha1::ObjectStatus object;
  object.set_component(kComponent);
  object.set_node(context_.node);
  object.set_kind(kEndpoint);
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
  statuses_.Upsert(KeyOf(kEndpoint, endpoint), object);
}

std::string NetconfService::KeyOf(const char* kind, const std::string& name) const {
  return absl::StrCat(kComponent, "/", context_.node, "/", kind, "/", name);
}

absl::StatusOr<std::unique_ptr<process::Service>> NewNetconfService(const process::Context& context,
                                                                    Options options) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Model> model, LoadModel(options, *context.log));
  return std::unique_ptr<process::Service>(std::make_unique<NetconfService>(
      context, std::move(options), std::move(model), SystemFiles()));
}

}  // namespace portolan::config
