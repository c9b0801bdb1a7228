// How often a value fell into which bucket, since the start. A regular value type: pure, so that
// cores keep them; shells export them (Page). Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace portolan::metrics {

// Upper bounds for what takes from a tenth of a millisecond to half a minute.
inline constexpr std::initializer_list<double> kSeconds = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30};

class Histogram {
 public:
  // Ascending upper bounds, each belonging to its bucket; one more bucket takes what is above all.
  explicit Histogram(std::initializer_list<double> bounds)
      : bounds_(bounds), counts_(bounds.size() + 1) {}

  void Observe(double value) {
    ++counts_[std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin()];
    sum_ += value;
  }

  const std::vector<double>& bounds() const { return bounds_; }
  // Of each bucket by itself, the one above all bounds last.
  const std::vector<uint64_t>& counts() const { return counts_; }
  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

}  // namespace portolan::metrics
