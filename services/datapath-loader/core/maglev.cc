#include "services/datapath-loader/core/maglev.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace portolan::datapath {
namespace {

constexpr std::array<uint32_t, 5> kPrimes = {251, 1021, 4093, 16381, 65537};

uint64_t Mix(uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93u;
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93u;
  return value ^ (value >> 32);
}

// Equal on every machine and for ever: it decides where flows go.
uint64_t Identity(const MaglevBackend& backend, uint64_t seed) {
  uint64_t hash = Mix(seed + 0x9e3779b97f4a7c15u);
  hash = Mix(hash + absl::Uint128High64(backend.address.value()));
  hash = Mix(hash + absl::Uint128Low64(backend.address.value()));
  return Mix(hash + (static_cast<uint64_t>(backend.address.is_ipv6()) << 32 |
                     static_cast<uint64_t>(backend.protocol) << 16 | backend.port));
}

// A backend's walk through its own permutation of the slots: two words instead of a row of them.
struct Walk {
  uint32_t position;
  uint32_t skip;
  uint32_t weight;
  uint64_t credit;  // grows by the weight each round; a slot costs the largest weight
  uint32_t value;
};

}  // namespace

uint32_t MaglevTableSize(size_t backends) {
  if (backends == 0) return 0;
  for (const uint32_t prime : kPrimes) {
    if (prime >= 100 * backends) return prime;
  }
  return kPrimes.back();
}

std::vector<uint32_t> BuildMaglevTable(std::vector<MaglevBackend> backends, uint32_t size,
                                       uint32_t seed) {
  std::erase_if(backends, [](const MaglevBackend& b) { return b.weight == 0; });
  if (backends.empty() || size == 0) return {};
  std::sort(backends.begin(), backends.end(), [](const auto& a, const auto& b) {
    return std::tie(a.address, a.port, a.protocol) < std::tie(b.address, b.port, b.protocol);
  });
  std::vector<Walk> walks;
  uint32_t largest = 0;
  for (const MaglevBackend& backend : backends) {
    const uint64_t hash = Identity(backend, seed);
    walks.push_back({.position = static_cast<uint32_t>((hash >> 32) % size),
                     .skip = static_cast<uint32_t>((hash & 0xffffffff) % (size - 1)) + 1,
                     .weight = backend.weight,
                     .credit = 0,
                     .value = backend.value});
    largest = std::max(largest, backend.weight);
  }

  std::vector<uint32_t> table(size, 0);
  std::vector<bool> taken(size, false);
  uint32_t filled = 0;
  while (true) {
    for (Walk& walk : walks) {
      walk.credit += walk.weight;
      if (walk.credit < largest) continue;
      walk.credit -= largest;
      // Ends: the size is prime, so the walk visits every slot, and one is free.
      while (taken[walk.position]) {
        walk.position += walk.skip;
        if (walk.position >= size) walk.position -= size;
      }
      taken[walk.position] = true;
      table[walk.position] = walk.value;
      if (++filled == size) return table;
    }
  }
}

}  // namespace portolan::datapath
