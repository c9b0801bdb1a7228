#include "services/bgp-exporter/shell/run_marker.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace portolan::bgp {
namespace {

// Empty when there is no such file.
std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

RunMarker::RunMarker(const std::string& state_dir)
    : path_(absl::StrCat(state_dir, "/bgp-exporter.running")) {}

absl::Status RunMarker::Set(LastLife& last) {
  const std::string boot = FirstLine("/proc/sys/kernel/random/boot_id");
  last.ended_without_order = access(path_.c_str(), F_OK) == 0;
  last.same_boot = last.ended_without_order && !boot.empty() && FirstLine(path_) == boot;

  const std::string text = boot + "\n";
  const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  const bool written = fd >= 0 &&
                       write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (written) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path_, ": ", strerror(error)));
}

void RunMarker::Clear() { unlink(path_.c_str()); }

}  // namespace portolan::bgp
