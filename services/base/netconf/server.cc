#include "services/base/netconf/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "services/base/netconf/caller.h"
#include "services/base/netconf/libnetconf2.h"
#include "services/base/netconf/listener.h"
#include "services/base/netconf/protocol.h"
#include "services/base/netconf/session.h"
#include "services/base/netconf/sockets.h"
#include "services/base/netconf/transport.h"
#include "services/base/status/status_macros.h"
#include "services/base/yang/filter.h"

namespace portolan::netconf {
namespace {

// Peers that have not shown who they are; with more, the one that came first is cut.
constexpr size_t kMaxGreetings = 128;

std::atomic<bool> in_use = false;  // the library's one server

nc_server_reply* OnRpc(lyd_node* rpc, nc_session* session) {
  return static_cast<Session*>(nc_session_get_data(session))->Answer(rpc);
}

// libyang keeps schemas const, and libnetconf2 its callbacks in them.
void SetCallback(const ly_ctx* context, const char* path) {
  auto* node = const_cast<lysc_node*>(lys_find_path(context, nullptr, path, 0));
  if (node != nullptr) nc_set_rpc_callback(node, reinterpret_cast<void*>(&OnRpc));
}

class LibraryServer : public Server {
 public:
  LibraryServer(std::shared_ptr<const yang::Context> context, Handler* handler)
      : context_(std::move(context)), handler_(handler) {
    host_.handler = handler;
    host_.context = context_->handle();
    host_.on_open = [this](Session* session) {
      absl::MutexLock lock(&mutex_);
      open_[session->info().id] = session;
    };
    callers_host_.serve = [this](int fd, const TcpEndpoint& endpoint, absl::Duration idle_timeout,
                                 const std::function<void()>& on_open) {
      return ServeCall(fd, endpoint, idle_timeout, on_open);
    };
    callers_host_.report = [this](const CallState& state) { handler_->OnCall(state); };
    callers_host_.start = [this](std::function<void()> job) { RunOnThread(std::move(job)); };
  }
  ~LibraryServer() override;

  absl::Status Begin(const Limits& limits);
  void SetLimits(const Limits& limits) override;
  void SetHostKey(const std::string& path) override;
  absl::Status SetTls(const TlsIdentity& identity) override;
  absl::Status AddUnix(const UnixEndpoint& endpoint) override;
  void RemoveUnix(const std::string& path) override;
  absl::Status AddTcp(const TcpEndpoint& endpoint) override;
  void RemoveTcp(Transport transport, const std::string& name) override;
  void SetCallHome(const std::map<std::string, CallHomeClient>& clients) override;
  bool Kill(uint32_t session, uint32_t killer) override;
  absl::Status Notify(uint32_t session, absl::Time time, const std::string& xml) override;
  std::vector<std::pair<SessionInfo, Counters>> Sessions() override;
  Totals totals() override;
  std::vector<std::string> Capabilities() override;

