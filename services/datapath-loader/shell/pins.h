// The directory on a BPF file system where maps and links stay when the process is gone:
// DIR/maps/NAME and DIR/links/{xdp,tc}-IFINDEX.
//
// It only outlives us when the mount does: a mount made in a private mount namespace (such as
// `ip netns exec` gives) vanishes with the last process in it. So one is only made in the mount
// namespace of process 1; elsewhere the file system must be there already.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/base/process/pins.h"

namespace portolan::datapath {

using process::ChoosePinDirectory;
using process::NetworkNamespaceCookie;

// Makes DIR, DIR/maps and DIR/links, mounting a BPF file system if there is none.
// FAILED_PRECONDITION with the remedy when pins would not last.
absl::Status PreparePinDirectory(const std::string& directory);

// Names in a directory, sorted; empty when it is not there.
std::vector<std::string> ListPins(const std::string& directory);

struct LinkPin {
  std::string path;
  bool xdp = false;      // else tc
  uint32_t ifindex = 0;  // of the interface that it was attached to
};
std::vector<LinkPin> ListLinkPins(const std::string& directory);
std::string LinkPinPath(const std::string& directory, bool xdp, uint32_t ifindex);

// Takes every link below `directory` off its interface, then removes all pins and the directory.
absl::Status RemovePins(const std::string& directory);

}  // namespace portolan::datapath
