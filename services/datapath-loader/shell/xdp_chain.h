// Other people's XDP programs before and behind ours: the map "xdp_chain" (bpf/include/
// datapath_maps.h, decision 0038). Pinned with the other maps, so a restart and an upgrade of ours
// leave them where they are.
//
// Borrows the map and the root program. Single-threaded, on the service's loop.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace portolan::datapath {

struct ChainSlot {
  uint32_t slot = 0;
  uint32_t program = 0;  // id of the kernel
  std::string name;      // empty: this process may not ask
  friend bool operator==(const ChainSlot&, const ChainSlot&) = default;
};

class XdpChain {
 public:
  // `map` or `root` below 0: there is no chain on this kernel.
  XdpChain(int map, int root) : map_(map), root_(root) {}

  bool possible() const { return map_ >= 0 && root_ >= 0; }
  // Something stands before ours: the root must be on the interfaces.
  bool NeedsRoot() const;
  int root() const { return root_; }

  // Ours, which the root goes on to.
  absl::Status SetOurs(int program) const;
  // The program that is pinned at `path` comes into the slot, in place of any other one.
  // INVALID_ARGUMENT: no such slot, or ours. NOT_FOUND: nothing is pinned there.
  // FAILED_PRECONDITION: it is none that can stand there; the message says why.
  absl::Status Fill(uint32_t slot, const std::string& path);
  // Harmless when it is empty.
  absl::Status Clear(uint32_t slot);
  std::vector<ChainSlot> Slots() const;  // that are filled

 private:
  absl::Status CheckSlot(uint32_t slot) const;
  bool UsesChain(int program) const;
  uint32_t ProgramIn(uint32_t slot) const;  // 0: none

  const int map_;
  const int root_;
  std::map<uint32_t, std::string> names_;  // of what was filled in this life, by id
};

}  // namespace portolan::datapath
