// Chance as an injected value: a small seeded generator (SplitMix64, Steele et al. 2014).
// The same seed gives the same numbers on every machine. Not thread-safe; not for secrets.
#pragma once

#include <cstdint>

namespace portolan {

class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound); bound must not be 0.
  uint64_t Below(uint64_t bound) {
    // Rejection keeps it uniform: throw away the incomplete last cycle.
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value = Next();
    while (value >= limit) value = Next();
    return value % bound;
  }

 private:
  uint64_t state_;
};

// A seed from the kernel's entropy.
uint64_t RandomSeed();

}  // namespace portolan
