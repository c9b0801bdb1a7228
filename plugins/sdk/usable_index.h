// The usable addresses of a pool as one row of numbers: 0 is the lowest one, whatever the gaps.
//
// For pickers that choose a place by a number, taken or not. A value type that reads the ranges
// while it lives; O(ranges) to make, O(log ranges) to ask. Pure.
#pragma once

#include "absl/container/inlined_vector.h"
#include "absl/numeric/int128.h"
#include "absl/types/span.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"

namespace portolan::plugin {

class UsableIndex {
 public:
  // Lowest first, disjoint, of one family, not empty; as FreeSpace::usable().
  explicit UsableIndex(absl::Span<const net::Range> ranges);

  // The number of the highest address. One less than the count, so that the whole IPv6 space fits.
  absl::uint128 last() const { return lasts_.back(); }
  // `number` is at most last().
  net::IpAddress At(absl::uint128 number) const;

 private:
  absl::Span<const net::Range> ranges_;
  absl::InlinedVector<absl::uint128, 4> lasts_;  // the number of each range's highest address
};

}  // namespace portolan::plugin
