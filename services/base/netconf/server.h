// A NETCONF server (RFC 6241, 6242, 7589) over libnetconf2: endpoints, sessions, requests,
// notifications. The only room that sees libnetconf2.
//
// One in a process at a time, because the library has one. Each session has a thread of its own,
// so that one that is slow, or sends rubbish, delays nobody else; new connections of SSH and TLS
// are greeted by four further threads. All public functions are thread-safe; those about endpoints
// may wait up to half a minute for a peer that is about to authenticate. Threads begin in Start():
// block signals before.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/base/netconf/handler.h"
#include "services/base/netconf/message.h"
#include "services/base/yang/context.h"

namespace portolan::netconf {

struct UnixEndpoint {
  std::string path;   // at most 107 bytes; a socket that is there is replaced
  std::string group;  // whose members may connect beside the owner; empty: nobody
  friend bool operator==(const UnixEndpoint&, const UnixEndpoint&) = default;
};

struct SshEndpoint {
  std::string name;
  std::string address;
  uint16_t port = 830;
  std::string host_key_path;
  friend bool operator==(const SshEndpoint&, const SshEndpoint&) = default;
};

struct Limits {
  absl::Duration hello_timeout = absl::Seconds(60);
  absl::Duration idle_timeout = absl::ZeroDuration();  // zero: none
  uint32_t max_sessions = 512;
};

class Server {
 public:
  // `context` must hold ietf-netconf; its features are what hello says. FAILED_PRECONDITION: there
  // is a server in this process already.
  static absl::StatusOr<std::unique_ptr<Server>> Start(std::shared_ptr<const yang::Context> context,
                                                       Handler* handler, const Limits& limits);
  // Ends all sessions and threads.
  virtual ~Server() = default;

  virtual void SetLimits(const Limits& limits) = 0;

  // Errors name the endpoint, what stands in the way and the remedy.
  virtual absl::Status AddUnix(const UnixEndpoint& endpoint) = 0;
  virtual void RemoveUnix(const std::string& path) = 0;
  virtual absl::Status AddSsh(const SshEndpoint& endpoint) = 0;
  // Sessions that are open stay.
  virtual void RemoveSsh(const std::string& name) = 0;

  // False: there is no such session. Its transport is cut, whatever it is doing.
  virtual bool Kill(uint32_t session, uint32_t killer) = 0;

  // `xml`: the notification's own element. It is sent when the session's thread comes to it; a
  // session with 10,000 that wait is ended. INVALID_ARGUMENT: `xml` does not fit the modules.
  virtual absl::Status Notify(uint32_t session, absl::Time time, const std::string& xml) = 0;

  virtual std::vector<std::pair<SessionInfo, Counters>> Sessions() = 0;
  virtual Totals totals() = 0;
  // The URIs of hello.
  virtual std::vector<std::string> Capabilities() = 0;
};

}  // namespace portolan::netconf
