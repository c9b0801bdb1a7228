// SIGTERM and SIGINT end a loop in order; SIGHUP calls back. Signals are taken from the whole
// process: construct before any thread is started, one object a process, on the loop's thread.
#pragma once

#include <functional>

#include "services/base/loop/loop.h"

namespace portolan::process {

class Signals {
 public:
  // `on_hangup` may be empty: then SIGHUP is ignored.
  Signals(Loop* loop, std::function<void()> on_stop, std::function<void()> on_hangup = nullptr);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  Loop* const loop_;
  int fd_;
  Loop::FdId watch_;
};

}  // namespace portolan::process
