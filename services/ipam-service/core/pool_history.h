// The past of one family of an active pool whose picker keeps a history.
//
// Sorts the addresses of the pool that nobody holds: unused (nobody remembers a use), released
// (free again, in the order in which they were given up), and cooling (not free yet). The first two
// together are the pool's free space.
//
// Owned by Pool, which says what is taken and given back. An entry of the release table may change
// or go only while its address is in none of the three, or through Forget(). Single-threaded; each
// operation is O(log addresses).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/ipam-service/core/free_ranges.h"
#include "services/ipam-service/core/release_table.h"

namespace portolan::ipam {

class PoolHistory {
 public:
  // `releases` outlives this.
  PoolHistory(net::Family family, const ReleaseTable* releases, absl::Duration cool_down)
      : releases_(releases), cool_down_(cool_down), unused_(family) {}

  // From nothing: first what is free, then what is remembered of it. Returns what cools down, and
  // so is not free.
  void AddFree(const net::Range& range);
  std::vector<net::IpAddress> AddPast(const net::Range& range, absl::Time now);

  // Whoever takes it. True when it cooled down.
  bool Take(const net::IpAddress& address);
  // Nobody holds it any more. True when it cools down.
  bool Give(const net::IpAddress& address, absl::Time now);
  // Before its release is forgotten. True when it cooled down and is free now.
  bool Forget(const net::IpAddress& address);
  // Those whose cool-down is over: they are free now.
  std::vector<net::IpAddress> EndCoolDowns(absl::Time now);

  std::optional<net::IpAddress> LowestUnused() const;
  std::optional<net::IpAddress> LongestReleased() const;
  // Null: it does not cool down.
  const Release* Cooling(const net::IpAddress& address) const;
  size_t cooling() const { return cooling_.size(); }
  absl::Duration cool_down() const { return cool_down_; }
  // When the first cool-down is over; nothing: none cools down.
  std::optional<absl::Time> next_end() const;

 private:
  using ByStamp = absl::btree_set<std::pair<int64_t, net::IpAddress>>;

  absl::Time EndOf(const Release& release) const { return release.released_at + cool_down_; }

  const ReleaseTable* const releases_;
  const absl::Duration cool_down_;
  FreeRanges unused_;
  ByStamp released_;
  ByStamp cooling_;
};

}  // namespace portolan::ipam
