#include "plugins/sdk/exchange.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace portolan::plugin {
namespace {

absl::Status SystemError(const char* what, int error) {
  return absl::UnavailableError(std::string(what) + ": " + strerror(error));
}

// Returns its size.
socklen_t Fill(const HealthTarget& target, sockaddr_storage& storage) {
  const std::string bytes = target.address.ToBytes();
  storage = {};
  if (target.address.is_ipv4()) {
    auto* address = reinterpret_cast<sockaddr_in*>(&storage);
    address->sin_family = AF_INET;
    address->sin_port = htons(target.port);
    memcpy(&address->sin_addr, bytes.data(), bytes.size());
    return sizeof(*address);
  }
  auto* address = reinterpret_cast<sockaddr_in6*>(&storage);
  address->sin6_family = AF_INET6;
  address->sin6_port = htons(target.port);
  memcpy(&address->sin6_addr, bytes.data(), bytes.size());
  return sizeof(*address);
}

}  // namespace

std::unique_ptr<Exchange> Exchange::Begin(Loop* loop, const HealthTarget& target, Question question,
                                          HealthCheck::Done done) {
  std::unique_ptr<Exchange> exchange(new Exchange(loop, std::move(question), std::move(done)));
  exchange->Connect(target);
  return exchange;
}

Exchange::~Exchange() {
  if (watch_ != 0) loop_->Unwatch(watch_);
  if (fd_ >= 0) close(fd_);
}

void Exchange::Connect(const HealthTarget& target) {
  sockaddr_storage address;
  const socklen_t size = Fill(target, address);
  fd_ = socket(address.ss_family, question_.socket_type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return Finish(SystemError("no socket", errno));
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 && errno != EINPROGRESS) {
    return Finish(SystemError("cannot connect", errno));
  }
  Watch(Loop::kWritable, &Exchange::OnWritable);
}

void Exchange::Watch(int events, void (Exchange::*handler)()) {
  if (watch_ != 0) loop_->Unwatch(watch_);
  watch_ = loop_->Watch(fd_, events, [this, handler](int) { (this->*handler)(); });
}

void Exchange::OnWritable() {
  if (finished_ || asked_) return;
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return Finish(SystemError("cannot connect", error));
  if (question_.judge == nullptr) return Finish(absl::OkStatus());
  const ssize_t sent = send(fd_, question_.text.data(), question_.text.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(question_.text.size())) {
    return Finish(SystemError("cannot send", sent < 0 ? errno : EMSGSIZE));
  }
  asked_ = true;
  // Not within the callback of the watch that this one replaces.
  loop_->Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired() && !finished_) Watch(Loop::kReadable, &Exchange::OnReadable);
  });
}

void Exchange::OnReadable() {
  if (finished_) return;
  char buffer[kMaxAnswer];
  const ssize_t size = recv(fd_, buffer, kMaxAnswer - answer_.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) return Finish(SystemError("no answer", errno));
  answer_.append(buffer, size);
  const bool ended = size == 0 || answer_.size() == kMaxAnswer;
  std::optional<absl::Status> verdict = question_.judge(answer_, ended);
  if (verdict.has_value()) return Finish(*std::move(verdict));
  if (ended) Finish(absl::UnavailableError("the answer ended early"));
}

void Exchange::Finish(absl::Status verdict) {
  if (std::exchange(finished_, true)) return;
  loop_->Post([this, alive = std::weak_ptr<bool>(alive_), verdict = std::move(verdict)]() mutable {
    if (alive.expired()) return;
    HealthCheck::Done done = std::move(done_);
    done(std::move(verdict));
  });
}

}  // namespace portolan::plugin
