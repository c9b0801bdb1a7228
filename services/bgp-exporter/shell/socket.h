// The few socket calls that BGP needs, with errors that say what to do. Linux only.
//
// Every descriptor is non-blocking and close-on-exec. Owned by whoever holds the Socket. Errors
// carry the system's message with the address that it concerns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/net/ip_address.h"
#include "services/bgp-exporter/core/events.h"

namespace portolan::bgp {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();

  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

// Begins to connect; the result is told by the descriptor becoming writable and ConnectError().
absl::StatusOr<Socket> Dial(const Connect& connect);
// OK: connected.
absl::Status ConnectError(const Socket& socket, const Connect& connect);

// Listens on every address of `family`. UNIMPLEMENTED: the kernel does not have the family.
absl::StatusOr<Socket> OpenListener(net::Family family, uint16_t port);
// Sets the TCP MD5 key (RFC 2385) for what comes from `peer`; an empty password removes it.
absl::Status SetMd5Key(int fd, const net::IpAddress& peer, const std::string& password);

struct AcceptedSocket {
  Socket socket;
  net::IpAddress remote;
};
// Nothing: no more is waiting.
std::optional<AcceptedSocket> Accept(const Socket& listener);

// TTL or hop limit of outgoing packets, and the marks that every session has.
absl::Status SetSessionOptions(int fd, net::Family family, int ttl);

// Our address of a connected socket with the others of its interface, best next hop first: global,
// then unique local (RFC 4193), then link-local; in the kernel's order within each.
LocalAddresses LocalAddressesOf(const Socket& socket);

}  // namespace portolan::bgp
