#include "services/base/netconf/listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/time/clock.h"

namespace portolan::netconf {

Listener::Listener(int fd, std::string path, std::function<void(int)> on_connection)
    : fd_(fd),
      path_(std::move(path)),
      stop_(eventfd(0, EFD_CLOEXEC)),
      thread_([this, on_connection = std::move(on_connection)] { Run(on_connection); }) {}

Listener::~Listener() {
  const uint64_t one = 1;
  if (write(stop_, &one, sizeof(one)) == sizeof(one)) thread_.join();
  close(fd_);
  close(stop_);
  if (!path_.empty()) unlink(path_.c_str());
}

void Listener::Run(const std::function<void(int)>& on_connection) {
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

}  // namespace portolan::netconf
