// Internet checksum arithmetic (RFC 1071), incremental (RFC 1624, equation 3). Sums are kept in
// 64 bits and folded once; all words are in network order, which the arithmetic does not mind.
#pragma once

#include <bpf/bpf_endian.h>

#include "bpf/lib/kernel_types.h"
#include "bpf/lib/packet.h"

// To 16 bits, end-around carry; never 0 unless the sum is.
static __always_inline __u16 csum_fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

// What replacing the word `from` by `to` adds to a sum.
static __always_inline __u64 csum_diff(__u32 from, __u32 to) { return (__u64)(__u32)~from + to; }

static __always_inline __u64 csum_diff16(const __be32* from, const __be32* to) {
  return csum_diff(from[0], to[0]) + csum_diff(from[1], to[1]) + csum_diff(from[2], to[2]) +
         csum_diff(from[3], to[3]);
}

// RFC 1624: HC' = ~(~HC + ~m + m').
static __always_inline __sum16 csum_apply(__sum16 check, __u64 diff) {
  return ~csum_fold((__u64)(__u16)~check + diff);
}

// The sum of the pseudo-header, not complemented: what a local sender leaves in the checksum field
// when it counts on the hardware to finish it (CHECKSUM_PARTIAL).
static __always_inline __u16 csum_pseudo(const struct packet* packet, const bool v6) {
  __u64 sum = bpf_htonl(packet->l4_length);
  if (v6) {
    const struct portolan_flow_key6* key = &packet->key.v6;
    sum += bpf_htonl(key->protocol);
    for (int i = 0; i < 4; i++) sum += (__u64)key->saddr[i] + key->daddr[i];
  } else {
    sum += (__u64)packet->key.v4.saddr + packet->key.v4.daddr;
    sum += bpf_htonl(packet->key.v4.protocol);
  }
  return csum_fold(sum);
}

// Has a local sender left the checksum to the hardware? A packet whose full sum is the same by
// chance is treated as one, which does no harm: tc knows.
static __always_inline bool has_partial_checksum(const struct packet* packet, const bool v6) {
  const __u8 protocol = packet->protocol;
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) return false;
  return packet->l4_check == csum_pseudo(packet, v6);
}
