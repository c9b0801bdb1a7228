#include <sys/socket.h>

#include <cerrno>

#include "services/base/netconf/transport.h"

namespace portolan::netconf {
namespace {

class SocketStream : public Stream {
 public:
  explicit SocketStream(int fd) : fd_(fd) {}
  ssize_t Read(char* to, size_t size) override { return Result(recv(fd_, to, size, MSG_DONTWAIT)); }
  ssize_t Write(absl::string_view octets) override {
    return Result(send(fd_, octets.data(), octets.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  }

 private:
  static ssize_t Result(ssize_t count) {
    if (count >= 0) return count;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? kNothing : kBroken;
  }

  const int fd_;
};

}  // namespace

void ServePlain(int fd, const SessionInfo& info, const Opener& open) {
  absl::StatusOr<Opened> opened = open(info);
  if (!opened.ok()) return;
  SocketStream stream(fd);
  Carry(&stream, fd, *std::move(opened));
}

}  // namespace portolan::netconf
