// Many entries of one map, written with as few system calls as the kernel allows. A value of the
// caller's; one thread.
#pragma once

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace portolan::datapath {

// RESOURCE_EXHAUSTED for a full map, else UNAVAILABLE: "map NAME: what the kernel said".
inline absl::Status MapError(const char* map, int error) {
  const std::string message = absl::StrCat("map ", map, ": ", strerror(error));
  if (error == E2BIG || error == ENOMEM || error == ENOSPC) {
    return absl::ResourceExhaustedError(message);
  }
  return absl::UnavailableError(message);
}

// `Value` as the kernel has it; of a per-CPU map `values_per_row` of them.
template <typename Key, typename Value>
class Rows {
 public:
  explicit Rows(size_t values_per_row = 1) : values_per_row_(values_per_row) {}

  void Add(const Key& key, const Value& value) {
    keys_.push_back(key);
    values_.insert(values_.end(), values_per_row_, value);
  }
  size_t size() const { return keys_.size(); }

  // For each row 0 or the error of the kernel. One that fails does not stop the others.
  std::vector<int> Write(int fd) const {
    constexpr int kNotSupported = 524;  // ENOTSUPP, which has no name outside the kernel
    std::vector<int> errors(keys_.size(), 0);
    bool batches = true;
    for (size_t done = 0; done < keys_.size();) {
      const Value* values = &values_[done * values_per_row_];
      if (!batches) {
        if (bpf_map_update_elem(fd, &keys_[done], values, BPF_ANY) != 0) errors[done] = errno;
        done++;
        continue;
      }
      uint32_t count = keys_.size() - done;
      if (bpf_map_update_batch(fd, &keys_[done], values, &count, nullptr) == 0) break;
      if (errno == kNotSupported || errno == EOPNOTSUPP || count >= keys_.size() - done) {
        batches = false;
        continue;
      }
      done += count;
      errors[done++] = errno;
    }
    return errors;
  }

 private:
  size_t values_per_row_;
  std::vector<Key> keys_;
  std::vector<Value> values_;
};

}  // namespace portolan::datapath
