// The same load balancer over socket buffers (tcx or clsact ingress): where the driver has no XDP,
// for large segments (GSO/GRO) and for checksums that are left to the hardware, and beside the XDP
// program for the flows whose source becomes this node.
//
// Rewritten packets are routed here (bpf_fib_lookup) and sent (bpf_redirect_neigh), past the
// kernel's own forwarding. Where that does not work out (a backend that is this machine, no route,
// too large, the last hop) the kernel gets the rewritten packet and does or reports what is to be
// done; but not those whose source became this node, which it would refuse from outside: they are
// dropped. SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/answers.h"
#include "bpf/lib/balance.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/errors.h"
#include "bpf/lib/kernel_types.h"
#include "bpf/lib/packet.h"

#define MAX_HEADERS (ETH_LEN + 60 + sizeof(struct tcphdr))
// Of an ICMP error: a header, and the headers that it quotes.
#define MAX_ERROR_HEADERS (ETH_LEN + 60 + sizeof(struct icmphdr) + 60 + sizeof(struct tcphdr))
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
  __u32 ifindex;  // 0: the kernel routes
  __u8 ttl;       // as the packet came
  struct bpf_redir_neigh nexthop;
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
  route->nexthop.nh_family = lookup.family;
  __builtin_memcpy(route->nexthop.nexthop, lookup.dst, sizeof(lookup.dst));
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

// An ICMP error's checksum and its quote; nothing can fail, as above. `address_diff` is what the
// message's own addresses add to a checksum that covers them.
static __always_inline void write_error(struct __sk_buff* skb, const struct packet* packet,
                                        const struct rewrite* rewrite,
                                        const struct error_change* change, __u32 address_diff,
                                        const bool v6) {
  const struct quote* quote = &packet->quote;
  const __u32 check = packet->l4_offset + ICMP_CHECK_OFFSET;
  if (v6) {
    bpf_l4_csum_replace(skb, check, 0, address_diff, l4_csum_ipv6_flag | BPF_F_PSEUDO_HDR);
    bpf_skb_store_bytes(skb, quote->ip_offset + 8, rewrite->daddr, sizeof(rewrite->daddr), 0);
    bpf_skb_store_bytes(skb, quote->ip_offset + 24, rewrite->saddr, sizeof(rewrite->saddr), 0);
  } else {
    const __be32 quoted[2] = {rewrite->daddr[0], rewrite->saddr[0]};
    bpf_skb_store_bytes(skb, quote->ip_offset + 10, &change->quoted_ip_check, 2, 0);
    bpf_skb_store_bytes(skb, quote->ip_offset + 12, quoted, sizeof(quoted), 0);
  }
  bpf_l4_csum_replace(skb, check, 0, csum_fold(change->message_diff), 0);
  bpf_skb_store_bytes(skb, quote->l4_offset, change->quoted_ports, sizeof(change->quoted_ports), 0);
  if (quote->l4_check_offset == 0) return;
  bpf_skb_store_bytes(skb, quote->l4_check_offset, &change->quoted_l4_check, 2, 0);
}

// The message's own addresses; returns their difference as a sum. With `uncovered`, no checksum
// in this packet takes part.
static __always_inline __u32 write_addresses(struct __sk_buff* skb, __be32* from, __be32* to,
                                             bool uncovered, const bool v6) {
  const __u32 size = v6 ? 32 : 8;
  const __u32 diff = bpf_csum_diff(from, size, to, size, 0);
  if (v6) {
    bpf_skb_store_bytes(skb, IPV6_ADDRESSES, to, size, uncovered ? BPF_F_RECOMPUTE_CSUM : 0);
  } else {
    bpf_l3_csum_replace(skb, IPV4_CHECK_OFFSET, 0, diff, 0);
    bpf_skb_store_bytes(skb, IPV4_ADDRESSES, to, size, 0);
  }
  return diff;
}

static __always_inline void count_down(struct __sk_buff* skb, __u8 ttl, __u8 protocol,
                                       const bool v6) {
  if (v6) {
    const __u8 next = ttl - 1;
    bpf_skb_store_bytes(skb, IPV6_HOP_LIMIT, &next, sizeof(next), 0);
    return;
  }
  __u8 now[2] = {ttl, protocol};
  __u8 next[2] = {ttl - 1, protocol};
  bpf_l3_csum_replace(skb, IPV4_CHECK_OFFSET, *(__be16*)now, *(__be16*)next, 2);
  bpf_skb_store_bytes(skb, IPV4_TTL_WORD, next, sizeof(next), 0);
}

// The addresses of the IP header, source and destination side by side as they stand there.
struct addresses {
  __be32 words[8];
};

