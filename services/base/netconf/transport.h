// The transports of NETCONF: each serves one connection of a peer until it is over, on the thread
// that calls it. Private to this room.
//
// `fd` stays the caller's, who may cut it (shutdown) from another thread to end it.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/netconf/handler.h"
#include "services/base/netconf/message.h"
#include "services/base/netconf/relay.h"
#include "services/base/netconf/server.h"

namespace portolan::netconf {

// Opens a session for a peer that has shown who it is. Not OK: the server is stopping, or full.
using Opener = std::function<absl::StatusOr<Opened>(const SessionInfo& info)>;

// A socket whose octets are the plain text: a UNIX socket.
void ServePlain(int fd, const SessionInfo& info, const Opener& open);

// RFC 6242. `handler` says who may. Not OK: the peer did not come as far as a session, and why.
absl::Status ServeSsh(int fd, const std::string& host_key_path, const std::string& host,
                      Handler* handler, const Opener& open);

// RFC 7589. Not OK: as above.
absl::Status ServeTls(int fd, const TlsIdentity& identity, const std::string& host,
                      const Opener& open);
// Everything that `identity` names is there and fits. Errors name the file and the remedy.
absl::Status CheckTls(const TlsIdentity& identity);

}  // namespace portolan::netconf
