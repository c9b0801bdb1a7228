#include <libssh/callbacks.h>
#include <libssh/server.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/base/netconf/transport.h"
#include "services/base/status/status_macros.h"

namespace portolan::netconf {
namespace {

// Until the peer has shown who it is, and until it has asked for NETCONF afterwards.
constexpr absl::Duration kGreeting = absl::Seconds(20);
constexpr int kMaxFailures = 6;
constexpr size_t kMaxChannels = 16;
// A channel's data may come with a packet that was for another one.
constexpr absl::Duration kLook = absl::Seconds(1);
constexpr int kFlushTimeout = 2000;  // ms

class ChannelStream : public Stream {
 public:
  explicit ChannelStream(ssh_channel channel) : channel_(channel) {}
  ssize_t Read(char* to, size_t size) override {
    const int count = ssh_channel_read_nonblocking(channel_, to, size, 0);
    if (count > 0) return count;
    if (count == SSH_EOF || ssh_channel_is_eof(channel_)) return kEnd;
    return count == 0 || count == SSH_AGAIN ? kNothing : kBroken;
  }
  ssize_t Write(absl::string_view octets) override {
    if (!ssh_channel_is_open(channel_)) return kBroken;
    const size_t size = std::min<size_t>(octets.size(), ssh_channel_window_size(channel_));
    if (size == 0) return kNothing;
    const int count = ssh_channel_write(channel_, octets.data(), size);
    if (count > 0) return count;
    return count == 0 || count == SSH_AGAIN ? kNothing : kBroken;
  }

 private:
  const ssh_channel channel_;
};

// A channel that a client has opened; NETCONF runs on it once it has asked for it.
struct Channel {
  explicit Channel(ssh_channel handle) : handle(handle), stream(handle) {}
  const ssh_channel handle;
  ChannelStream stream;
  ssh_channel_callbacks_struct callbacks = {};
  std::unique_ptr<Relay> relay;
  bool over = false;
};

class Connection {
 public:
  Connection(std::string host, Handler* handler, const Opener& open)
      : host_(std::move(host)), handler_(handler), open_(open), session_(ssh_new()) {}
  ~Connection();

  // `fd` is the library's from here on.
  absl::Status Begin(int fd, const std::string& host_key_path);
  absl::Status Greet();
  void Serve();

 private:
  static int OnPassword(ssh_session, const char* user, const char* password, void* self);
  static int OnKey(ssh_session, const char* user, ssh_key_struct* key, char state, void* self);
  static ssh_channel OnChannel(ssh_session, void* self);
  static int OnSubsystem(ssh_session, ssh_channel channel, const char* name, void* self);
  static int OnMessage(ssh_session, ssh_message message, void* self);

  bool IsUser(const char* user);
  int Judge(bool allowed);
  bool Answers(ssh_message message);
  void OpenSession(Channel* channel);
  bool Pump(absl::Duration timeout);
  bool Step(const std::vector<pollfd>& files);
  bool HasNetconf() const;
  absl::Status Error(const char* doing) const {
    return absl::UnauthenticatedError(absl::StrCat(doing, ": ", ssh_get_error(session_)));
  }

