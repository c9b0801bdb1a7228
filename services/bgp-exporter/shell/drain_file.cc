#include "services/bgp-exporter/shell/drain_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace portolan::bgp {
namespace {

absl::Status Failed(absl::string_view what, const std::string& path) {
  return absl::UnavailableError(absl::StrCat("cannot ", what, " ", path, ": ", strerror(errno)));
}

bool IsSynced(int fd) {
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return synced;
}

}  // namespace

DrainFile::DrainFile(const std::string& state_dir)
    : directory_(state_dir), path_(absl::StrCat(state_dir, "/bgp-exporter.drain")) {}

std::optional<absl::Time> DrainFile::Read() const {
  if (access(path_.c_str(), F_OK) != 0) return std::nullopt;
  std::ifstream file(path_);
  std::string line;
  std::getline(file, line);
  int64_t unix_ms = 0;
  return absl::SimpleAtoi(line, &unix_ms) ? absl::FromUnixMillis(unix_ms) : absl::InfinitePast();
}

absl::Status DrainFile::Write(std::optional<absl::Time> withdraw_at) {
  if (withdraw_at.has_value()) {
    const std::string next = path_ + ".next";
    const std::string text = absl::StrCat(absl::ToUnixMillis(*withdraw_at), "\n");
    const int fd = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) return Failed("write", next);
    if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      const absl::Status failed = Failed("write", next);
      close(fd);
      return failed;
    }
    if (!IsSynced(fd) || rename(next.c_str(), path_.c_str()) != 0) return Failed("write", path_);
  } else if (unlink(path_.c_str()) != 0 && errno != ENOENT) {
    return Failed("remove", path_);
  }
  if (!IsSynced(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))) {
    return Failed("sync", directory_);
  }
  return absl::OkStatus();
}

}  // namespace portolan::bgp
