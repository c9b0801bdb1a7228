// What happened in a simulation, and what should not have.
//
// Keeps the last lines and a hash over all of them: two runs of one seed must have the same hash.
// Single-threaded; owned by the World.
#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "integration/simulation/scheduler.h"

namespace portolan::simulation {

class Journal {
 public:
  // `print`: every line on standard output, as it happens.
  Journal(const Scheduler* scheduler, bool print) : scheduler_(scheduler), print_(print) {}

  void Write(absl::string_view who, absl::string_view what) {
    std::string line = absl::StrCat(Now(), " ", who, " ", what);
    for (const char c : line) hash_ = (hash_ ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
    if (print_) std::printf("%s\n", line.c_str());
    last_.push_back(std::move(line));
    if (last_.size() > kKept) last_.pop_front();
  }
  // An invariant is broken.
  void Violation(absl::string_view what) {
    violations_.push_back(absl::StrCat(Now(), " ", what));
    Write("VIOLATION", what);
  }

  const std::vector<std::string>& violations() const { return violations_; }
  const std::deque<std::string>& last() const { return last_; }
  uint64_t hash() const { return hash_; }

 private:
  static constexpr size_t kKept = 60;
  std::string Now() const {
    const absl::Duration age = scheduler_->now() - (absl::UnixEpoch() + absl::Hours(10));
    return absl::StrCat(absl::ToDoubleMilliseconds(age), "ms");
  }

  const Scheduler* scheduler_;
  bool print_;
  uint64_t hash_ = 0xcbf29ce484222325u;
  std::deque<std::string> last_;
  std::vector<std::string> violations_;
};

}  // namespace portolan::simulation
