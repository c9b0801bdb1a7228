#include "services/datapath-loader/shell/pins.h"

#include <bpf/bpf.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/process/pins.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/file_descriptor.h"

namespace portolan::datapath {
namespace {

namespace fs = std::filesystem;

constexpr char kSystemMount[] = "/sys/fs/bpf";

bool HasPrivateMounts() {
  struct stat own, first;
  if (stat("/proc/self/ns/mnt", &own) != 0 || stat("/proc/1/ns/mnt", &first) != 0) return false;
  return own.st_ino != first.st_ino || own.st_dev != first.st_dev;
}

absl::Status MakeDirectories(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return absl::OkStatus();
  const std::string message = absl::StrCat("cannot create ", path, ": ", error.message());
  if (error == std::errc::permission_denied || error == std::errc::operation_not_permitted) {
    return absl::PermissionDeniedError(message);
  }
  return absl::UnavailableError(message);
}

absl::Status MountBpffs(const std::string& directory) {
  if (HasPrivateMounts()) {
    return absl::FailedPreconditionError(absl::StrCat(
        directory,
        " is not on a BPF file system, and this process has a private mount namespace, "
        "where a mount would vanish with it; start it without one (`nsenter --net=FILE` instead "
        "of `ip netns exec`), or mount a bpffs there before"));
  }
  const bool system = absl::StartsWith(directory, kSystemMount);
  const std::string target = system ? kSystemMount : directory;
  if (!system) RETURN_IF_ERROR(MakeDirectories(target));
  if (mount("bpffs", target.c_str(), "bpf", 0, "mode=0700") == 0) return absl::OkStatus();
  const std::string message =
      absl::StrCat("cannot mount a BPF file system at ", target, ": ", strerror(errno));
  if (errno == EPERM || errno == EACCES) return absl::PermissionDeniedError(message);
  return absl::FailedPreconditionError(message);
}

}  // namespace

absl::Status PreparePinDirectory(const std::string& directory) {
  if (!process::IsOnBpffs(directory)) RETURN_IF_ERROR(MountBpffs(directory));
  RETURN_IF_ERROR(MakeDirectories(absl::StrCat(directory, "/maps")));
  return MakeDirectories(absl::StrCat(directory, "/links"));
}

std::vector<std::string> ListPins(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<LinkPin> ListLinkPins(const std::string& directory) {
  std::vector<LinkPin> pins;
  for (const std::string& name : ListPins(absl::StrCat(directory, "/links"))) {
    LinkPin pin;
    absl::string_view number = name;
    pin.xdp = absl::ConsumePrefix(&number, "xdp-");
    if (!pin.xdp && !absl::ConsumePrefix(&number, "tc-")) continue;
    if (!absl::SimpleAtoi(number, &pin.ifindex)) continue;
    pin.path = LinkPinPath(directory, pin.xdp, pin.ifindex);
    pins.push_back(pin);
  }
  return pins;
}

std::string LinkPinPath(const std::string& directory, bool xdp, uint32_t ifindex) {
  return absl::StrCat(directory, "/links/", xdp ? "xdp-" : "tc-", ifindex);
}

absl::Status RemovePins(const std::string& directory) {
  // Without its last reference a link is taken off its interface some time later; this does it now.
  for (const LinkPin& pin : ListLinkPins(directory)) {
    const FileDescriptor link(bpf_obj_get(pin.path.c_str()));
    if (link.ok()) bpf_link_detach(link.get());
  }
  std::error_code error;
  fs::remove_all(directory, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot remove ", directory, ": ", error.message()));
}

}  // namespace portolan::datapath
