// The same load balancer over socket buffers (tcx or clsact ingress): where the driver has no XDP,
// for large segments (GSO/GRO) and for checksums that are left to the hardware, and beside the XDP
// program for the flows whose source becomes this node.
//
// Packets are routed here (bpf_fib_lookup) and sent (bpf_redirect_neigh), past the kernel's own
// forwarding. Where that does not work out (a backend that is this machine, no route, the last hop)
// the kernel gets the rewritten packet and does or reports what is to be done; but not those whose
// source became this node, which it would refuse from outside, nor those that go to a backend
// unchanged: they are dropped. The sender of what is too large is told.
//
// The kernel has taken a VLAN tag out of the frame; what stays with it, or goes back, keeps the
// tag. SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/kernel_types.h"

typedef struct __sk_buff context_t;
#define IS_TC true
#define IS_INLINE(v6) false

#include "bpf/lib/answers.h"
#include "bpf/lib/balance.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/decap.h"
#include "bpf/lib/errors.h"
#include "bpf/lib/extensions.h"
#include "bpf/lib/neighbour.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"
#include "bpf/lib/tunnel.h"

#define MAX_HEADERS (ETH_LEN + 60 + sizeof(struct tcphdr))
// Of an ICMP error: a header, and the headers that it quotes.
#define MAX_ERROR_HEADERS (ETH_LEN + 60 + sizeof(struct icmphdr) + 60 + sizeof(struct tcphdr))
// The same behind IPv6 extension headers.
#define MAX_EXTENDED_HEADERS \
  (ETH_LEN + 40 + MOST_EXTENSION_OCTETS + sizeof(struct icmphdr) + 40 + sizeof(struct tcphdr))
#define IPV4_CHECK_OFFSET (ETH_LEN + 10)
#define IPV4_ADDRESSES (ETH_LEN + 12)
#define IPV4_TTL_WORD (ETH_LEN + 8)
#define IPV6_HOP_LIMIT (ETH_LEN + 7)
#define IPV6_ADDRESSES (ETH_LEN + 8)

// BPF_F_IPV6 where the kernel has it (set by the loader), else 0: without it a kernel before 6.16
// gets CHECKSUM_COMPLETE wrong for IPv6.
const volatile __u64 l4_csum_ipv6_flag = 0;

// What to do with a packet that stays with the kernel: let other programs see it too.
#define CONTINUE TC_ACT_UNSPEC

static __always_inline int drop(struct scratch* know, const bool v6) {
  drop_packet(know, PORTOLAN_DROP_NO_MEMORY, v6);
  return TC_ACT_SHOT;
}

