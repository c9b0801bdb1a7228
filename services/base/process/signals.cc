#include "services/base/process/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <utility>

namespace portolan::process {

Signals::Signals(Loop* loop, std::function<void()> on_stop, std::function<void()> on_hangup)
    : loop_(loop) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  watch_ = loop->Watch(fd_, Loop::kReadable,
                       [this, on_stop = std::move(on_stop), on_hangup = std::move(on_hangup)](int) {
                         signalfd_siginfo info;
                         if (read(fd_, &info, sizeof(info)) != sizeof(info)) return;
                         if (info.ssi_signo != SIGHUP) {
                           on_stop();
                         } else if (on_hangup) {
                           on_hangup();
                         }
                       });
}

Signals::~Signals() {
  loop_->Unwatch(watch_);
  close(fd_);
}

}  // namespace portolan::process
