#include "services/base/netconf/server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "services/base/netconf/libnetconf2.h"
#include "services/base/netconf/session.h"
#include "services/base/netconf/sockets.h"
#include "services/base/status/status_macros.h"
#include "services/base/yang/filter.h"

namespace portolan::netconf {
namespace {

constexpr int kAcceptThreads = 4;
constexpr int kAcceptTimeout = 200;    // ms
constexpr uint16_t kAuthTimeout = 20;  // s

std::atomic<bool> in_use = false;  // the library's one server

nc_server_reply* OnRpc(lyd_node* rpc, nc_session* session) {
  return static_cast<Session*>(nc_session_get_data(session))->Answer(rpc);
}

// libyang keeps schemas const, and libnetconf2 its callbacks in them.
void SetCallback(const ly_ctx* context, const char* path) {
  auto* node = const_cast<lysc_node*>(lys_find_path(context, nullptr, path, 0));
  if (node != nullptr) nc_set_rpc_callback(node, reinterpret_cast<void*>(&OnRpc));
}

// A listener on a UNIX socket with its thread.
class UnixListener {
 public:
  UnixListener(std::string path, int fd, std::function<void(int)> on_connection)
      : path_(std::move(path)),
        fd_(fd),
        stop_(eventfd(0, EFD_CLOEXEC)),
        thread_([this, on_connection = std::move(on_connection)] { Run(on_connection); }) {}
  ~UnixListener() {
    const uint64_t one = 1;
    if (write(stop_, &one, sizeof(one)) == sizeof(one)) thread_.join();
    close(fd_);
    close(stop_);
    unlink(path_.c_str());
  }

 private:
  void Run(const std::function<void(int)>& on_connection) {
    for (;;) {
      pollfd files[] = {{fd_, POLLIN, 0}, {stop_, POLLIN, 0}};
      poll(files, 2, -1);
      if (files[1].revents != 0) return;
      const int connection = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection >= 0) {
        on_connection(connection);
      } else if (errno == EMFILE || errno == ENFILE) {
        absl::SleepFor(absl::Milliseconds(100));
      }
    }
  }

  const std::string path_;
  const int fd_;
  const int stop_;
  std::thread thread_;
};

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
    host_.on_channel = [this](nc_session* session) { Spawn(session); };
  }
  ~LibraryServer() override;

  absl::Status Begin(const Limits& limits);
  void SetLimits(const Limits& limits) override;
  absl::Status AddUnix(const UnixEndpoint& endpoint) override;
  void RemoveUnix(const std::string& path) override;
  absl::Status AddSsh(const SshEndpoint& endpoint) override;
  void RemoveSsh(const std::string& name) override;
  bool Kill(uint32_t session, uint32_t killer) override;
  absl::Status Notify(uint32_t session, absl::Time time, const std::string& xml) override;
  std::vector<std::pair<SessionInfo, Counters>> Sessions() override;
  Totals totals() override;
  std::vector<std::string> Capabilities() override;

 private:
  void SetAuthentication();
  int IsPassword(const nc_session* session, const char* password) const;
  int IsKey(const nc_session* session, ssh_key key) const;
  void Greet();
  void Spawn(nc_session* session);
  void OnConnection(int fd);
  void RunOnThread(std::unique_ptr<Session> session);
  void Count(const Session& ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<const yang::Context> context_;
  Handler* const handler_;
  Session::Host host_;
  std::atomic<uint32_t> max_sessions_ = 0;

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Totals ended_ ABSL_GUARDED_BY(mutex_);                       // of sessions that are over
  std::set<Session*> running_ ABSL_GUARDED_BY(mutex_);         // whose threads run
  std::map<uint32_t, Session*> open_ ABSL_GUARDED_BY(mutex_);  // of those, whose hellos were said
  std::map<std::string, SshEndpoint> ssh_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> host_keys_ ABSL_GUARDED_BY(mutex_);  // paths by endpoint

  absl::Mutex endpoints_mutex_;  // who changes endpoints; before mutex_
  std::map<std::string, std::unique_ptr<UnixListener>> unix_ ABSL_GUARDED_BY(endpoints_mutex_);
  std::vector<std::thread> greeters_ ABSL_GUARDED_BY(endpoints_mutex_);
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
  SetAuthentication();
  SetLimits(limits);
  return absl::OkStatus();
}

