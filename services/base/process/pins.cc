#include "services/base/process/pins.h"

#include <sys/socket.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace portolan::process {
namespace {

namespace fs = std::filesystem;

constexpr char kSystemDirectory[] = "/sys/fs/bpf/portolan";
constexpr uint32_t kBpffsMagic = 0xcafe4a11;
constexpr int kSoNetnsCookie = 71;  // SO_NETNS_COOKIE, Linux 5.14

}  // namespace

bool IsOnBpffs(const std::string& path) {
  struct statfs info;
  fs::path there = path;
  while (statfs(there.c_str(), &info) != 0) {
    if (there == there.parent_path()) return false;
    there = there.parent_path();
  }
  return static_cast<uint32_t>(info.f_type) == kBpffsMagic;
}

std::string ChoosePinDirectory(const std::string& configured, const std::string& state_dir,
                               const std::string& node) {
  if (!configured.empty()) return configured;
  const std::string own = absl::StrCat(state_dir, "/bpf");
  if (fs::exists(own) && IsOnBpffs(own)) return absl::StrCat(own, "/", node);
  return absl::StrCat(kSystemDirectory, "/", node);
}

absl::StatusOr<uint64_t> NetworkNamespaceCookie() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  const int result = getsockopt(fd, SOL_SOCKET, kSoNetnsCookie, &cookie, &size);
  const int error = errno;
  if (fd >= 0) close(fd);
  if (result == 0) return cookie;
  return absl::UnavailableError(
      absl::StrCat("cannot identify the network namespace: ", strerror(error)));
}

}  // namespace portolan::process