 private:
  void OnUnix(int fd);
  void OnTcp(int fd, Transport transport);
  absl::Status Greet(int fd, Transport transport, const std::string& host, const Opener& open);
  absl::Status ServeCall(int fd, const TcpEndpoint& endpoint, absl::Duration idle_timeout,
                         const std::function<void()>& on_open);
  bool Admit(int fd);
  void Dismiss(int fd);
  // Of a connection whose peer shows who it is now; by its number.
  uint64_t BeginGreeting(int fd);
  void EndGreeting(uint64_t greeting);
  Intake NewIntake(std::shared_ptr<Refusals> refusals);
  absl::StatusOr<Opened> OpenSession(const SessionInfo& peer);
  void RunSession(std::unique_ptr<Session> session);
  void RunOnThread(std::function<void()> job);
  void Count(const Session& ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<const yang::Context> context_;
  Handler* const handler_;
  Session::Host host_;
  Caller::Host callers_host_;
  std::atomic<uint32_t> max_sessions_ = 0;
  std::atomic<size_t> max_message_ = 0;

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int threads_ ABSL_GUARDED_BY(mutex_) = 0;                    // that run
  Totals ended_ ABSL_GUARDED_BY(mutex_);                       // of sessions that are over
  std::set<int> connections_ ABSL_GUARDED_BY(mutex_);          // that are served
  std::map<uint64_t, int> greetings_ ABSL_GUARDED_BY(mutex_);  // of those, in their order
  uint64_t last_greeting_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<Session*> running_ ABSL_GUARDED_BY(mutex_);         // whose threads run
  std::map<uint32_t, Session*> open_ ABSL_GUARDED_BY(mutex_);  // of those, whose hellos were said
  std::string host_key_ ABSL_GUARDED_BY(mutex_);               // path; empty: none
  std::optional<TlsIdentity> tls_ ABSL_GUARDED_BY(mutex_);

  absl::Mutex endpoints_mutex_;  // who changes endpoints; before mutex_
  std::map<std::string, std::unique_ptr<Listener>> unix_ ABSL_GUARDED_BY(endpoints_mutex_);
  std::map<std::pair<Transport, std::string>, std::unique_ptr<Listener>> tcp_
      ABSL_GUARDED_BY(endpoints_mutex_);
  std::map<std::string, std::pair<CallHomeClient, std::unique_ptr<Caller>>> callers_
      ABSL_GUARDED_BY(endpoints_mutex_);
};

absl::Status LibraryServer::Begin(const Limits& limits) {
  nc_verbosity(NC_VERB_ERROR);
  // What concerns a session, its end tells.
  nc_set_print_clb_session([](const nc_session*, NC_VERB_LEVEL, const char*) {});
  // Before nc_server_init(): else its own get-schema is taken, which reads what it has freed.
  SetCallback(host_.context, "/ietf-netconf-monitoring:get-schema");
  SetCallback(host_.context, "/ietf-netconf:close-session");
  nc_set_global_rpc_clb(&OnRpc);
  if (nc_server_init(context_->handle()) != 0) {
    return absl::InternalError("libnetconf2 gave no server");
  }
  nc_server_set_content_id_clb(
      [](void* self) {
        return strdup(yang::ContentId(*static_cast<LibraryServer*>(self)->context_).c_str());
      },
      this, nullptr);
  nc_server_set_capab_withdefaults(NC_WD_EXPLICIT, NC_WD_ALL | NC_WD_ALL_TAG | NC_WD_TRIM);
  if (ly_ctx_get_module_implemented(host_.context, "notifications") != nullptr) {
    nc_server_set_capability("urn:ietf:params:netconf:capability:notification:1.0");
    nc_server_set_capability("urn:ietf:params:netconf:capability:interleave:1.0");
  }
  SetLimits(limits);
  return absl::OkStatus();
}

void LibraryServer::SetLimits(const Limits& limits) {
  nc_server_set_hello_timeout(static_cast<uint16_t>(absl::ToInt64Seconds(limits.hello_timeout)));
  nc_server_set_idle_timeout(static_cast<uint16_t>(absl::ToInt64Seconds(limits.idle_timeout)));
  max_sessions_ = limits.max_sessions;
  max_message_ = limits.max_message;
}

LibraryServer::~LibraryServer() {
  {
    absl::MutexLock endpoints(&endpoints_mutex_);
    unix_.clear();
    tcp_.clear();
    callers_.clear();
  }
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    for (Session* session : running_) session->End(0);
    for (const int fd : connections_) shutdown(fd, SHUT_RDWR);
    mutex_.Await(absl::Condition(
        +[](int* threads) { return *threads == 0; }, &threads_));
  }
  nc_server_destroy();
  in_use = false;
}

void LibraryServer::RunOnThread(std::function<void()> job) {
  {
    absl::MutexLock lock(&mutex_);
    ++threads_;
  }
  std::thread([this, job = std::move(job)]() mutable {
    job();
    // What it holds goes before the server may.
    job = nullptr;
    nc_thread_destroy();
    absl::MutexLock lock(&mutex_);
    --threads_;
  }).detach();
}

// ---- sessions ----

void LibraryServer::RunSession(std::unique_ptr<Session> session) {
  {
    absl::MutexLock lock(&mutex_);
    running_.insert(session.get());
    if (stopping_) session->End(0);
  }
  RunOnThread([this, session = std::shared_ptr<Session>(std::move(session))] {
    session->Run();
    absl::MutexLock lock(&mutex_);
    Count(*session);
    open_.erase(session->info().id);
    running_.erase(session.get());
  });
}

Intake LibraryServer::NewIntake(std::shared_ptr<Refusals> refusals) {
  const ly_ctx* const context = host_.context;
  return Intake(
      {.read_hello = [context](const std::string& hello) { return VersionOf(context, hello); },
       .check_operation =
           [context](const ElementName& operation) { return CheckOperation(context, operation); },
       .refuse = [refusals = std::move(refusals)](
                     Error error) { return refusals->Keep(std::move(error)); },
       .max_message = [this] { return max_message_.load(); }});
}

absl::StatusOr<Opened> LibraryServer::OpenSession(const SessionInfo& peer) {
  {
    // The recovery session is always let in.
    absl::MutexLock lock(&mutex_);
    if (running_.size() >= max_sessions_ && !peer.superuser) {
      return absl::ResourceExhaustedError("there are too many sessions");
    }
  }
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ResourceExhaustedError("no more files can be opened; raise their limit");
  }
  auto refusals = std::make_shared<Refusals>();
  RunSession(std::make_unique<Session>(&host_, ends[0], peer, refusals));
  return Opened{.fd = ends[1], .intake = NewIntake(std::move(refusals))};
}

void Add(const Counters& more, Counters* sum) {
  sum->in_rpcs += more.in_rpcs;
  sum->in_bad_rpcs += more.in_bad_rpcs;
  sum->out_rpc_errors += more.out_rpc_errors;
  sum->out_notifications += more.out_notifications;
}

void LibraryServer::Count(const Session& ended) {
  if (ended.info().id == 0) {
    ++ended_.bad_hellos;
    return;
  }
  ++ended_.sessions;
  if (ended.lost()) ++ended_.dropped;
  Add(ended.counters(), &ended_.counters);
}

Totals LibraryServer::totals() {
  absl::MutexLock lock(&mutex_);
  Totals totals = ended_;
  totals.sessions += open_.size();
  for (const auto& [id, session] : open_) Add(session->counters(), &totals.counters);
  return totals;
}

bool LibraryServer::Kill(uint32_t session, uint32_t killer) {
  absl::MutexLock lock(&mutex_);
  const auto it = open_.find(session);
  if (it == open_.end()) return false;
  it->second->End(killer);
  return true;
}

absl::Status LibraryServer::Notify(uint32_t session, absl::Time time, const std::string& xml) {
  lyd_node* tree = nullptr;
  lyd_node* event = nullptr;
  ly_in* in = nullptr;
  ly_in_new_memory(xml.c_str(), &in);
  const LY_ERR parsed =
      lyd_parse_op(host_.context, nullptr, in, LYD_XML, LYD_TYPE_NOTIF_YANG, &tree, &event);
  ly_in_free(in, 0);
  if (parsed != LY_SUCCESS) {
    lyd_free_all(tree);
    return absl::InvalidArgumentError("the notification does not fit the modules");
  }
  const std::string text = absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3S%Ez", time, absl::UTCTimeZone());
  char* const when = strdup(text.c_str());
  nc_server_notif* const notification = nc_server_notif_new(event, when, NC_PARAMTYPE_FREE);
  absl::MutexLock lock(&mutex_);
  const auto it = open_.find(session);
  if (it == open_.end()) {
    nc_server_notif_free(notification);
    return absl::NotFoundError(absl::StrCat("there is no session ", session));
  }
  it->second->Leave(notification);
  return absl::OkStatus();
}

std::vector<std::pair<SessionInfo, Counters>> LibraryServer::Sessions() {
  std::vector<std::pair<SessionInfo, Counters>> sessions;
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, session] : open_) {
    sessions.emplace_back(session->info(), session->counters());
  }
  return sessions;
}

