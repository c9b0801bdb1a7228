// Where the maps and programs of a node's datapath are pinned, and which network they belong to:
// what datapath-loader, which makes them, and others of this node must agree on.
//
// A pin directory is on a BPF file system and holds maps/ and links/. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace portolan::process {

// `configured` if not empty; else STATE_DIR/bpf/NODE when a BPF file system is mounted at
// STATE_DIR/bpf; else /sys/fs/bpf/portolan/NODE.
std::string ChoosePinDirectory(const std::string& configured, const std::string& state_dir,
                               const std::string& node);

// Would `path` be on a BPF file system? What does not exist yet is judged by its nearest parent.
bool IsOnBpffs(const std::string& path);

// Names this process's network namespace for as long as the machine runs. UNAVAILABLE: the kernel
// (before Linux 5.14) has no such name.
absl::StatusOr<uint64_t> NetworkNamespaceCookie();

}  // namespace portolan::process
