// What an address picker sees of a pool. A view: valid while the pool is there and unchanged.
// Single-threaded; every call costs O(log fragments).
#pragma once

#include <optional>

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

 private:
  const Pool& pool_;
  const net::Family family_;
};

}  // namespace portolan::ipam
