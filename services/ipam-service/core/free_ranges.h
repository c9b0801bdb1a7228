// The free addresses of one family as disjoint, non-adjacent intervals.
//
// Cost and memory depend on the number of holes, never on the number of addresses: a /64 is as
// cheap as a /29. Each operation is O(log holes). Not thread-safe; no errors.
#pragma once

#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/numeric/int128.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/ipam-service/core/address_count.h"

namespace portolan::ipam {

class FreeRanges {
 public:
  explicit FreeRanges(net::Family family) : family_(family) {}

  // Parts that are there already stay as they are. `range` is of this family.
  void Insert(const net::Range& range);
  void Insert(const net::IpAddress& address);
  // False when the address was not there.
  bool Erase(const net::IpAddress& address);
  void Clear();

  bool Contains(const net::IpAddress& address) const;
  bool empty() const { return ranges_.empty(); }
  const AddressCount& count() const { return count_; }
  net::Family family() const { return family_; }

  // The lowest range at or above `from`, cut to begin there.
  std::optional<net::Range> FirstFrom(const net::IpAddress& from) const;
  // The highest range at or below `to`, cut to end there.
  std::optional<net::Range> LastUpTo(const net::IpAddress& to) const;
  // The lowest `limit` ranges, lowest first.
  std::vector<net::Range> Lowest(size_t limit) const;

 private:
  using Map = absl::btree_map<absl::uint128, absl::uint128>;  // first -> last, inclusive
  // The range with the greatest first <= value; end() when there is none.
  Map::const_iterator Before(absl::uint128 value) const;
  net::Range ToRange(absl::uint128 first, absl::uint128 last) const;

  net::Family family_;
  Map ranges_;
  AddressCount count_;
};

}  // namespace portolan::ipam
