// The number that pickers make of a Service's key: FNV-1a over its octets, from a seed.
//
// Fixed for ever and equal on all machines: another function would choose other addresses. Its bits
// are not evenly mixed; feed it to an Rng. Pure.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace portolan::plugin {

inline uint64_t KeyHash(absl::string_view key, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed;
  for (unsigned char c : key) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

}  // namespace portolan::plugin
