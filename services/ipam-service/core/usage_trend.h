// How fast one family of a pool fills up: samples of the last hour, and when nothing will be left.
// Pure, single-threaded; O(1) memory.
#pragma once

#include <cstdint>
#include <deque>

#include "absl/time/time.h"

namespace portolan::ipam {

class UsageTrend {
 public:
  // At most one sample a minute is kept, none older than an hour. `at` does not go back.
  void Note(absl::Time at, double used);
  // Seconds until `available` more are used at the rate since the oldest sample, rounded to two
  // digits; 0: use does not grow, or there is less than a minute to judge by.
  int64_t ExhaustedIn(absl::Time now, double used, double available) const;

 private:
  struct Sample {
    absl::Time at;
    double used;
  };
  std::deque<Sample> samples_;
};

}  // namespace portolan::ipam
