// The end of a tunnel, on a node that is a backend itself: takes the outer header off (RFC 2003,
// RFC 2473) and gives the packet to this machine, which has the frontend's address. Only for tc.
//
// Opened are tunnels from sources that the configuration names and to an address of this machine;
// all others are somebody else's and passed.
#pragma once

#include "bpf/lib/admission.h"
#include "bpf/lib/counters.h"
#include "bpf/lib/events.h"
#include "bpf/lib/scratch.h"

#define ECN_MASK 3
#define ECN_CE 3

static __always_inline bool is_tunnel(const struct packet* packet) {
  return packet->protocol == IPPROTO_IPIP || packet->protocol == IPPROTO_IPV6;
}

// Does the kernel deliver here what is for the packet's address? A machine that is no router says
// nothing, but has no use for what is for others: its tunnels end here.
static __always_inline bool is_local(struct __sk_buff* skb, struct scratch* know, const bool v6) {
  struct bpf_fib_lookup* fib = &know->route.fib;
  const union flow_key* key = &know->packet.key;
  __builtin_memset(fib, 0, sizeof(*fib));
  fib->family = v6 ? AF_INET6 : AF_INET;
  fib->ifindex = skb->ifindex;
  put_address(fib->src, key->v6.saddr, key->v4.saddr, v6);
  put_address(fib->dst, key->v6.daddr, key->v4.daddr, v6);
  const long answer = bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
  return answer == BPF_FIB_LKUP_RET_NOT_FWDED || answer == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

// Is what the tunnel carries as long as it says, and of the family that the outer header says?
static __always_inline bool holds_packet(struct __sk_buff* skb, const struct packet* packet) {
  if (packet->protocol == IPPROTO_IPIP) {
    struct iphdr inner;
    if (packet->l4_length < sizeof(inner)) return false;
    if (bpf_skb_load_bytes(skb, packet->l4_offset, &inner, sizeof(inner))) return false;
    return (inner.version_ihl >> 4) == 4 && bpf_ntohs(inner.tot_len) <= packet->l4_length;
  }
  struct ipv6hdr inner;
  if (packet->l4_length < sizeof(inner)) return false;
  if (bpf_skb_load_bytes(skb, packet->l4_offset, &inner, sizeof(inner))) return false;
  return (bpf_ntohl(inner.version_class_flow) >> 28) == 6 &&
         bpf_ntohs(inner.payload_len) + sizeof(inner) <= packet->l4_length;
}

// TC_ACT_UNSPEC: not ours. Congestion that the tunnel met is told to the packet (RFC 6040).
static __always_inline int open_tunnel(struct __sk_buff* skb, const bool v6) {
  struct scratch* know = get_scratch();
  if (!know || know->packet.is_fragment) return TC_ACT_UNSPEC;
  know->frontend = 0;
  const struct packet* packet = &know->packet;
  if (!source_allowed(know, PORTOLAN_SOURCE_TUNNELS, v6)) return TC_ACT_UNSPEC;
  if (!is_local(skb, know, v6) || !holds_packet(skb, packet)) return TC_ACT_UNSPEC;
  const bool inner_v6 = packet->protocol == IPPROTO_IPV6;
  const bool congested = (packet->traffic_class & ECN_MASK) == ECN_CE;
  const int outer = packet->l4_offset - packet->l3_offset;
  const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO |
                      (inner_v6 ? BPF_F_ADJ_ROOM_DECAP_L3_IPV6 : BPF_F_ADJ_ROOM_DECAP_L3_IPV4);
  if (bpf_skb_adjust_room(skb, -outer, BPF_ADJ_ROOM_MAC, flags)) {
    drop_packet(know, PORTOLAN_DROP_NO_MEMORY, v6);
    return TC_ACT_SHOT;
  }
  if (congested && bpf_skb_ecn_set_ce(skb) == 0) {
    drop_packet(know, PORTOLAN_DROP_CONGESTED, v6);
    return TC_ACT_SHOT;
  }
  count_answer(PORTOLAN_ANSWER_OPENED, skb->len);
  return TC_ACT_OK;  // not to be balanced again
}
