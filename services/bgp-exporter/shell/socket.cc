#include "services/bgp-exporter/shell/socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::bgp {
namespace {

constexpr int kBacklog = 128;
constexpr int kNetworkControl = 0xc0;  // DSCP CS6, RFC 4594 section 3.1

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress ToSocketAddress(const net::IpAddress& address, uint16_t port) {
  SocketAddress result;
  const std::string octets = address.ToBytes();
  if (address.is_ipv4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&result.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    memcpy(&in->sin_addr, octets.data(), octets.size());
    result.size = sizeof(*in);
  } else {
    auto* in = reinterpret_cast<sockaddr_in6*>(&result.storage);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    memcpy(&in->sin6_addr, octets.data(), octets.size());
    result.size = sizeof(*in);
  }
  return result;
}

std::optional<net::IpAddress> FromSocketAddress(const sockaddr* address) {
  const void* data = nullptr;
  size_t size = 0;
  if (address != nullptr && address->sa_family == AF_INET) {
    data = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
    size = 4;
  } else if (address != nullptr && address->sa_family == AF_INET6) {
    data = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    size = 16;
  } else {
    return std::nullopt;
  }
  const auto parsed =
      net::IpAddress::FromBytes(absl::MakeConstSpan(static_cast<const uint8_t*>(data), size));
  if (!parsed.ok()) return std::nullopt;
  return *parsed;
}

absl::Status SystemError(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

absl::Status SetInt(int fd, int level, int option, int value, absl::string_view what) {
  if (setsockopt(fd, level, option, &value, sizeof(value)) == 0) return absl::OkStatus();
  return SystemError(what);
}

int DomainOf(net::Family family) { return family == net::Family::kIpv4 ? AF_INET : AF_INET6; }

absl::StatusOr<Socket> NewSocket(net::Family family) {
  Socket socket(::socket(DomainOf(family), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.fd() >= 0) return socket;
  if (errno == EAFNOSUPPORT) {
    return absl::UnimplementedError(absl::StrCat("this kernel has no ", net::FamilyName(family)));
  }
  return SystemError("cannot open a TCP socket");
}

// Lower is a better next hop.
int Rank(const net::IpAddress& address) {
  if (address.IsLinkLocal() || address.IsLoopback()) return 2;
  const bool unique_local = address.is_ipv6() && (address.value() >> 121) == (0xfc >> 1);
  return unique_local ? 1 : 0;
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

absl::Status SetMd5Key(int fd, const net::IpAddress& peer, const std::string& password) {
  tcp_md5sig signature{};
  SocketAddress address = ToSocketAddress(peer, 0);
  memcpy(&signature.tcpm_addr, address.get(), address.size);
  signature.tcpm_keylen =
      static_cast<uint16_t>(std::min(password.size(), static_cast<size_t>(TCP_MD5SIG_MAXKEYLEN)));
  memcpy(signature.tcpm_key, password.data(), signature.tcpm_keylen);
  if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof(signature)) == 0 ||
      (password.empty() && errno == ENOENT)) {
    return absl::OkStatus();
  }
  return SystemError(absl::StrCat("cannot set the TCP MD5 password of ", peer.ToString(),
                                  " (does the kernel have CONFIG_TCP_MD5SIG?)"));
}

absl::Status SetSessionOptions(int fd, net::Family family, int ttl) {
  const bool ipv4 = family == net::Family::kIpv4;
  RETURN_IF_ERROR(SetInt(fd, IPPROTO_TCP, TCP_NODELAY, 1, "cannot set TCP_NODELAY"));
  RETURN_IF_ERROR(SetInt(fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_TOS : IPV6_TCLASS,
                         kNetworkControl, "cannot set the traffic class"));
  return SetInt(fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_TTL : IPV6_UNICAST_HOPS, ttl,
                "cannot set the TTL");
}

absl::StatusOr<Socket> Dial(const Connect& connect) {
  const net::Family family = connect.remote.family();
  ASSIGN_OR_RETURN(Socket socket, NewSocket(family));
  RETURN_IF_ERROR(SetSessionOptions(socket.fd(), family, connect.ttl));
  if (!connect.password.empty()) {
    RETURN_IF_ERROR(SetMd5Key(socket.fd(), connect.remote, connect.password));
  }
  if (connect.local.has_value()) {
    SocketAddress local = ToSocketAddress(*connect.local, 0);
    if (bind(socket.fd(), local.get(), local.size) != 0) {
      return SystemError(absl::StrCat("cannot use local-address ", connect.local->ToString()));
    }
  }
  SocketAddress remote = ToSocketAddress(connect.remote, connect.port);
  if (::connect(socket.fd(), remote.get(), remote.size) != 0 && errno != EINPROGRESS) {
    return SystemError(
        absl::StrCat("cannot connect to ", connect.remote.ToString(), " port ", connect.port));
  }
  return socket;
}

absl::Status ConnectError(const Socket& socket, const Connect& connect) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size) == 0) errno = error;
  if (errno == 0) return absl::OkStatus();
  return SystemError(
      absl::StrCat("cannot connect to ", connect.remote.ToString(), " port ", connect.port));
}

absl::StatusOr<Socket> OpenListener(net::Family family, uint16_t port) {
  ASSIGN_OR_RETURN(Socket socket, NewSocket(family));
  RETURN_IF_ERROR(SetInt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, 1, "cannot set SO_REUSEADDR"));
  if (family == net::Family::kIpv6) {
    RETURN_IF_ERROR(SetInt(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, 1, "cannot set IPV6_V6ONLY"));
  }
  SocketAddress any = ToSocketAddress(net::IpAddress::FromValue(family, 0), port);
  if (bind(socket.fd(), any.get(), any.size) != 0 || listen(socket.fd(), kBacklog) != 0) {
    return SystemError(absl::StrCat(net::FamilyName(family), " port ", port));
  }
  return socket;
}

std::optional<AcceptedSocket> Accept(const Socket& listener) {
  while (true) {
    SocketAddress remote;
    remote.size = sizeof(remote.storage);
    Socket socket(accept4(listener.fd(), remote.get(), &remote.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.fd() < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return std::nullopt;
    }
    const auto address = FromSocketAddress(remote.get());
    if (address.has_value()) return AcceptedSocket{std::move(socket), *address};
  }
}

LocalAddresses LocalAddressesOf(const Socket& socket) {
  LocalAddresses local;
  SocketAddress own;
  own.size = sizeof(own.storage);
  if (getsockname(socket.fd(), own.get(), &own.size) != 0) return local;
  const auto session = FromSocketAddress(own.get());
  if (!session.has_value()) return local;
  local.session = *session;

  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return local;
  std::string interface;
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    if (FromSocketAddress(each->ifa_addr) == session) interface = each->ifa_name;
  }
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    const auto address = FromSocketAddress(each->ifa_addr);
    if (address.has_value() && interface == each->ifa_name) {
      local.same_interface.push_back(*address);
    }
  }
  freeifaddrs(list);
  std::stable_sort(
      local.same_interface.begin(), local.same_interface.end(),
      [](const net::IpAddress& a, const net::IpAddress& b) { return Rank(a) < Rank(b); });
  return local;
}

}  // namespace portolan::bgp
