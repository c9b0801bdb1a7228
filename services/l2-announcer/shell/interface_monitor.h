// This machine's interfaces, and a word whenever one of them changes.
//
// The kernel's notifications (rtnetlink, RFC 3549) only say that something changed; what there is
// is then read afresh, so that a lost notification costs nothing once another one comes.
//
// Lives on the loop's thread; calls back there. Owns its socket.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/base/loop/loop.h"
#include "services/l2-announcer/core/model.h"

namespace portolan::l2 {

using Interfaces = std::map<std::string, Interface>;

// Everything that there is now. UNAVAILABLE: the kernel did not answer.
absl::StatusOr<Interfaces> ReadInterfaces();

class InterfaceMonitor {
 public:
  // `on_change` gets everything: now, from Open() itself, and after each change.
  static absl::StatusOr<std::unique_ptr<InterfaceMonitor>> Open(
      Loop* loop, std::function<void(const Interfaces&)> on_change);
  ~InterfaceMonitor();
  InterfaceMonitor(const InterfaceMonitor&) = delete;
  InterfaceMonitor& operator=(const InterfaceMonitor&) = delete;

 private:
  InterfaceMonitor(Loop* loop, int fd, std::function<void(const Interfaces&)> on_change);
  void Drain();
  void Read();

  Loop* loop_;
  int fd_;
  std::function<void(const Interfaces&)> on_change_;
  Loop::FdId watch_ = 0;
  Loop::TimerId retry_ = 0;
};

}  // namespace portolan::l2
