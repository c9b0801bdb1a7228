#include "services/base/netconf/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace portolan::netconf {
namespace {

union Address {
  sockaddr generic;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// Its size in octets; 0: it is none. An IPv6 address may have a zone.
socklen_t Parse(const std::string& text, uint16_t port, Address* address) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('%', 1));
  *address = {};
  if (inet_pton(AF_INET, text.c_str(), &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(port);
    return sizeof(address->v4);
  }
  if (inet_pton(AF_INET6, parts[0].c_str(), &address->v6.sin6_addr) != 1) return 0;
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons(port);
  if (parts.size() == 2) address->v6.sin6_scope_id = if_nametoindex(parts[1].c_str());
  return sizeof(address->v6);
}

absl::Status NotConnected(const std::string& address, uint16_t port, const std::string& why) {
  return absl::UnavailableError(absl::StrCat(address, " port ", port, ": ", why));
}

absl::Status Failed(const std::string& path, const char* what, const char* remedy) {
  return absl::FailedPreconditionError(
      absl::StrCat("the socket ", path, " ", what, ": ", std::strerror(errno), "; ", remedy));
}

}  // namespace

absl::StatusOr<int> ListenTcp(const std::string& address, uint16_t port) {
  Address place;
  const socklen_t size = Parse(address, port, &place);
  const auto failed = [&](const std::string& why) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", address, " port ", port, ": ", why,
        "; free the port or choose an address and a port of this machine that nobody has"));
  };
  if (size == 0) return failed("it is no address");
  const int fd = socket(place.generic.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(std::strerror(errno));
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (place.generic.sa_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
  }
  if (bind(fd, &place.generic, size) != 0 || listen(fd, 128) != 0) {
    const absl::Status status = failed(std::strerror(errno));
    close(fd);
    return status;
  }
  return fd;
}

absl::StatusOr<int> ConnectTcp(const std::string& address, uint16_t port, absl::Duration timeout,
                               int stop) {
  Address place;
  const socklen_t size = Parse(address, port, &place);
  if (size == 0) return NotConnected(address, port, "it is no address");
  const int fd = socket(place.generic.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return NotConnected(address, port, std::strerror(errno));
  int error = 0;
  if (connect(fd, &place.generic, size) != 0) error = errno;
  if (error == EINPROGRESS) {
    pollfd files[] = {{fd, POLLOUT, 0}, {stop, POLLIN, 0}};
    poll(files, 2, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
    error = files[0].revents == 0 ? ETIMEDOUT : 0;
    socklen_t length = sizeof(error);
    if (error == 0) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  }
  if (error != 0) {
    close(fd);
    return NotConnected(address, port, std::strerror(error));
  }
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}

void KeepAlive(int fd) {
  const int one = 1;
  const int idle_s = 30;
  const int interval_s = 10;
  const int probes = 3;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
  // What is written is written for somebody who waits.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

std::string HostOf(int fd) {
  Address address = {};
  socklen_t size = sizeof(address);
  char text[INET6_ADDRSTRLEN] = {};
  if (getpeername(fd, &address.generic, &size) != 0) return "";
  const bool v4 = address.generic.sa_family == AF_INET;
  const void* const octets =
      v4 ? static_cast<const void*>(&address.v4.sin_addr) : &address.v6.sin6_addr;
  inet_ntop(address.generic.sa_family, octets, text, sizeof(text));
  return text;
}

absl::StatusOr<int> ListenUnix(const std::string& path, const std::string& group) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("the socket ", path, " has a path of ",
                                                   path.size(), " bytes; choose one of at most ",
                                                   sizeof(address.sun_path) - 1));
  }
  path.copy(address.sun_path, path.size());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const struct group* entry = nullptr;
  if (!group.empty() && (entry = getgrnam(group.c_str())) == nullptr) {
    return absl::NotFoundError(absl::StrCat("the socket ", path, " is for the group ", group,
                                            ", which this machine does not have; make it or name "
                                            "another"));
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed(path, "cannot be made", "raise the limit of open files");
  // Somebody who answers there is another server.
  if (connect(fd, generic, sizeof(address)) == 0) {
    close(fd);
    return absl::AlreadyExistsError(
        absl::StrCat("the socket ", path, " is served by another process; stop that one"));
  }
  unlink(path.c_str());
  // Before listen() nobody can connect, whatever the mode is.
  if (bind(fd, generic, sizeof(address)) != 0) {
    const absl::Status status = Failed(path, "cannot be bound", "make its directory writable");
    close(fd);
    return status;
  }
  const gid_t owner = entry == nullptr ? static_cast<gid_t>(-1) : entry->gr_gid;
  if (chown(path.c_str(), static_cast<uid_t>(-1), owner) != 0 ||
      chmod(path.c_str(), entry == nullptr ? 0600 : 0660) != 0 || listen(fd, 128) != 0) {
    const absl::Status status = Failed(path, "cannot be given to its group", "run as root");
    close(fd);
    return status;
  }
  return fd;
}

absl::StatusOr<UnixPeer> PeerOf(int fd) {
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return absl::InternalError("the kernel does not say who is at the other end of the socket");
  }
  passwd entry = {};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  getpwuid_r(credentials.uid, &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    return absl::InternalError(absl::StrCat("user ", credentials.uid, " has no name here"));
  }
  return UnixPeer{entry.pw_name, credentials.uid == 0};
}

}  // namespace portolan::netconf