// The L4 checksum and ports. The headers are linear and writable, so nothing here can fail
// half-way.
static __always_inline void write_l4(struct __sk_buff* skb, const struct packet* packet,
                                     __u8 protocol, __be16 sport, __be16 dport,
                                     const struct rewrite* rewrite, __u32 address_diff,
                                     __u64 family_flag) {
  if (protocol == IPPROTO_SCTP) return;
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

// The addresses as they stand in the packet, which are not those of the key for an error.
static __always_inline bool read_addresses(struct __sk_buff* skb, struct addresses* from,
                                           const bool v6) {
  return !bpf_skb_load_bytes(skb, v6 ? IPV6_ADDRESSES : IPV4_ADDRESSES, from->words, v6 ? 32 : 8);
}

// Puts the packet into another one.
static __always_inline bool push_outer(struct __sk_buff* skb, const struct packet* packet,
                                       const struct rewrite* rewrite, const bool v6) {
  const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
  if (rewrite->outer_v6) {
    struct ipv6hdr outer;
    fill_outer6(packet, rewrite, flow_label(packet, v6), v6, &outer);
    return !bpf_skb_adjust_room(skb, sizeof(outer), BPF_ADJ_ROOM_MAC,
                                flags | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6) &&
           !bpf_skb_store_bytes(skb, ETH_LEN, &outer, sizeof(outer), 0);
  }
  struct iphdr outer;
  fill_outer4(packet, rewrite, v6, &outer);
  return !bpf_skb_adjust_room(skb, sizeof(outer), BPF_ADJ_ROOM_MAC,
                              flags | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) &&
         !bpf_skb_store_bytes(skb, ETH_LEN, &outer, sizeof(outer), 0);
}

static __always_inline int send(struct __sk_buff* skb, struct scratch* know, const bool v6) {
  const struct packet* packet = &know->packet;
  const struct rewrite* rewrite = &know->rewrite;
  count_down(skb, packet->ttl, packet->protocol, v6);
  if (rewrite->delivery == DELIVER_TUNNEL && !push_outer(skb, packet, rewrite, v6)) {
    return drop(know, v6);
  }
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return drop(know, v6);
  struct bpf_redir_neigh nexthop = {.nh_family = know->route.fib.family};
  __builtin_memcpy(nexthop.nexthop, know->route.fib.dst, sizeof(nexthop.nexthop));
  return bpf_redirect_neigh(know->route.fib.ifindex, &nexthop, sizeof(nexthop), 0);
}

static __always_inline int deliver(struct __sk_buff* skb, enum packet_kind kind, const bool v6) {
  struct scratch* know = get_scratch();
  if (!know) return CONTINUE;
  const __u8 protocol = v6 ? know->packet.key.v6.protocol : know->packet.key.v4.protocol;
  if (bpf_skb_pull_data(skb, headers_of(&know->packet, kind, protocol))) return drop(know, v6);
  if (know->rewrite.delivery == DELIVER_TRANSLATED) {
    struct addresses from;
    if (!read_addresses(skb, &from, v6)) return CONTINUE;
    rewrite_packet(skb, &know->packet, kind, &know->rewrite, &from, v6);
  }
  return know->route.sends ? send(skb, know, v6) : CONTINUE;
}

// Functions of their own for the verifier.
__attribute__((noinline)) int portolan_tc_deliver4(struct __sk_buff* skb, __u32 kind) {
  return deliver(skb, kind, false);
}

__attribute__((noinline)) int portolan_tc_deliver6(struct __sk_buff* skb, __u32 kind) {
  return deliver(skb, kind, true);
}

// What the sender gets to hear.
static __always_inline int answer(struct __sk_buff* skb, enum verdict verdict, const bool v6) {
  struct scratch* know = get_scratch();
  if (!know) return TC_ACT_SHOT;
  if (verdict == VERDICT_REFUSE) return refuse(skb, know, v6);
  if (verdict == VERDICT_ECHO) {
    const int action = answer_echo(skb, &know->packet, v6);
    if (action == TC_ACT_SHOT) drop_packet(know, PORTOLAN_DROP_UNSERVED, v6);
    return action;
  }
  const __u32 mtu = know->route.fib.tot_len - outer_length(&know->rewrite);
  return tell_too_big(skb, know, mtu, v6);
}

__attribute__((noinline)) int portolan_tc_answer4(struct __sk_buff* skb, __u32 verdict) {
  return answer(skb, verdict, false);
}

__attribute__((noinline)) int portolan_tc_answer6(struct __sk_buff* skb, __u32 verdict) {
  return answer(skb, verdict, true);
}

__attribute__((noinline)) int portolan_tc_open4(struct __sk_buff* skb) {
  return open_tunnel(skb, false);
}

__attribute__((noinline)) int portolan_tc_open6(struct __sk_buff* skb) {
  return open_tunnel(skb, true);
}

// The length of the longest packet that this one will be cut into.
static __always_inline __u32 segment_length(const struct __sk_buff* skb,
                                            const struct packet* packet) {
  const __u32 gso_size = skb->gso_size;
  if (gso_size == 0) return packet->l3_length;
  const __u32 header =
      packet->protocol == IPPROTO_TCP ? packet->tcp_header : l4_header_length(packet->protocol);
  return packet->l4_offset - packet->l3_offset + header + gso_size;
}

static __always_inline int handle(struct __sk_buff* skb, const bool v6) {
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  struct scratch* know = get_scratch();
  if (!know) return CONTINUE;
  struct packet* packet = &know->packet;
  enum packet_kind kind = v6 ? parse_ipv6(data, end, ETH_LEN, skb->len, packet)
                             : parse_ipv4(data, end, ETH_LEN, skb->len, packet);
  STAGE_ENDS(kind);
  if (kind == PACKET_FOREIGN) return CONTINUE;
  know->arrival.ifindex = skb->ifindex;
  know->arrival.length = skb->len;
  if (is_tunnel(packet)) {
    const int action = v6 ? portolan_tc_open6(skb) : portolan_tc_open4(skb);
    if (action != CONTINUE) return action;
  }
  if (!is_candidate(&packet->key, v6)) return CONTINUE;
  if (v6 && kind == PACKET_EXTENDED) {
    kind = portolan_extended(skb);
    if (kind == PACKET_FOREIGN) return CONTINUE;
  }
  know->arrival.l3_length = segment_length(skb, packet);
  know->arrival.tagged = skb->vlan_present;
  const enum verdict verdict = decide(skb, know, kind, v6);
  switch (verdict) {
    case VERDICT_REWRITE:
      return v6 ? portolan_tc_deliver6(skb, kind) : portolan_tc_deliver4(skb, kind);
    case VERDICT_DROP:
      return TC_ACT_SHOT;
    case VERDICT_REFUSE:
    case VERDICT_ECHO:
    case VERDICT_TOO_BIG:
      return v6 ? portolan_tc_answer6(skb, verdict) : portolan_tc_answer4(skb, verdict);
    default:
      return CONTINUE;
  }
}

__attribute__((noinline)) int portolan_tc_ipv4(struct __sk_buff* skb) { return handle(skb, false); }
__attribute__((noinline)) int portolan_tc_ipv6(struct __sk_buff* skb) { return handle(skb, true); }

// How far its headers may reach.
static __always_inline __u32 most_headers(struct __sk_buff* skb, const bool v6) {
  __u8 protocol = 0;
  bpf_skb_load_bytes(skb, ETH_LEN + (v6 ? 6 : 9), &protocol, sizeof(protocol));
  if (v6 && is_extension(protocol)) return MAX_EXTENDED_HEADERS;
  return protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ? MAX_ERROR_HEADERS : MAX_HEADERS;
}

__attribute__((noinline)) int portolan_tc_arp(struct __sk_buff* skb) { return answer_arp_tc(skb); }
__attribute__((noinline)) int portolan_tc_nd(struct __sk_buff* skb) { return answer_nd_tc(skb); }

SEC("tc")
int portolan_lb_tc(struct __sk_buff* skb) {
  const __be16 protocol = skb->protocol;
  if (protocol == bpf_htons(ETH_P_ARP)) return portolan_tc_arp(skb);
  if (protocol != bpf_htons(ETH_P_IP) && protocol != bpf_htons(ETH_P_IPV6)) return CONTINUE;
  if (protocol == bpf_htons(ETH_P_IPV6) && is_solicitation_tc(skb)) return portolan_tc_nd(skb);
  if (skb->pkt_type != PACKET_HOST) return CONTINUE;
  const bool v6 = protocol == bpf_htons(ETH_P_IPV6);
  const __u32 linear = skb->data_end - skb->data;
  if (linear < MAX_EXTENDED_HEADERS && linear < skb->len) {
    const __u32 most = most_headers(skb, v6);
    const __u32 wanted = skb->len < most ? skb->len : most;
    // Reads nothing into the packet, only moves what is there to where it can be read.
    if (linear < wanted) bpf_skb_pull_data(skb, wanted);
  }
  return v6 ? portolan_tc_ipv6(skb) : portolan_tc_ipv4(skb);
}

char _license[] SEC("license") = "Dual BSD/GPL";
