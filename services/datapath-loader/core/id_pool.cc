#include "services/datapath-loader/core/id_pool.h"

#include "absl/status/status.h"

namespace portolan::datapath {

void IdPool::Adopt(const std::vector<uint16_t>& epochs, const std::vector<uint32_t>& living) {
  for (size_t id = 1; id < epochs.size() && id < epochs_.size(); id++) epochs_[id] = epochs[id];
  for (const uint32_t id : living) {
    if (id < used_.size()) used_[id] = true;
  }
}

absl::StatusOr<IdPool::Id> IdPool::Allocate(absl::Time now) {
  while (next_fresh_ < used_.size() && used_[next_fresh_]) next_fresh_++;
  if (next_fresh_ < used_.size()) {
    used_[next_fresh_] = true;
    return Id{next_fresh_, epochs_[next_fresh_]};
  }
  if (resting_.empty() || resting_.front().until > now) {
    return absl::ResourceExhaustedError("no id is free");
  }
  const uint32_t id = resting_.front().id;
  resting_.pop_front();
  return Id{id, epochs_[id]};
}

void IdPool::Free(uint32_t id, absl::Time reusable_at) {
  epochs_[id]++;
  resting_.push_back({id, reusable_at});
}

}  // namespace portolan::datapath
