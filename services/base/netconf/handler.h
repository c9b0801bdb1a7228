// Who answers the sessions of a NETCONF server. Called on the threads of the sessions, several at a
// time; calls of one session never overlap. Owned by whoever made the server; outlives it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "services/base/netconf/message.h"

namespace portolan::netconf {

// How a call home goes.
struct CallState {
  std::string client;
  std::string place;  // "127.0.0.1 port 4334"
  bool connected = false;
  absl::Status failure;  // of the last call, while it is not connected
};

class Handler {
 public:
  virtual ~Handler() = default;
  // The hellos were exchanged.
  virtual void OnOpen(const SessionInfo& session) = 0;
  virtual Reply OnRequest(const SessionInfo& session, const Request& request) = 0;
  // Each session that was opened, once; nothing of it comes afterwards.
  virtual void OnClosed(const SessionInfo& session, const Ending& ending) = 0;

  // Who may open a session over SSH. `key`: type and base 64 text as in authorized_keys. These
  // and the following come from any thread.
  virtual bool IsPassword(const std::string& user, const std::string& password) = 0;
  virtual bool IsKey(const std::string& user, const std::string& key) = 0;

  // Somebody came no further than the greeting of the transport.
  virtual void OnRefused(Transport transport, const std::string& host, const absl::Status& why) = 0;
  virtual void OnCall(const CallState& state) = 0;
};

}  // namespace portolan::netconf
