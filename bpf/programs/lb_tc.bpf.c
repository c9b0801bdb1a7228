// The same load balancer over socket buffers (tcx or clsact ingress): where the driver has no XDP,
// for large segments (GSO/GRO) and for checksums that are left to the hardware, and beside the XDP
// program for the flows whose source becomes this node.
//
// Rewritten packets go on into the kernel, which routes them. Source-translated ones carry one of
// our own addresses, which the kernel refuses from outside, so they are routed here
// (bpf_fib_lookup) and sent (bpf_redirect_neigh); their way back takes the same road.
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/balance.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/kernel_types.h"
#include "bpf/lib/packet.h"

#define MAX_HEADERS (ETH_LEN + 60 + sizeof(struct tcphdr))
#define IPV4_ADDRESSES (ETH_LEN + 12)
#define IPV4_TTL_WORD (ETH_LEN + 8)
#define IPV6_HOP_LIMIT (ETH_LEN + 7)
#define IPV6_ADDRESSES (ETH_LEN + 8)

// BPF_F_IPV6 where the kernel has it (set by the loader), else 0: without it a kernel before 6.16
// gets CHECKSUM_COMPLETE wrong for IPv6.
const volatile __u64 l4_csum_ipv6_flag = 0;

// What to do with a packet that stays with the kernel: let other programs see it too.
#define CONTINUE TC_ACT_UNSPEC

struct route {
  __u32 ifindex;  // 0: not source-translated, the kernel routes
  __u8 ttl;
};

static __always_inline int drop(enum portolan_drop reason, __u32 length) {
  count_drop(reason, length);
  return TC_ACT_SHOT;
}

// Negative: go on. Otherwise the reason to drop.
static __always_inline int find_route(struct __sk_buff* skb, const struct rewrite* rewrite,
                                      __u8 protocol, struct route* route, const bool v6) {
  struct bpf_fib_lookup lookup = {
      .family = v6 ? AF_INET6 : AF_INET,
      .l4_protocol = protocol,
      .sport = rewrite->sport,
      .dport = rewrite->dport,
      .ifindex = skb->ifindex,
  };
  if (v6) {
    __builtin_memcpy(lookup.src, rewrite->saddr, sizeof(lookup.src));
    __builtin_memcpy(lookup.dst, rewrite->daddr, sizeof(lookup.dst));
  } else {
    lookup.src[0] = rewrite->saddr[0];
    lookup.dst[0] = rewrite->daddr[0];
  }
  const long answer = bpf_fib_lookup(skb, &lookup, sizeof(lookup), 0);
  if (answer == BPF_FIB_LKUP_RET_FRAG_NEEDED) return PORTOLAN_DROP_TOO_BIG;
  if (answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH) {
    return PORTOLAN_DROP_NO_ROUTE;
  }
  route->ifindex = lookup.ifindex;
  return -1;
}

// The L4 checksum and ports. The headers are linear and writable, so nothing here can fail
// half-way.
static __always_inline void write_l4(struct __sk_buff* skb, const struct packet* packet,
                                     __u8 protocol, __be16 sport, __be16 dport,
                                     const struct rewrite* rewrite, __u32 address_diff,
                                     __u64 family_flag) {
  const bool tcp = protocol == IPPROTO_TCP;
  const __u32 l4 = packet->l4_offset;
  const __u32 check = l4 + (tcp ? TCP_CHECK_OFFSET : UDP_CHECK_OFFSET);
  const __u64 flags = tcp ? 0 : BPF_F_MARK_MANGLED_0;
  const __be16 ports[2] = {rewrite->sport, rewrite->dport};
  bpf_l4_csum_replace(skb, check, 0, address_diff, flags | family_flag | BPF_F_PSEUDO_HDR);
  bpf_l4_csum_replace(skb, check, sport, ports[0], flags | 2);
  bpf_l4_csum_replace(skb, check, dport, ports[1], flags | 2);
  bpf_skb_store_bytes(skb, l4, ports, sizeof(ports), 0);
}

static __always_inline int send(const struct route* route) {
  return route->ifindex ? bpf_redirect_neigh(route->ifindex, NULL, 0, 0) : CONTINUE;
}