std::vector<std::string> LibraryServer::Capabilities() {
  std::vector<std::string> capabilities;
  const char** const texts = nc_server_get_cpblts_version(context_->handle(), LYS_VERSION_1_0);
  for (size_t i = 0; texts != nullptr && texts[i] != nullptr; ++i) {
    capabilities.emplace_back(texts[i]);
    lydict_remove(context_->handle(), texts[i]);
  }
  std::free(texts);
  return capabilities;
}

// ---- connections ----

// False: it is closed, since the server is stopping.
bool LibraryServer::Admit(int fd) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) {
    close(fd);
    return false;
  }
  connections_.insert(fd);
  return true;
}

void LibraryServer::Dismiss(int fd) {
  absl::MutexLock lock(&mutex_);
  connections_.erase(fd);
  close(fd);
}

uint64_t LibraryServer::BeginGreeting(int fd) {
  absl::MutexLock lock(&mutex_);
  if (greetings_.size() >= kMaxGreetings) {
    shutdown(greetings_.begin()->second, SHUT_RDWR);
    greetings_.erase(greetings_.begin());
  }
  greetings_[++last_greeting_] = fd;
  return last_greeting_;
}

void LibraryServer::EndGreeting(uint64_t greeting) {
  absl::MutexLock lock(&mutex_);
  greetings_.erase(greeting);
}

void LibraryServer::OnUnix(int fd) {
  const absl::StatusOr<UnixPeer> peer = PeerOf(fd);
  if (!peer.ok()) {
    close(fd);
    return;
  }
  if (!Admit(fd)) return;
  RunOnThread([this, fd, peer = *peer] {
    SessionInfo info;
    info.user = peer.user;
    info.superuser = peer.superuser;
    ServePlain(fd, info, [this](const SessionInfo& peer) { return OpenSession(peer); });
    Dismiss(fd);
  });
}

