// Calls one call-home client again and again (RFC 8071), on a thread of its own. Private to this
// room.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/base/netconf/server.h"

namespace portolan::netconf {

class Caller {
 public:
  // What the server does for it.
  struct Host {
    // Serves a connection until it is over; it becomes the server's. `on_open`: a session was
    // opened on it.
    std::function<absl::Status(int fd, const TcpEndpoint& endpoint, absl::Duration idle_timeout,
                               const std::function<void()>& on_open)>
        serve;
    std::function<void(const CallState& state)> report;
    // Runs it on a thread, which the server waits for when it stops.
    std::function<void(std::function<void()> job)> start;
  };

  Caller(std::string name, CallHomeClient client, const Host& host);
  // Calls no more; a session that is open stays.
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

 private:
  class Loop;
  const std::shared_ptr<Loop> loop_;
};

}  // namespace portolan::netconf
