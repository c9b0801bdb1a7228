#include "services/base/netconf/relay.h"

#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/time/clock.h"

namespace portolan::netconf {
namespace {

constexpr size_t kBuffer = 64 << 10;
// Octets whose memory is worth giving back at once.
constexpr size_t kLarge = 8 << 20;
// So that neither direction waits for the other.
constexpr int kRounds = 16;
// A client that stops in the middle of a message, and one that does not read what is left for it
// when its session has ended.
constexpr absl::Duration kPause = absl::Seconds(20);
constexpr absl::Duration kGrace = absl::Seconds(2);

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Relay::~Relay() { close(inner_); }

Relay::Wish Relay::Wants(absl::Time now) const {
  Wish wish;
  wish.read = !no_more_in_ && intake_.ready().empty();
  wish.write = !out_.empty();
  const bool has_room = !no_more_out_ && out_.size() < kBuffer;
  if (has_room) wish.events |= POLLIN;
  if (!intake_.ready().empty()) wish.events |= POLLOUT;
  // Without events poll() still says that the other end is closed, which is heard once.
  if (!no_more_out_ && (has_room || !hung_up_)) wish.fd = inner_;
  if (hung_up_) wish.timeout = last_out_ + kGrace - now;
  if (wish.read && intake_.in_message()) {
    wish.timeout = std::min(wish.timeout, last_in_ + kPause - now);
  }
  wish.timeout = std::min(wish.timeout, std::max(last_in_, last_out_) + idle_timeout_ - now);
  return wish;
}

bool Relay::Step(bool hung_up, absl::Time now) {
  if (hung_up && !hung_up_) {
    hung_up_ = true;
    last_out_ = now;
  }
  TakeIn(now);
  TakeOut(now);
  if (broken_ || (no_more_out_ && out_.empty())) return false;
  if (hung_up_ && now >= last_out_ + kGrace) return false;
  if (now >= std::max(last_in_, last_out_) + idle_timeout_) return false;
  return no_more_in_ || !intake_.in_message() || now < last_in_ + kPause;
}

void Relay::TakeIn(absl::Time now) {
  std::vector<char> buffer(kBuffer);
  for (int round = 0; round < kRounds && HandOver() && !no_more_in_ && !broken_; ++round) {
    const ssize_t count = outer_->Read(buffer.data(), buffer.size());
    if (count == Stream::kNothing) break;
    last_in_ = now;
    taken_ += std::max<ssize_t>(count, 0);
    if (count == Stream::kBroken) {
      broken_ = true;
    } else if (count == Stream::kEnd ||
               !intake_.Feed({buffer.data(), static_cast<size_t>(count)})) {
      no_more_in_ = true;
    }
  }
  if (taken_ >= kLarge && !intake_.in_message() && intake_.ready().empty()) {
    // Freed in small pieces, it would stay with the process.
    malloc_trim(0);
    taken_ = 0;
  }
  if (no_more_in_ && HandOver() && !told_) {
    told_ = true;
    shutdown(inner_, SHUT_WR);
  }
}

// True: the library has everything that is ready for it.
bool Relay::HandOver() {
  absl::Cord& ready = intake_.ready();
  while (!ready.empty()) {
    const absl::string_view chunk = *ready.chunk_begin();
    const ssize_t sent = send(inner_, chunk.data(), chunk.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      ready.RemovePrefix(sent);
    } else if (WouldBlock()) {
      return false;
    } else {
      // It will not read it.
      ready.Clear();
      no_more_in_ = true;
    }
  }
  return true;
}

void Relay::TakeOut(absl::Time now) {
  for (int round = 0; round < kRounds; ++round) {
    const bool had_something = ReadInner(now);
    if (out_.empty()) {
      if (!had_something) return;
      continue;
    }
    const ssize_t written = outer_->Write(out_);
    if (written == Stream::kNothing) return;
    if (written == Stream::kBroken) {
      broken_ = true;
      return;
    }
    out_.erase(0, written);
    last_out_ = now;
  }
}

bool Relay::ReadInner(absl::Time now) {
  if (no_more_out_ || out_.size() >= kBuffer) return false;
  const size_t size = out_.size();
  out_.resize(size + kBuffer);
  const ssize_t count = recv(inner_, out_.data() + size, kBuffer, MSG_DONTWAIT);
  out_.resize(size + std::max<ssize_t>(count, 0));
  if (count > 0) return true;
  if (count < 0 && WouldBlock()) return false;
  no_more_out_ = true;
  if (!hung_up_) last_out_ = now;
  hung_up_ = true;
  return false;
}

void Carry(Stream* outer, int fd, Opened opened) {
  Relay relay(outer, std::move(opened));
  for (;;) {
    const absl::Time now = absl::Now();
    const Relay::Wish wish = relay.Wants(now);
    const short events = (wish.read ? POLLIN : 0) | (wish.write ? POLLOUT : 0);
    pollfd files[] = {{events == 0 ? -1 : fd, events, 0}, {wish.fd, wish.events, 0}};
    int timeout_ms = -1;
    if (wish.timeout < absl::InfiniteDuration()) {
      timeout_ms = std::max<int64_t>(absl::ToInt64Milliseconds(wish.timeout) + 1, 0);
    }
    poll(files, 2, wish.read && outer->has_more() ? 0 : timeout_ms);
    if (!relay.Step((files[1].revents & (POLLHUP | POLLERR)) != 0, absl::Now())) return;
  }
}

}  // namespace portolan::netconf
