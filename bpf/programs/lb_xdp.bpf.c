// The load balancer at the driver: rewrites packets for a frontend, and replies of backends, and
// sends them out of an interface whose driver takes frames from XDP; else the kernel routes them
// (XDP_PASS). It never drops what it does not own.
//
// Three kinds of packet are left, untouched, to the tc program that the loader always attaches
// beside this one: those that it would have to send but cannot (their source becomes this node, or
// they go to a backend unchanged, and the way out is a driver without XDP or a neighbour that is
// not known yet), what is to be answered, and packets whose checksum a local sender has left to the
// hardware, which XDP can neither see in its context nor keep in order.
//
// Each family is a function of its own for the verifier, which need not know how many VLAN tags
// stand before the IP header.
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/kernel_types.h"

typedef struct xdp_md context_t;
#define IS_TC false
#define IS_INLINE(v6) (!(v6))

#include "bpf/lib/balance.h"
#include "bpf/lib/chain.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/errors.h"
#include "bpf/lib/extensions.h"
#include "bpf/lib/frame.h"
#include "bpf/lib/neighbour.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"
#include "bpf/lib/tunnel.h"

// Ports and checksum. False, with nothing written: the header is not there; the parser has seen
// it, but the verifier has forgotten.
static __always_inline bool write_l4(void* data, void* end, const struct packet* packet,
                                     __u8 protocol, const struct rewrite* rewrite,
                                     __u64 address_diff) {
  if (protocol == IPPROTO_SCTP) return true;
  void* l4 = data + (packet->l4_offset & OFFSET_MASK);
  if (l4 + sizeof(struct udphdr) > end) return false;
  __be16* ports = l4;
  const __u64 diff =
      address_diff + csum_diff(ports[0], rewrite->sport) + csum_diff(ports[1], rewrite->dport);
  if (protocol == IPPROTO_TCP) {
    struct tcphdr* tcp = l4;
    if ((void*)(tcp + 1) > end) return false;
    tcp->check = csum_apply(tcp->check, diff);
  } else {
    struct udphdr* udp = l4;
    const __sum16 check = csum_apply(udp->check, diff);
    // 0 says that the sender has not summed, and must stay 0; a sum of 0 is written as ones.
    if (udp->check != 0) udp->check = check == 0 ? 0xffff : check;
  }
  ports[0] = rewrite->sport;
  ports[1] = rewrite->dport;
  return true;
}

// An ICMP error's checksum and its quote; `address_diff` is what the message's own addresses add to
// a checksum that covers them. False, with nothing written: as above.
static __always_inline bool write_error(void* data, void* end, const struct packet* packet,
                                        const struct rewrite* rewrite, __u64 address_diff,
                                        const bool v6) {
  struct error_change change;
  change_error(packet, rewrite, &change, v6);
  struct icmphdr* icmp = data + (packet->l4_offset & OFFSET_MASK);
  void* ip = data + (packet->quote.ip_offset & OFFSET_MASK);
  __be16* ports = data + (packet->quote.l4_offset & OFFSET_MASK);
  __sum16* l4_check = data + (packet->quote.l4_check_offset & OFFSET_MASK);
  if ((void*)(icmp + 1) > end || (void*)(ports + 2) > end || (void*)(l4_check + 1) > end) {
    return false;
  }
  if (v6) {
    struct ipv6hdr* quoted = ip;
    if ((void*)(quoted + 1) > end) return false;
    __builtin_memcpy(quoted->saddr, rewrite->daddr, sizeof(quoted->saddr));
    __builtin_memcpy(quoted->daddr, rewrite->saddr, sizeof(quoted->daddr));
  } else {
    struct iphdr* quoted = ip;
    if ((void*)(quoted + 1) > end) return false;
    quoted->saddr = rewrite->daddr[0];
    quoted->daddr = rewrite->saddr[0];
    quoted->check = change.quoted_ip_check;
  }
  ports[0] = change.quoted_ports[0];
  ports[1] = change.quoted_ports[1];
  if (packet->quote.l4_check_offset != 0) *l4_check = change.quoted_l4_check;
  icmp->check = csum_apply(icmp->check, change.message_diff + (v6 ? address_diff : 0));
  return true;
}

