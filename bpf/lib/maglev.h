// Which backend takes a new flow: a hash of the 5-tuple, equal on all nodes, into the Maglev table
// that user space wrote (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
// Balancer", NSDI 2016).
#pragma once

#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"

static __always_inline __u64 mix64(__u64 value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ull;
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ull;
  return value ^ (value >> 32);
}

// Uniform in 32 bits.
static __always_inline __u32 flow_hash(const union flow_key* key, __u32 seed, const bool v6) {
  if (v6) {
    const struct portolan_flow_key6* k = &key->v6;
    __u64 hash = mix64(((__u64)k->saddr[0] << 32 | k->saddr[1]) + seed);
    hash = mix64(hash + ((__u64)k->saddr[2] << 32 | k->saddr[3]));
    hash = mix64(hash + ((__u64)k->daddr[0] << 32 | k->daddr[1]));
    hash = mix64(hash + ((__u64)k->daddr[2] << 32 | k->daddr[3]));
    return mix64(hash + ((__u64)k->protocol << 32 | (__u32)k->sport << 16 | k->dport)) >> 32;
  }
  const struct portolan_flow_key4* k = &key->v4;
  __u64 hash = mix64(((__u64)k->saddr << 32 | k->daddr) + seed);
  return mix64(hash + ((__u64)k->protocol << 32 | (__u32)k->sport << 16 | k->dport)) >> 32;
}

// The backend's id for this hash in the table of `size` slots from `offset`, or 0.
static __always_inline __u32 maglev_lookup(__u32 offset, __u32 size, __u32 hash) {
  // Multiply instead of modulo: as even, and cheap.
  __u32 slot = offset + (__u32)(((__u64)hash * size) >> 32);
  __u32 chunk = slot / PORTOLAN_CHUNK_SLOTS;
  struct portolan_table_chunk* slots = bpf_map_lookup_elem(&maglev, &chunk);
  if (!slots) return 0;
  return slots->backend[slot % PORTOLAN_CHUNK_SLOTS];
}