void LibraryServer::OnTcp(int fd, Transport transport) {
  const std::string host = HostOf(fd);
  if (!Admit(fd)) return;
  KeepAlive(fd);
  const uint64_t greeting = BeginGreeting(fd);
  RunOnThread([this, fd, transport, host, greeting] {
    const absl::Status status = Greet(fd, transport, host, [&](const SessionInfo& peer) {
      EndGreeting(greeting);
      return OpenSession(peer);
    });
    EndGreeting(greeting);
    if (!status.ok()) handler_->OnRefused(transport, host, status);
    Dismiss(fd);
  });
}

absl::Status LibraryServer::Greet(int fd, Transport transport, const std::string& host,
                                  const Opener& open) {
  std::string host_key;
  std::optional<TlsIdentity> tls;
  {
    absl::MutexLock lock(&mutex_);
    host_key = host_key_;
    tls = tls_;
  }
  if (transport == Transport::kSsh) return ServeSsh(fd, host_key, host, handler_, open);
  if (tls.has_value()) return ServeTls(fd, *tls, host, open);
  return absl::FailedPreconditionError("there is no certificate for TLS");
}

absl::Status LibraryServer::ServeCall(int fd, const TcpEndpoint& endpoint,
                                      absl::Duration idle_timeout,
                                      const std::function<void()>& on_open) {
  if (!Admit(fd)) return absl::CancelledError("the server is stopping");
  KeepAlive(fd);
  const Opener open = [&](const SessionInfo& peer) {
    absl::StatusOr<Opened> opened = OpenSession(peer);
    if (!opened.ok()) return opened;
    if (idle_timeout > absl::ZeroDuration()) opened->idle_timeout = idle_timeout;
    on_open();
    return opened;
  };
  const absl::Status status = Greet(fd, endpoint.transport, endpoint.address, open);
  Dismiss(fd);
  return status;
}

// ---- endpoints ----

void LibraryServer::SetHostKey(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  host_key_ = path;
}

absl::Status LibraryServer::SetTls(const TlsIdentity& identity) {
  {
    absl::MutexLock lock(&mutex_);
    tls_ = identity;
  }
  return CheckTls(identity);
}

absl::Status LibraryServer::AddUnix(const UnixEndpoint& endpoint) {
  absl::MutexLock lock(&endpoints_mutex_);
  if (unix_.count(endpoint.path) != 0) {
    return absl::AlreadyExistsError(absl::StrCat("the socket ", endpoint.path, " is served"));
  }
  ASSIGN_OR_RETURN(const int fd, ListenUnix(endpoint.path, endpoint.group));
  unix_[endpoint.path] =
      std::make_unique<Listener>(fd, endpoint.path, [this](int connection) { OnUnix(connection); });
  return absl::OkStatus();
}

void LibraryServer::RemoveUnix(const std::string& path) {
  absl::MutexLock lock(&endpoints_mutex_);
  unix_.erase(path);
}

absl::Status LibraryServer::AddTcp(const TcpEndpoint& endpoint) {
  absl::MutexLock lock(&endpoints_mutex_);
  std::unique_ptr<Listener>& listener = tcp_[{endpoint.transport, endpoint.name}];
  if (listener != nullptr) {
    return absl::AlreadyExistsError(absl::StrCat("there is an endpoint ", endpoint.name));
  }
  const absl::StatusOr<int> fd = ListenTcp(endpoint.address, endpoint.port);
  if (!fd.ok()) {
    tcp_.erase({endpoint.transport, endpoint.name});
    return Annotate(fd.status(), absl::StrCat("the endpoint ", endpoint.name));
  }
  listener = std::make_unique<Listener>(
      *fd, "", [this, transport = endpoint.transport](int fd) { OnTcp(fd, transport); });
  return absl::OkStatus();
}

void LibraryServer::RemoveTcp(Transport transport, const std::string& name) {
  absl::MutexLock lock(&endpoints_mutex_);
  tcp_.erase({transport, name});
}

void LibraryServer::SetCallHome(const std::map<std::string, CallHomeClient>& clients) {
  absl::MutexLock lock(&endpoints_mutex_);
  for (auto it = callers_.begin(); it != callers_.end();) {
    const auto wanted = clients.find(it->first);
    const bool stays = wanted != clients.end() && wanted->second == it->second.first;
    it = stays ? std::next(it) : callers_.erase(it);
  }
  for (const auto& [name, client] : clients) {
    auto& [current, caller] = callers_[name];
    if (caller != nullptr) continue;
    current = client;
    caller = std::make_unique<Caller>(name, client, callers_host_);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(std::shared_ptr<const yang::Context> context,
                                                      Handler* handler, const Limits& limits) {
  if (in_use.exchange(true)) {
    return absl::FailedPreconditionError("this process has a NETCONF server already");
  }
  auto server = std::make_unique<LibraryServer>(std::move(context), handler);
  RETURN_IF_ERROR(server->Begin(limits));
  return server;
}

}  // namespace portolan::netconf