// `hops`: one less to live when the packet is sent by us. False, with nothing written: as above.
static __always_inline bool translate4(void* data, void* end, const struct packet* packet,
                                       enum packet_kind kind, const struct rewrite* rewrite,
                                       __u8 hops) {
  struct iphdr* ip = data + (packet->l3_offset & 0x1f);
  if ((void*)(ip + 1) > end) return false;
  const __be32 source =
      kind == PACKET_ERROR && !hides_source(rewrite) ? ip->saddr : rewrite->saddr[0];
  const __u64 diff = csum_diff(ip->saddr, source) + csum_diff(ip->daddr, rewrite->daddr[0]);
  if (kind == PACKET_ERROR) {
    if (!write_error(data, end, packet, rewrite, diff, false)) return false;
  } else if (kind == PACKET_FLOW) {
    if (!write_l4(data, end, packet, ip->protocol, rewrite, diff)) return false;
  }
  ip->saddr = source;
  ip->daddr = rewrite->daddr[0];
  ip->check = csum_apply(ip->check, diff + csum_diff(bpf_htons(hops << 8), 0));
  ip->ttl -= hops;
  return true;
}

static __always_inline bool translate6(void* data, void* end, const struct packet* packet,
                                       enum packet_kind kind, const struct rewrite* rewrite,
                                       __u8 hops) {
  struct ipv6hdr* ip = data + (packet->l3_offset & 0x1f);
  if ((void*)(ip + 1) > end) return false;
  const bool keeps_source = kind == PACKET_ERROR && !hides_source(rewrite);
  __u64 diff = csum_diff16(ip->daddr, rewrite->daddr);
  if (!keeps_source) diff += csum_diff16(ip->saddr, rewrite->saddr);
  if (kind == PACKET_ERROR) {
    if (!write_error(data, end, packet, rewrite, diff, true)) return false;
  } else if (kind == PACKET_FLOW) {
    if (!write_l4(data, end, packet, packet->key.v6.protocol, rewrite, diff)) return false;
  }
  if (!keeps_source) __builtin_memcpy(ip->saddr, rewrite->saddr, sizeof(ip->saddr));
  __builtin_memcpy(ip->daddr, rewrite->daddr, sizeof(ip->daddr));
  ip->hop_limit -= hops;
  return true;
}

// One hop less to live, for a packet that is not translated.
static __always_inline bool count_down(void* data, void* end, const bool v6) {
  if (v6) {
    struct ipv6hdr* ip = data + ETH_LEN;
    if ((void*)(ip + 1) > end) return false;
    ip->hop_limit--;
    return true;
  }
  struct iphdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end) return false;
  ip->check = csum_apply(ip->check, csum_diff(bpf_htons(0x100), 0));
  ip->ttl--;
  return true;
}

// Puts the packet into another one.
static __always_inline bool push_outer(struct xdp_md* context, const struct packet* packet,
                                       const struct rewrite* rewrite, const bool v6) {
  const bool outer_v6 = rewrite->outer_v6;
  const int length = outer_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
  if (bpf_xdp_adjust_head(context, -length)) return false;
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  void* ip = data + ETH_LEN;
  if (outer_v6) {
    if (ip + sizeof(struct ipv6hdr) > end) return false;
    fill_outer6(packet, rewrite, flow_label(packet, v6), v6, ip);
  } else {
    if (ip + sizeof(struct iphdr) > end) return false;
    fill_outer4(packet, rewrite, v6, ip);
  }
  return true;
}

static __always_inline int drop(struct scratch* know, const bool v6) {
  drop_packet(know, PORTOLAN_DROP_NO_MEMORY, v6);
  return XDP_DROP;
}

// Addresses the frame to the next hop and sends it.
static __always_inline int send(struct xdp_md* context, struct scratch* know, const bool v6) {
  const struct rewrite* rewrite = &know->rewrite;
  const struct route* route = &know->route;
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  if (rewrite->delivery != DELIVER_TRANSLATED && !count_down(data, end, v6)) return drop(know, v6);
  bool outer_v6 = v6;
  if (rewrite->delivery == DELIVER_TUNNEL) {
    outer_v6 = rewrite->outer_v6;
    if (!push_outer(context, &know->packet, rewrite, v6)) return drop(know, v6);
    data = (void*)(long)context->data;
    end = (void*)(long)context->data_end;
  }
  struct ethhdr* ethernet = data;
  if ((void*)(ethernet + 1) > end) return drop(know, v6);
  __builtin_memcpy(ethernet->h_dest, route->fib.dmac, sizeof(ethernet->h_dest));
  __builtin_memcpy(ethernet->h_source, route->fib.smac, sizeof(ethernet->h_source));
  ethernet->h_proto = outer_v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
  return bpf_redirect(route->fib.ifindex, 0);
}

