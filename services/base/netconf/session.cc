#include "services/base/netconf/session.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "services/base/netconf/malformed.h"
#include "services/base/netconf/rpc.h"

namespace portolan::netconf {
namespace {

constexpr size_t kMaxNotifications = 10000;
// The socket tells when there is something to do, but for idle time.
constexpr int kLook = 500;             // ms
constexpr int kNotifyTimeout = 20000;  // ms

const char* ReasonOf(NC_SESSION_TERM_REASON reason) {
  switch (reason) {
    case NC_SESSION_TERM_CLOSED:
      return "closed";
    case NC_SESSION_TERM_KILLED:
      return "killed";
    case NC_SESSION_TERM_DROPPED:
      return "dropped";
    case NC_SESSION_TERM_TIMEOUT:
      return "timeout";
    case NC_SESSION_TERM_BADHELLO:
      return "bad-hello";
    default:
      return "other";
  }
}

// What the intake asks with, in the name of the client, for its refusal to be answered.
std::string IdentifierOf(const Request& request) {
  if (request.operation != "get-schema") return "";
  const yang::Node identifier = request.input.Child("identifier");
  return identifier ? identifier.value() : "";
}

}  // namespace

Session::Session(const Host* host, int fd, SessionInfo peer, std::shared_ptr<Refusals> refusals)
    : host_(host),
      info_(std::move(peer)),
      refusals_(std::move(refusals)),
      fd_(fd),
      wake_up_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Session::~Session() {
  for (nc_server_notif* notification : notifications_) nc_server_notif_free(notification);
  close(wake_up_);
}

bool Session::Open() {
  if (nc_accept_inout(fd_, fd_, info_.user.c_str(), &session_) != NC_MSG_HELLO) {
    session_ = nullptr;
    return false;
  }
  info_.id = nc_session_get_id(session_);
  info_.since = absl::Now();
  nc_session_set_data(session_, this);
  return true;
}

void Session::Run() {
  if (Open()) {
    host_->on_open(this);
    host_->handler->OnOpen(info_);
    Serve();
    host_->handler->OnClosed(info_, TakeEnding());
  }
  int fd = -1;
  {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    std::swap(fd, fd_);
  }
  if (session_ != nullptr) nc_session_free(session_, nullptr);
  close(fd);
}

void Session::Serve() {
  nc_pollsession* const set = nc_ps_new();
  nc_ps_add_session(set, session_);
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      if (ended_) break;
    }
    BeginMessage();
    const int result = nc_ps_poll(set, 0, nullptr);
    if (result & (NC_PSPOLL_SESSION_TERM | NC_PSPOLL_SESSION_ERROR | NC_PSPOLL_ERROR)) break;
    if (result & NC_PSPOLL_BAD_RPC) {
      absl::MutexLock lock(&mutex_);
      ++counters_.in_bad_rpcs;
    }
    if (result & NC_PSPOLL_REPLY_ERROR) {
      absl::MutexLock lock(&mutex_);
      ++counters_.out_rpc_errors;
    }
    SendNotifications();
    if (result & NC_PSPOLL_TIMEOUT) Wait();
  }
  nc_ps_del_session(set, session_);
  nc_ps_free(set);
}

void Session::Wait() {
  pollfd files[] = {{fd_, POLLIN, 0}, {wake_up_, POLLIN, 0}};
  poll(files, 2, kLook);
  uint64_t count = 0;
  if (files[1].revents != 0 && read(wake_up_, &count, sizeof(count)) < 0) return;
}

nc_server_reply* Session::Answer(lyd_node* rpc) {
  const Reply reply = ReplyTo(ToRequest(rpc));
  if (reply.errors.empty() && reply.kind == Reply::Kind::kClose) {
    nc_session_set_term_reason(session_, NC_SESSION_TERM_CLOSED);
    closed_ = true;
  }
  if (reply.errors.empty() && reply.subscribes) nc_session_inc_notif_status(session_);
  return ToReply(rpc, reply);
}

Reply Session::ReplyTo(const Request& request) {
  std::optional<Error> refusal = refusals_->Take(IdentifierOf(request));
  {
    absl::MutexLock lock(&mutex_);
    ++(refusal.has_value() ? counters_.in_bad_rpcs : counters_.in_rpcs);
  }
  if (refusal.has_value()) return Reply::Refuse({*std::move(refusal)});
  return host_->handler->OnRequest(info_, request);
}

void Session::SendNotifications() {
  for (;;) {
    nc_server_notif* next = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (notifications_.empty() || ended_) return;
      next = notifications_.front();
      notifications_.pop_front();
      ++counters_.out_notifications;
    }
    const NC_MSG_TYPE sent = nc_server_notif_send(session_, next, kNotifyTimeout);
    nc_server_notif_free(next);
    if (sent != NC_MSG_NOTIF) return End(0);
  }
}

bool Session::Leave(nc_server_notif* notification) {
  {
    absl::MutexLock lock(&mutex_);
    if (ended_ || notifications_.size() >= kMaxNotifications) {
      nc_server_notif_free(notification);
      if (!ended_) Cut();
      return false;
    }
    notifications_.push_back(notification);
  }
  const uint64_t one = 1;
  return write(wake_up_, &one, sizeof(one)) == sizeof(one);
}

void Session::Cut() {
  ended_ = true;
  if (fd_ >= 0) shutdown(fd_, SHUT_RDWR);
}

void Session::End(uint32_t killer) {
  absl::MutexLock lock(&mutex_);
  if (ended_) return;
  killer_ = killer;
  Cut();
}

Counters Session::counters() const {
  absl::MutexLock lock(&mutex_);
  return counters_;
}

Ending Session::TakeEnding() {
  absl::MutexLock lock(&mutex_);
  if (killer_ != 0) return {"killed", killer_};
  if (closed_) return {"closed"};
  return {ended_ ? "other" : ReasonOf(nc_session_get_term_reason(session_))};
}

}  // namespace portolan::netconf
