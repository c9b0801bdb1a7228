// Sockets of this process: those that libnetconf2 opened and does not tell, and a listener on a
// UNIX socket. Private to this room; any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace portolan::netconf {

// The descriptor of this process's TCP connection to that peer; -1: there is none.
int FindSocket(const std::string& host, int port);

// Cuts every TCP connection of this process whose own port is `port`, listeners not.
void CutConnections(int port);

// Listens on `path`, in place of a socket that is there and nobody serves. Mode 0600, or 0660 with
// `group`. Errors name the path and the remedy.
absl::StatusOr<int> ListenUnix(const std::string& path, const std::string& group);

struct UnixPeer {
  std::string user;
  bool superuser = false;
};
// INTERNAL: the kernel or the user database does not say.
absl::StatusOr<UnixPeer> PeerOf(int fd);

}  // namespace portolan::netconf
