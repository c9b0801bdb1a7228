// Ids 1..max for slots of a kernel array, each with the epoch of its current life. A freed id rests
// for a while before somebody else gets it, and fresh ids go first. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace portolan::datapath {

class IdPool {
 public:
  struct Id {
    uint32_t id = 0;
    uint16_t epoch = 0;
    friend bool operator==(const Id&, const Id&) = default;
  };

  explicit IdPool(uint32_t max) : epochs_(max + 1, 0), used_(max + 1, false) {}

  // What the kernel already holds: the epochs (index = id) and which ids live.
  void Adopt(const std::vector<uint16_t>& epochs, const std::vector<uint32_t>& living);

  // RESOURCE_EXHAUSTED when every id is in use or resting.
  absl::StatusOr<Id> Allocate(absl::Time now);
  // The epoch that the id's next life has. The caller tells the kernel.
  uint16_t NextEpoch(uint32_t id) const { return epochs_[id] + 1; }
  // Takes back an id that the kernel never heard of, in the life that it was allocated for.
  void Return(uint32_t id) { resting_.push_front({id, absl::InfinitePast()}); }
  // Ends this life. Somebody else may get the id from `reusable_at` on.
  void Free(uint32_t id, absl::Time reusable_at);

  uint32_t max() const { return epochs_.size() - 1; }

 private:
  struct Resting {
    uint32_t id;
    absl::Time until;
  };

  std::vector<uint16_t> epochs_;
  std::vector<bool> used_;  // living or resting
  uint32_t next_fresh_ = 1;
  std::deque<Resting> resting_;  // in the order of `until`
};

}  // namespace portolan::datapath
