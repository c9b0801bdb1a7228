// Maglev lookup tables (Eisenbud et al., NSDI 2016, section 3.4), weighted. Pure.
//
// The table depends only on the set of backends (identity and weight), the size and the seed, never
// on an order or on ids, so that every node builds the same one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "services/base/net/ip_address.h"

namespace portolan::datapath {

struct MaglevBackend {
  // Identity: what every node knows alike.
  net::IpAddress address;
  uint16_t port = 0;
  uint8_t protocol = 0;

  uint32_t weight = 1;  // 0: not in the table
  uint32_t value = 0;   // what stands in its slots
};

// The smallest supported prime that is at least 100 times the number of backends (the largest one
// beyond that): so the shares differ by about a percent at most. 0 for no backends.
uint32_t MaglevTableSize(size_t backends);

// One backend's value per slot; empty when nobody has a weight. `size` must be a supported prime.
// Shares are proportional to weight. Time is O(size) for even weights.
std::vector<uint32_t> BuildMaglevTable(std::vector<MaglevBackend> backends, uint32_t size,
                                       uint32_t seed);

}  // namespace portolan::datapath