void LibraryServer::SetLimits(const Limits& limits) {
  nc_server_set_hello_timeout(static_cast<uint16_t>(absl::ToInt64Seconds(limits.hello_timeout)));
  nc_server_set_idle_timeout(static_cast<uint16_t>(absl::ToInt64Seconds(limits.idle_timeout)));
  max_sessions_ = limits.max_sessions;
}

LibraryServer::~LibraryServer() {
  absl::MutexLock endpoints(&endpoints_mutex_);
  unix_.clear();
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    for (Session* session : running_) session->End(0);
    // Greeters wait for peers that authenticate.
    for (const auto& [name, endpoint] : ssh_) CutConnections(endpoint.port);
  }
  for (std::thread& greeter : greeters_) greeter.join();
  {
    absl::MutexLock lock(&mutex_);
    for (Session* session : running_) session->End(0);
    mutex_.Await(absl::Condition(
        +[](std::set<Session*>* running) { return running->empty(); }, &running_));
  }
  nc_server_destroy();
  in_use = false;
}

// ---- sessions ----

void LibraryServer::RunOnThread(std::unique_ptr<Session> session) {
  {
    absl::MutexLock lock(&mutex_);
    running_.insert(session.get());
    if (stopping_) session->End(0);
  }
  std::thread([this, session = std::move(session)]() mutable {
    session->Run();
    nc_thread_destroy();
    absl::MutexLock lock(&mutex_);
    Count(*session);
    open_.erase(session->info().id);
    running_.erase(session.get());
    session.reset();
  }).detach();
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

void LibraryServer::OnConnection(int fd) {
  const absl::StatusOr<UnixPeer> peer = PeerOf(fd);
  bool full = false;
  {
    absl::MutexLock lock(&mutex_);
    full = running_.size() >= max_sessions_;
  }
  if (full || !peer.ok()) {
    close(fd);
    return;
  }
  RunOnThread(std::make_unique<Session>(&host_, fd, peer->user, peer->superuser));
}

void LibraryServer::Spawn(nc_session* session) {
  {
    absl::MutexLock lock(&mutex_);
    if (running_.size() >= max_sessions_) {
      nc_session_free(session, nullptr);
      return;
    }
  }
  const Transport transport =
      nc_session_get_ti(session) == NC_TI_OPENSSL ? Transport::kTls : Transport::kSsh;
  RunOnThread(std::make_unique<Session>(&host_, session, transport));
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

// ---- endpoints ----

absl::Status LibraryServer::AddUnix(const UnixEndpoint& endpoint) {
  absl::MutexLock lock(&endpoints_mutex_);
  if (unix_.count(endpoint.path) != 0) {
    return absl::AlreadyExistsError(absl::StrCat("the socket ", endpoint.path, " is served"));
  }
  ASSIGN_OR_RETURN(const int fd, ListenUnix(endpoint.path, endpoint.group));
  unix_[endpoint.path] = std::make_unique<UnixListener>(
      endpoint.path, fd, [this](int connection) { OnConnection(connection); });
  return absl::OkStatus();
}

void LibraryServer::RemoveUnix(const std::string& path) {
  absl::MutexLock lock(&endpoints_mutex_);
  unix_.erase(path);
}

// The library asks at each connection.
int HostKey(const char* name, void* paths, char** path, char**, NC_SSH_KEY_TYPE*) {
  const auto& find = *static_cast<std::function<std::string(const std::string&)>*>(paths);
  const std::string found = find(name);
  if (found.empty()) return 1;
  *path = strdup(found.c_str());
  return 0;
}

void LibraryServer::SetAuthentication() {
  nc_server_ssh_set_hostkey_clb(
      &HostKey, new std::function<std::string(const std::string&)>([this](const std::string& name) {
        absl::MutexLock lock(&mutex_);
        const auto it = host_keys_.find(name);
        return it == host_keys_.end() ? "" : it->second;
      }),
      [](void* paths) {
        delete static_cast<std::function<std::string(const std::string&)>*>(paths);
      });
  nc_server_ssh_set_passwd_auth_clb(
      [](const nc_session* session, const char* password, void* self) {
        return static_cast<LibraryServer*>(self)->IsPassword(session, password);
      },
      this, nullptr);
  nc_server_ssh_set_pubkey_auth_clb(
      [](const nc_session* session, ssh_key key, void* self) {
        return static_cast<LibraryServer*>(self)->IsKey(session, key);
      },
      this, nullptr);
}

int LibraryServer::IsPassword(const nc_session* session, const char* password) const {
  const char* user = nc_session_get_username(session);
  return user != nullptr && handler_->IsPassword(user, password) ? 0 : 1;
}

int LibraryServer::IsKey(const nc_session* session, ssh_key key) const {
  const char* user = nc_session_get_username(session);
  char* base64 = nullptr;
  if (user == nullptr || ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK) return 1;
  const std::string text = absl::StrCat(ssh_key_type_to_char(ssh_key_type(key)), " ", base64);
  ssh_string_free_char(base64);
  return handler_->IsKey(user, text) ? 0 : 1;
}

absl::Status LibraryServer::AddSsh(const SshEndpoint& endpoint) {
  absl::MutexLock endpoints(&endpoints_mutex_);
  const char* const name = endpoint.name.c_str();
  {
    absl::MutexLock lock(&mutex_);
    host_keys_[endpoint.name] = endpoint.host_key_path;
  }
  if (nc_server_add_endpt(name, NC_TI_LIBSSH) != 0) {
    return absl::AlreadyExistsError(absl::StrCat("there is an endpoint ", name, " already"));
  }
  if (nc_server_ssh_endpt_add_hostkey(name, name, -1) != 0 ||
      nc_server_ssh_endpt_set_auth_methods(name, NC_SSH_AUTH_PUBLICKEY | NC_SSH_AUTH_PASSWORD) !=
          0 ||
      nc_server_ssh_endpt_set_auth_timeout(name, kAuthTimeout) != 0 ||
      nc_server_endpt_enable_keepalives(name, 1) != 0 ||
      nc_server_endpt_set_address(name, endpoint.address.c_str()) != 0 ||
      nc_server_endpt_set_port(name, endpoint.port) != 0) {
    nc_server_del_endpt(name, NC_TI_LIBSSH);
    return absl::UnavailableError(absl::StrCat(
        "the endpoint ", name, " cannot listen on ", endpoint.address, " port ", endpoint.port,
        ": taken by another process, or no address of this machine; free it or choose another"));
  }
  absl::MutexLock lock(&mutex_);
  ssh_[endpoint.name] = endpoint;
  while (greeters_.size() < kAcceptThreads) {
    greeters_.emplace_back([this] { Greet(); });
  }
  return absl::OkStatus();
}

void LibraryServer::RemoveSsh(const std::string& name) {
  absl::MutexLock endpoints(&endpoints_mutex_);
  nc_server_del_endpt(name.c_str(), NC_TI_LIBSSH);
  absl::MutexLock lock(&mutex_);
  ssh_.erase(name);
  host_keys_.erase(name);
}

void LibraryServer::Greet() {
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      const auto due = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return stopping_ || !ssh_.empty();
      };
      mutex_.Await(absl::Condition(&due));
      if (stopping_) break;
    }
    nc_session* session = nullptr;
    switch (nc_accept(kAcceptTimeout, &session)) {
      case NC_MSG_HELLO:
        Spawn(session);
        break;
      case NC_MSG_WOULDBLOCK:
        break;
      default:
        // A peer that went away, mostly; or no endpoint any more.
        absl::SleepFor(absl::Milliseconds(10));
    }
  }
  nc_thread_destroy();
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
