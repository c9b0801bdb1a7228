// How many addresses: exact from 0 to 2^128, which is one more than absl::uint128 can hold.
// A regular value type; sums and differences must stay in that interval.
#pragma once

#include <string>

#include "absl/numeric/int128.h"
#include "services/base/net/prefix.h"

namespace portolan::ipam {

class AddressCount {
 public:
  constexpr AddressCount() = default;
  constexpr explicit AddressCount(absl::uint128 value) : low_(value) {}

  void Add(const net::Range& range) {
    Add(range.SizeMinusOne());
    Add(1);
  }
  void Subtract(const net::Range& range) {
    Subtract(range.SizeMinusOne());
    Subtract(1);
  }
  void Add(absl::uint128 count) {
    low_ += count;
    if (low_ < count) whole_ = true;
  }
  void Subtract(absl::uint128 count) {
    if (count > low_) whole_ = false;
    low_ -= count;
  }
  AddressCount Minus(const AddressCount& other) const;

  bool empty() const { return low_ == 0 && !whole_; }
  // Rounded to 53 bits.
  double ToDouble() const;
  // Decimal.
  std::string ToString() const;
  friend bool operator==(const AddressCount&, const AddressCount&) = default;

 private:
  absl::uint128 low_ = 0;
  bool whole_ = false;  // 2^128, with low_ == 0
};

}  // namespace portolan::ipam
