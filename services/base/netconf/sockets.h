// Sockets of this process: listeners, connections, and who is at their other end. Private to this
// room; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace portolan::netconf {

// Listens on a TCP port of an address of this machine. Errors name both and the remedy.
absl::StatusOr<int> ListenTcp(const std::string& address, uint16_t port);

// Connects within `timeout`, or until `stop` can be read. Errors say why not.
absl::StatusOr<int> ConnectTcp(const std::string& address, uint16_t port, absl::Duration timeout,
                               int stop);

// A peer that is gone without a word is found out, in about a minute.
void KeepAlive(int fd);

// The address at the other end of a TCP connection; empty: it is gone.
std::string HostOf(int fd);

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