  const std::string host_;
  Handler* const handler_;
  const Opener& open_;
  const ssh_session session_;
  ssh_server_callbacks_struct callbacks_ = {};
  std::string user_;
  bool authenticated_ = false;
  bool was_asked_ = false;  // for the password
  int failures_ = 0;
  std::list<Channel> channels_;
};

Connection::~Connection() {
  for (Channel& channel : channels_) {
    channel.relay.reset();
    ssh_remove_channel_callbacks(channel.handle, &channel.callbacks);
  }
  // Its channels go with it.
  ssh_disconnect(session_);
  ssh_free(session_);
}

absl::Status Connection::Begin(int fd, const std::string& host_key_path) {
  const std::unique_ptr<ssh_bind_struct, decltype(&ssh_bind_free)> bind(ssh_bind_new(),
                                                                        &ssh_bind_free);
  if (ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_HOSTKEY, host_key_path.c_str()) != SSH_OK) {
    close(fd);
    return absl::FailedPreconditionError(
        absl::StrCat("the SSH host key ", host_key_path, " cannot be used"));
  }
  callbacks_.userdata = this;
  callbacks_.auth_password_function = &OnPassword;
  callbacks_.auth_pubkey_function = &OnKey;
  callbacks_.channel_open_request_session_function = &OnChannel;
  ssh_callbacks_init(&callbacks_);
  ssh_set_server_callbacks(session_, &callbacks_);
  // For what has no callback of its own: keyboard-interactive.
  ssh_set_message_callback(session_, &OnMessage, this);
  ssh_set_auth_methods(
      session_, SSH_AUTH_METHOD_PUBLICKEY | SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_INTERACTIVE);
  if (ssh_bind_accept_fd(bind.get(), session_, fd) != SSH_OK) {
    close(fd);
    return Error("SSH does not begin");
  }
  ssh_set_blocking(session_, 0);
  return absl::OkStatus();
}

absl::Status Connection::Greet() {
  absl::Time deadline = absl::Now() + kGreeting;
  for (;;) {
    const int result = ssh_handle_key_exchange(session_);
    if (result == SSH_OK) break;
    if (result != SSH_AGAIN) return Error("no keys were agreed on");
    if (absl::Now() >= deadline || !Pump(deadline - absl::Now())) {
      return absl::DeadlineExceededError("it did not exchange keys");
    }
  }
  while (!authenticated_) {
    if (failures_ >= kMaxFailures) {
      return absl::UnauthenticatedError(absl::StrCat("too many attempts as ", user_));
    }
    if (absl::Now() >= deadline || !Pump(deadline - absl::Now())) {
      return absl::UnauthenticatedError("it went away, or took too long to show who it is");
    }
  }
  deadline = absl::Now() + kGreeting;
  while (!HasNetconf()) {
    if (absl::Now() >= deadline || !Pump(deadline - absl::Now())) {
      return absl::DeadlineExceededError(absl::StrCat(user_, " did not ask for NETCONF"));
    }
  }
  return absl::OkStatus();
}

bool Connection::HasNetconf() const {
  return std::any_of(channels_.begin(), channels_.end(),
                     [](const Channel& channel) { return channel.relay != nullptr; });
}

// ---- who it is ----

// A peer does not change who it says it is.
bool Connection::IsUser(const char* user) {
  if (user == nullptr || *user == '\0') return false;
  if (user_.empty()) user_ = user;
  return user_ == user;
}

int Connection::Judge(bool allowed) {
  authenticated_ = allowed;
  if (allowed) return SSH_AUTH_SUCCESS;
  ++failures_;
  return SSH_AUTH_DENIED;
}

int Connection::OnPassword(ssh_session, const char* user, const char* password, void* self) {
  auto* const connection = static_cast<Connection*>(self);
  return connection->Judge(connection->failures_ < kMaxFailures && connection->IsUser(user) &&
                           connection->handler_->IsPassword(user, password));
}

int Connection::OnKey(ssh_session, const char* user, ssh_key_struct* key, char state, void* self) {
  auto* const connection = static_cast<Connection*>(self);
  char* base64 = nullptr;
  if (!connection->IsUser(user) || ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK) {
    return SSH_AUTH_DENIED;
  }
  const std::string text = absl::StrCat(ssh_key_type_to_char(ssh_key_type(key)), " ", base64);
  ssh_string_free_char(base64);
  const bool known = connection->handler_->IsKey(user, text);
  // First clients ask whether a key would do, which proves nothing and costs nothing.
  if (state == SSH_PUBLICKEY_STATE_NONE) return known ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
  return connection->Judge(known && state == SSH_PUBLICKEY_STATE_VALID);
}

// Keyboard-interactive (RFC 4256) with one question, the password.
bool Connection::Answers(ssh_message message) {
  if (!ssh_message_auth_kbdint_is_response(message)) {
    was_asked_ = IsUser(ssh_message_auth_user(message));
    if (!was_asked_) return false;
    const char* prompts[] = {"Password: "};
    char echo[] = {0};
    ssh_message_auth_interactive_request(message, "", "", 1, prompts, echo);
    return true;
  }
  // An answer does not say of whom it is.
  if (!std::exchange(was_asked_, false)) return false;
  const char* const answer = ssh_userauth_kbdint_getnanswers(session_) == 1
                                 ? ssh_userauth_kbdint_getanswer(session_, 0)
                                 : nullptr;
  const bool allowed =
      failures_ < kMaxFailures && answer != nullptr && handler_->IsPassword(user_, answer);
  if (Judge(allowed) != SSH_AUTH_SUCCESS) return false;
  ssh_message_auth_reply_success(message, 0);
  return true;
}

int Connection::OnMessage(ssh_session, ssh_message message, void* self) {
  auto* const connection = static_cast<Connection*>(self);
  const bool is_question = ssh_message_type(message) == SSH_REQUEST_AUTH &&
                           ssh_message_subtype(message) == SSH_AUTH_METHOD_INTERACTIVE;
  // 1: libssh refuses it.
  return is_question && !connection->authenticated_ && connection->Answers(message) ? 0 : 1;
}

// ---- channels ----

ssh_channel Connection::OnChannel(ssh_session session, void* self) {
  auto* const connection = static_cast<Connection*>(self);
  if (!connection->authenticated_ || connection->channels_.size() >= kMaxChannels) return nullptr;
  const ssh_channel handle = ssh_channel_new(session);
  if (handle == nullptr) return nullptr;
  Channel& channel = connection->channels_.emplace_back(handle);
  channel.callbacks.userdata = self;
  channel.callbacks.channel_subsystem_request_function = &OnSubsystem;
  ssh_callbacks_init(&channel.callbacks);
  ssh_set_channel_callbacks(handle, &channel.callbacks);
  return handle;
}

int Connection::OnSubsystem(ssh_session, ssh_channel handle, const char* name, void* self) {
  auto* const connection = static_cast<Connection*>(self);
  if (absl::string_view(name) != "netconf") return 1;
  for (Channel& channel : connection->channels_) {
    if (channel.handle != handle || channel.relay != nullptr) continue;
    connection->OpenSession(&channel);
    return channel.relay == nullptr ? 1 : 0;
  }
  return 1;
}

void Connection::OpenSession(Channel* channel) {
  SessionInfo info;
  info.user = user_;
  info.transport = Transport::kSsh;
  info.host = host_;
  absl::StatusOr<Opened> opened = open_(info);
  if (!opened.ok()) return;
  channel->relay = std::make_unique<Relay>(&channel->stream, *std::move(opened));
}

// Waits, and has libssh read and write what it can. False: the connection is gone.
bool Connection::Pump(absl::Duration timeout) {
  std::vector<pollfd> files;
  const bool writes = (ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) != 0;
  files.push_back({ssh_get_fd(session_), static_cast<short>(POLLIN | (writes ? POLLOUT : 0)), 0});
  const absl::Time now = absl::Now();
  for (const Channel& channel : channels_) {
    const Relay::Wish wish = channel.relay == nullptr ? Relay::Wish() : channel.relay->Wants(now);
    files.push_back({wish.fd, wish.events, 0});
    timeout = std::min(timeout, wish.timeout);
  }
  poll(files.data(), files.size(),
       static_cast<int>(std::max<int64_t>(absl::ToInt64Milliseconds(timeout) + 1, 0)));
  if (ssh_execute_message_callbacks(session_) != SSH_OK || !ssh_is_connected(session_)) {
    return false;
  }
  return Step(files);
}

bool Connection::Step(const std::vector<pollfd>& files) {
  // Those that have come since poll() stand behind the others.
  size_t at = 1;
  for (Channel& channel : channels_) {
    const short seen = at < files.size() ? files[at].revents : 0;
    ++at;
    if (channel.relay == nullptr || channel.over) continue;
    channel.over = !channel.relay->Step((seen & (POLLHUP | POLLERR)) != 0, absl::Now());
  }
  for (auto it = channels_.begin(); it != channels_.end();) {
    const bool closed = it->relay == nullptr && ssh_channel_is_closed(it->handle);
    if (!it->over && !closed) {
      ++it;
      continue;
    }
    it->relay.reset();
    ssh_remove_channel_callbacks(it->handle, &it->callbacks);
    ssh_channel_send_eof(it->handle);
    ssh_channel_free(it->handle);
    it = channels_.erase(it);
  }
  return ssh_is_connected(session_) != 0;
}

void Connection::Serve() {
  // The last one that ends ends the connection.
  while (HasNetconf() && Pump(kLook)) continue;
  ssh_blocking_flush(session_, kFlushTimeout);
}

}  // namespace

absl::Status ServeSsh(int fd, const std::string& host_key_path, const std::string& host,
                      Handler* handler, const Opener& open) {
  const int own = dup(fd);
  if (own < 0) return absl::ResourceExhaustedError("no more files can be opened");
  Connection connection(host, handler, open);
  RETURN_IF_ERROR(connection.Begin(own, host_key_path));
  RETURN_IF_ERROR(connection.Greet());
  connection.Serve();
  return absl::OkStatus();
}

}  // namespace portolan::netconf
