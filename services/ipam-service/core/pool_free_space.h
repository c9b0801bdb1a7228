// What an address picker sees of a pool. A view: valid while the pool is there and unchanged.
// Single-threaded; every call costs O(log fragments).
#pragma once

#include <optional>
#include <vector>

#include "plugins/sdk/address_picker.h"
#include "services/ipam-service/core/pool.h"

namespace portolan::ipam {

class PoolFreeSpace : public plugin::FreeSpace {
 public:
  PoolFreeSpace(const Pool& pool, net::Family family) : pool_(pool), family_(family) {}
  absl::Span<const net::Range> usable() const override { return pool_.usable(family_); }
  std::optional<net::Range> FirstFree(const net::IpAddress& from) const override {
    return pool_.free(family_).FirstFrom(from);
  }
  std::optional<net::Range> LastFree(const net::IpAddress& to) const override {
    return pool_.free(family_).LastUpTo(to);
  }
  std::optional<net::IpAddress> LowestUnused() const override {
    if (const PoolHistory* past = pool_.history(family_); past != nullptr) {
      return past->LowestUnused();
    }
    const std::vector<net::Range> lowest = pool_.free(family_).Lowest(1);
    if (lowest.empty()) return std::nullopt;
    return lowest.front().first();
  }
  std::optional<net::IpAddress> LongestReleased() const override {
    const PoolHistory* past = pool_.history(family_);
    return past == nullptr ? std::nullopt : past->LongestReleased();
  }

 private:
  const Pool& pool_;
  const net::Family family_;
};

}  // namespace portolan::ipam
