#include "services/datapath-loader/core/extent_pool.h"

#include "absl/status/status.h"

namespace portolan::datapath {

ExtentPool::ExtentPool(uint32_t slots, uint32_t chunk) : chunk_(chunk) {
  if (slots >= chunk) free_[0] = slots / chunk * chunk;
}

absl::StatusOr<uint32_t> ExtentPool::Allocate(uint32_t size, absl::Time now) {
  size = Round(size);
  while (!resting_.empty() && resting_.front().until <= now) {
    Release(resting_.front().offset, resting_.front().size);
    resting_.pop_front();
  }
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second < size) continue;
    const uint32_t offset = it->first;
    const uint32_t rest = it->second - size;
    free_.erase(it);
    if (rest > 0) free_[offset + size] = rest;
    return offset;
  }
  return absl::ResourceExhaustedError("no room for a table");
}

bool ExtentPool::Reserve(uint32_t offset, uint32_t size) {
  size = Round(size);
  auto it = free_.upper_bound(offset);
  if (it == free_.begin() || offset % chunk_ != 0) return false;
  --it;
  const uint32_t begin = it->first;
  const uint32_t end = begin + it->second;
  if (size > end - begin || offset > end - size) return false;
  free_.erase(it);
  if (offset > begin) free_[begin] = offset - begin;
  if (offset + size < end) free_[offset + size] = end - (offset + size);
  return true;
}

void ExtentPool::Free(uint32_t offset, uint32_t size, absl::Time reusable_at) {
  resting_.push_back({offset, Round(size), reusable_at});
}

void ExtentPool::Release(uint32_t offset, uint32_t size) {
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && next->first == offset + size) {
    size += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == offset) {
      previous->second += size;
      return;
    }
  }
  free_[offset] = size;
}

}  // namespace portolan::datapath
