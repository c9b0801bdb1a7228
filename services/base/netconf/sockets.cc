#include "services/base/netconf/sockets.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace portolan::netconf {
namespace {

struct Place {
  std::string host;
  int port = 0;
};

using Asker = int (*)(int, sockaddr*, socklen_t*);

// Port 0: no place of an Internet socket.
Place Ask(int fd, Asker asker) {
  sockaddr_storage storage = {};
  socklen_t size = sizeof(storage);
  if (asker(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  char text[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return {text, ntohs(v4->sin_port)};
  }
  if (storage.ss_family != AF_INET6) return {};
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
  inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  return {text, ntohs(v6->sin6_port)};
}

// In no order.
std::vector<int> Descriptors() {
  std::vector<int> descriptors;
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return descriptors;
  while (const dirent* entry = readdir(directory)) {
    int fd = 0;
    if (absl::SimpleAtoi(entry->d_name, &fd)) descriptors.push_back(fd);
  }
  closedir(directory);
  return descriptors;
}

bool IsListening(int fd) {
  int value = 0;
  socklen_t size = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

absl::Status Failed(const std::string& path, const char* what, const char* remedy) {
  return absl::FailedPreconditionError(
      absl::StrCat("the socket ", path, " ", what, ": ", std::strerror(errno), "; ", remedy));
}

}  // namespace

int FindSocket(const std::string& host, int port) {
  for (const int fd : Descriptors()) {
    const Place peer = Ask(fd, &getpeername);
    if (peer.port == port && port != 0 && peer.host == host) return fd;
  }
  return -1;
}

void CutConnections(int port) {
  for (const int fd : Descriptors()) {
    if (Ask(fd, &getsockname).port == port && !IsListening(fd)) shutdown(fd, SHUT_RDWR);
  }
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
