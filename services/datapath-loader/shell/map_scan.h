// Reads a map in batches (BPF_MAP_LOOKUP_BATCH): a million entries cost some hundred system calls.
//
// For hash maps the position is a bucket, and stays true while others write: what is there during
// the whole scan is seen once. Not thread-safe; blocks for one system call at a time.
#pragma once

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace portolan::datapath {

template <typename Key, typename Value>
class MapScan {
 public:
  // `position`: where an earlier scan stopped. `values_per_key`: of a per-CPU map one for each
  // processor, and `Value` is a multiple of 8 bytes.
  explicit MapScan(int fd, std::optional<uint32_t> position = std::nullopt,
                   size_t values_per_key = 1)
      : fd_(fd), values_per_key_(values_per_key), position_(position) {}

  // The next entries. False: there were none left, and the scan is over.
  absl::StatusOr<bool> Next() {
    size_ = 0;
    while (!ended_) {
      keys_.resize(capacity_);
      values_.resize(capacity_ * values_per_key_);
      uint32_t next = 0;
      uint32_t count = capacity_;
      const int error = bpf_map_lookup_batch(fd_, position_.has_value() ? &*position_ : nullptr,
                                             &next, keys_.data(), values_.data(), &count, nullptr);
      if (error != 0 && errno == ENOSPC) {  // a bucket with more entries than that
        capacity_ *= 2;
        continue;
      }
      if (error != 0 && errno != ENOENT) {
        return absl::UnavailableError(absl::StrCat("cannot read a map: ", strerror(errno)));
      }
      ended_ = error != 0;
      position_ = next;
      size_ = count;
      if (count > 0) return true;
    }
    return false;
  }

  size_t size() const { return size_; }
  const Key& key(size_t i) const { return keys_[i]; }
  const Value& value(size_t i) const { return values_[i * values_per_key_]; }
  const Value* values(size_t i) const { return &values_[i * values_per_key_]; }
  bool ended() const { return ended_; }
  uint32_t position() const { return position_.value_or(0); }

 private:
  const int fd_;
  const size_t values_per_key_;
  uint32_t capacity_ = 4096;
  std::optional<uint32_t> position_;
  bool ended_ = false;
  std::vector<Key> keys_;
  std::vector<Value> values_;
  size_t size_ = 0;
};

}  // namespace portolan::datapath