// Is the frame addressed to the interface that it came in on? What a switch floods is not ours.
static __always_inline bool is_for_us(void* data, void* end, __u32 ifindex) {
  const struct portolan_interface* interface = find_interface(ifindex);
  const struct ethhdr* ethernet = data;
  // The compiler must not take the check from elsewhere: the verifier does not follow it.
  asm volatile("" : "+r"(ethernet));
  if (!interface || (void*)(ethernet + 1) > end) return false;
  return *(const __u32*)ethernet->h_dest == *(const __u32*)interface->mac &&
         *(const __u16*)(ethernet->h_dest + 4) == *(const __u16*)(interface->mac + 4);
}

static __always_inline int deliver(struct xdp_md* context, struct scratch* know,
                                   enum packet_kind kind, const bool v6) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  const struct packet* packet = &know->packet;
  const struct rewrite* rewrite = &know->rewrite;
  if (rewrite->delivery == DELIVER_TRANSLATED) {
    const __u8 hops = know->route.sends;
    const bool done = v6 ? translate6(data, end, packet, kind, rewrite, hops)
                         : translate4(data, end, packet, kind, rewrite, hops);
    if (!done) return XDP_PASS;
  }
  return know->route.sends ? send(context, know, v6) : XDP_PASS;
}

static __always_inline int handle(struct xdp_md* context, __u32 l3, const bool v6) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  struct scratch* know = get_scratch();
  if (!know || l3 < ETH_LEN || l3 > ETH_LEN + VLAN_TAGS * sizeof(struct vlanhdr)) return XDP_PASS;
  struct packet* packet = &know->packet;
  const __u32 length = end - data;
  enum packet_kind kind =
      v6 ? parse_ipv6(data, end, l3, length, packet) : parse_ipv4(data, end, l3, length, packet);
  STAGE_ENDS(kind);
  if (kind == PACKET_FOREIGN || !is_candidate(&packet->key, v6)) return XDP_PASS;
  if (v6 && kind == PACKET_EXTENDED) {
    kind = portolan_extended(context);
    if (kind == PACKET_FOREIGN) return XDP_PASS;
  }
  if (!is_for_us(data, end, context->ingress_ifindex)) return XDP_PASS;
  if (kind == PACKET_FLOW && has_partial_checksum(packet, v6)) return XDP_PASS;
  know->arrival.ifindex = context->ingress_ifindex;
  know->arrival.length = length;
  know->arrival.l3_length = packet->l3_length;
  know->arrival.tagged = l3 != ETH_LEN;
  enum verdict verdict = decide(context, know, kind, v6);
  STAGE_ENDS(verdict);
  switch (verdict) {
    case VERDICT_REWRITE:
      return deliver(context, know, kind, v6);
    case VERDICT_DROP:
      return XDP_DROP;
    default:
      return XDP_PASS;
  }
}

__attribute__((noinline)) int portolan_xdp_ipv4(struct xdp_md* context, __u32 l3) {
  return handle(context, l3, false);
}

__attribute__((noinline)) int portolan_xdp_ipv6(struct xdp_md* context, __u32 l3) {
  return handle(context, l3, true);
}

__attribute__((noinline)) int portolan_xdp_arp(struct xdp_md* context, __u32 l3) {
  return answer_arp_xdp(context, l3);
}

__attribute__((noinline)) int portolan_xdp_nd(struct xdp_md* context, __u32 l3) {
  return answer_nd_xdp(context, l3);
}

// By what the frame carries. The family that most frames are of has no function of its own where
// they have no tag: a call costs as much as a look-up.
static __always_inline int balance(struct xdp_md* context) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  struct frame frame;
  if (!parse_frame(data, end, &frame)) return XDP_PASS;
  const __u32 l3 = frame.l3_offset;
  if (frame.protocol == bpf_htons(ETH_P_IP)) {
    return l3 == ETH_LEN ? handle(context, ETH_LEN, false) : portolan_xdp_ipv4(context, l3);
  }
  if (frame.protocol == bpf_htons(ETH_P_ARP)) return portolan_xdp_arp(context, l3);
  if (frame.protocol != bpf_htons(ETH_P_IPV6)) return XDP_PASS;
  return is_solicitation(data, end, l3) ? portolan_xdp_nd(context, l3)
                                        : portolan_xdp_ipv6(context, l3);
}

// What stays on this machine, changed or not, is for the programs behind us to see, if there are
// any.
SEC("xdp")
int portolan_lb_xdp(struct xdp_md* context) {
  const int action = balance(context);
  if (action == XDP_PASS) go_on_behind_ours(context);
  return action;
}

// bpf_fib_lookup() and friends are for GPL-compatible programs only.
char _license[] SEC("license") = "Dual BSD/GPL";