static __always_inline int handle_ipv4(struct __sk_buff* skb) {
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  struct packet packet;
  if (!parse_ipv4(data, end, skb->len, &packet)) return CONTINUE;
  if (!is_candidate(&packet.key, false)) return CONTINUE;
  struct iphdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end) return CONTINUE;
  const struct portolan_flow_key4* key = &packet.key.v4;
  struct route route = {.ttl = ip->ttl};

  struct rewrite rewrite;
  switch (balance(&packet, skb->len, &rewrite, false, true)) {
    case VERDICT_REWRITE:
      break;
    case VERDICT_DROP:
      return TC_ACT_SHOT;
    default:
      return CONTINUE;
  }
  if (rewrite.snat) {
    if (route.ttl <= 1) return CONTINUE;  // the kernel answers "time exceeded"
    const int reason = find_route(skb, &rewrite, key->protocol, &route, false);
    if (reason >= 0) return drop(reason, skb->len);
  }
  if (bpf_skb_pull_data(skb, packet.l4_offset + l4_header_length(key->protocol))) {
    return drop(PORTOLAN_DROP_NO_MEMORY, skb->len);
  }
  __be32 from[2] = {key->saddr, key->daddr};
  __be32 to[2] = {rewrite.saddr[0], rewrite.daddr[0]};
  const __u32 diff = bpf_csum_diff(from, sizeof(from), to, sizeof(to), 0);
  bpf_l3_csum_replace(skb, IPV4_CHECK_OFFSET, 0, diff, 0);
  bpf_skb_store_bytes(skb, IPV4_ADDRESSES, to, sizeof(to), 0);
  write_l4(skb, &packet, key->protocol, key->sport, key->dport, &rewrite, diff, 0);
  if (route.ifindex) {
    __u8 now[2] = {route.ttl, key->protocol};
    __u8 next[2] = {route.ttl - 1, key->protocol};
    bpf_l3_csum_replace(skb, IPV4_CHECK_OFFSET, *(__be16*)now, *(__be16*)next, 2);
    bpf_skb_store_bytes(skb, IPV4_TTL_WORD, next, sizeof(next), 0);
  }
  return send(&route);
}

static __always_inline int handle_ipv6(struct __sk_buff* skb) {
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  struct packet packet;
  if (!parse_ipv6(data, end, skb->len, &packet)) return CONTINUE;
  if (!is_candidate(&packet.key, true)) return CONTINUE;
  struct ipv6hdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end) return CONTINUE;
  const struct portolan_flow_key6* key = &packet.key.v6;
  struct route route = {.ttl = ip->hop_limit};

  struct rewrite rewrite;
  switch (balance(&packet, skb->len, &rewrite, true, true)) {
    case VERDICT_REWRITE:
      break;
    case VERDICT_DROP:
      return TC_ACT_SHOT;
    default:
      return CONTINUE;
  }
  if (rewrite.snat) {
    if (route.ttl <= 1) return CONTINUE;
    const int reason = find_route(skb, &rewrite, key->protocol, &route, true);
    if (reason >= 0) return drop(reason, skb->len);
  }
  if (bpf_skb_pull_data(skb, packet.l4_offset + l4_header_length(key->protocol))) {
    return drop(PORTOLAN_DROP_NO_MEMORY, skb->len);
  }
  // Source and destination lie side by side in the key and in the rewrite, as in the header.
  const __u32 size = sizeof(rewrite.saddr) + sizeof(rewrite.daddr);
  const __u32 diff = bpf_csum_diff((__be32*)key->saddr, size, rewrite.saddr, size, 0);
  bpf_skb_store_bytes(skb, IPV6_ADDRESSES, rewrite.saddr, size, 0);
  write_l4(skb, &packet, key->protocol, key->sport, key->dport, &rewrite, diff, l4_csum_ipv6_flag);
  if (route.ifindex) {
    const __u8 next = route.ttl - 1;
    bpf_skb_store_bytes(skb, IPV6_HOP_LIMIT, &next, sizeof(next), 0);
  }
  return send(&route);
}

SEC("tc")
int portolan_lb_tc(struct __sk_buff* skb) {
  const __be16 protocol = skb->protocol;
  if (protocol != bpf_htons(ETH_P_IP) && protocol != bpf_htons(ETH_P_IPV6)) return CONTINUE;
  if (skb->vlan_present || skb->pkt_type != PACKET_HOST) return CONTINUE;
  const __u32 linear = skb->data_end - skb->data;
  if (linear < MAX_HEADERS && linear < skb->len) {
    // Reads nothing into the packet, only moves what is there to where it can be read.
    bpf_skb_pull_data(skb, skb->len < MAX_HEADERS ? skb->len : MAX_HEADERS);
  }
  return protocol == bpf_htons(ETH_P_IP) ? handle_ipv4(skb) : handle_ipv6(skb);
}

char _license[] SEC("license") = "Dual BSD/GPL";
