// The outer header of a packet that travels in a tunnel: IP in IP (RFC 2003), or in IPv6 (RFC
// 2473). Every field is set, whatever stood in the room before the packet.
#pragma once

#include "bpf/lib/csum.h"
#include "bpf/lib/route.h"

#define TUNNEL_TTL 64

static __always_inline void fill_outer4(const struct packet* packet, const struct rewrite* rewrite,
                                        const bool v6, struct iphdr* out) {
  out->version_ihl = 0x45;
  out->tos = packet->traffic_class;  // with the ECN bits (RFC 6040)
  out->tot_len = bpf_htons(packet->l3_length + sizeof(*out));
  out->id = 0;
  out->frag_off = bpf_htons(IPV4_DONT_FRAGMENT);
  out->ttl = TUNNEL_TTL;
  out->protocol = v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
  out->check = 0;
  out->saddr = rewrite->saddr[0];
  out->daddr = rewrite->daddr[0];
  const __be16* words = (const __be16*)out;
  __u64 sum = 0;
#pragma unroll
  for (int i = 0; i < 10; i++) sum += words[i];
  out->check = ~csum_fold(sum);
}

// `label`: of the flow, so that routers on the way spread flows (RFC 6438).
static __always_inline void fill_outer6(const struct packet* packet, const struct rewrite* rewrite,
                                        __u32 label, const bool v6, struct ipv6hdr* out) {
  out->version_class_flow =
      bpf_htonl(6u << 28 | (__u32)packet->traffic_class << 20 | (label & 0xfffff));
  out->payload_len = bpf_htons(packet->l3_length);
  out->nexthdr = v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
  out->hop_limit = TUNNEL_TTL;
  __builtin_memcpy(out->saddr, rewrite->saddr, sizeof(out->saddr));
  __builtin_memcpy(out->daddr, rewrite->daddr, sizeof(out->daddr));
}

// The same for all packets of a flow.
static __always_inline __u32 flow_label(const struct packet* packet, const bool v6) {
  const __u32 ports = v6 ? (__u32)packet->key.v6.sport << 16 | packet->key.v6.dport
                         : (__u32)packet->key.v4.sport << 16 | packet->key.v4.dport;
  const __u32 source = v6 ? packet->key.v6.saddr[3] : packet->key.v4.saddr;
  return (ports ^ source) * 0x9e3779b1u >> 12;
}