static __always_inline void rewrite_packet(struct __sk_buff* skb, const struct packet* packet,
                                           enum packet_kind kind, struct rewrite* rewrite,
                                           struct addresses* from, const bool v6) {
  const union flow_key* key = &packet->key;
  const int words = v6 ? 4 : 1;
  struct addresses to;
  __builtin_memcpy(to.words, rewrite->saddr, words * 4);
  __builtin_memcpy(to.words + words, rewrite->daddr, words * 4);
  if (kind == PACKET_ERROR) {
    struct error_change change;
    change_error(packet, rewrite, &change, v6);
    if (!hides_source(rewrite)) __builtin_memcpy(to.words, from->words, words * 4);
    const __u32 diff = write_addresses(skb, from->words, to.words, false, v6);
    write_error(skb, packet, rewrite, &change, diff, v6);
    return;
  }
  const __u32 diff = write_addresses(skb, from->words, to.words, kind == PACKET_LATER, v6);
  if (kind == PACKET_LATER) return;
  write_l4(skb, packet, v6 ? key->v6.protocol : key->v4.protocol,
           v6 ? key->v6.sport : key->v4.sport, v6 ? key->v6.dport : key->v4.dport, rewrite, diff,
           v6 ? l4_csum_ipv6_flag : 0);
}

// How much of the packet must be writable.
static __always_inline __u32 headers_of(const struct packet* packet, enum packet_kind kind,
                                        __u8 protocol) {
  if (kind == PACKET_LATER) return packet->l4_offset;
  if (kind == PACKET_FLOW) return packet->l4_offset + l4_header_length(protocol);
  const struct quote* quote = &packet->quote;
  return quote->l4_check_offset == 0 ? quote->l4_offset + 8 : quote->l4_check_offset + 2;
}

static __always_inline int handle(struct __sk_buff* skb, const bool v6) {
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  struct packet packet;
  const enum packet_kind kind =
      v6 ? parse_ipv6(data, end, skb->len, &packet) : parse_ipv4(data, end, skb->len, &packet);
  if (kind == PACKET_FOREIGN || !is_candidate(&packet.key, v6)) return CONTINUE;
  if (data + ETH_LEN + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) > end) return CONTINUE;
  struct route route = {};
  struct addresses from;
  __u8 protocol;  // of the message itself
  if (v6) {
    const struct ipv6hdr* ip = data + ETH_LEN;
    __builtin_memcpy(from.words, ip->saddr, 32);
    route.ttl = ip->hop_limit;
    protocol = ip->nexthdr;
  } else {
    const struct iphdr* ip = data + ETH_LEN;
    from.words[0] = ip->saddr;
    from.words[1] = ip->daddr;
    route.ttl = ip->ttl;
    protocol = ip->protocol;
  }

  struct rewrite rewrite;
  switch (decide(&packet, kind, skb->len, &rewrite, v6, true)) {
    case VERDICT_REWRITE:
      break;
    case VERDICT_DROP:
      return TC_ACT_SHOT;
    case VERDICT_REFUSE:
      return refuse(skb, &packet, v6);
    case VERDICT_ECHO:
      return answer_echo(skb, &packet, v6);
    default:
      return CONTINUE;
  }
  const __u8 flow_protocol = v6 ? packet.key.v6.protocol : packet.key.v4.protocol;
  const bool last_hop = route.ttl <= 1;  // the kernel answers "time exceeded"
  if (rewrite.snat && last_hop) return CONTINUE;
  const int reason = last_hop ? -1 : find_route(skb, &rewrite, flow_protocol, &route, v6);
  if (rewrite.snat && reason >= 0) return drop(reason, skb->len);
  if (bpf_skb_pull_data(skb, headers_of(&packet, kind, flow_protocol))) {
    return drop(PORTOLAN_DROP_NO_MEMORY, skb->len);
  }
  rewrite_packet(skb, &packet, kind, &rewrite, &from, v6);
  if (!route.ifindex) return CONTINUE;
  count_down(skb, route.ttl, protocol, v6);
  return bpf_redirect_neigh(route.ifindex, &route.nexthop, sizeof(route.nexthop), 0);
}

// Is it a message whose headers reach further than those of TCP?
static __always_inline bool is_icmp(struct __sk_buff* skb, const bool v6) {
  __u8 protocol = 0;
  bpf_skb_load_bytes(skb, ETH_LEN + (v6 ? 6 : 9), &protocol, sizeof(protocol));
  return protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

SEC("tc")
int portolan_lb_tc(struct __sk_buff* skb) {
  const __be16 protocol = skb->protocol;
  if (protocol != bpf_htons(ETH_P_IP) && protocol != bpf_htons(ETH_P_IPV6)) return CONTINUE;
  if (skb->vlan_present || skb->pkt_type != PACKET_HOST) return CONTINUE;
  const bool v6 = protocol == bpf_htons(ETH_P_IPV6);
  const __u32 linear = skb->data_end - skb->data;
  if (linear < MAX_ERROR_HEADERS && linear < skb->len) {
    const __u32 most = is_icmp(skb, v6) ? MAX_ERROR_HEADERS : MAX_HEADERS;
    const __u32 wanted = skb->len < most ? skb->len : most;
    // Reads nothing into the packet, only moves what is there to where it can be read.
    if (linear < wanted) bpf_skb_pull_data(skb, wanted);
  }
  return v6 ? handle(skb, true) : handle(skb, false);
}

char _license[] SEC("license") = "Dual BSD/GPL";
