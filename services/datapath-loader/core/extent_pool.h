// Extents of one long row of table slots, in whole chunks. First fit; neighbours that are free grow
// together. A freed extent rests for a while, for readers that still look at it. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace portolan::datapath {

class ExtentPool {
 public:
  // Both in slots; `slots` is rounded down to whole chunks.
  ExtentPool(uint32_t slots, uint32_t chunk);

  // First slot of an extent of at least `size` slots (size > 0). RESOURCE_EXHAUSTED when there is
  // no room.
  absl::StatusOr<uint32_t> Allocate(uint32_t size, absl::Time now);
  // Takes this very extent, as found in the kernel. False: some of it is taken or does not exist.
  bool Reserve(uint32_t offset, uint32_t size);
  // `offset` and `size` as allocated or reserved.
  void Free(uint32_t offset, uint32_t size, absl::Time reusable_at);

 private:
  struct Resting {
    uint32_t offset;
    uint32_t size;
    absl::Time until;
  };

  uint32_t Round(uint32_t size) const { return (size + chunk_ - 1) / chunk_ * chunk_; }
  void Release(uint32_t offset, uint32_t size);

  uint32_t chunk_;
  std::map<uint32_t, uint32_t> free_;  // offset -> size
  std::deque<Resting> resting_;        // in the order of `until`
};

}  // namespace portolan::datapath
