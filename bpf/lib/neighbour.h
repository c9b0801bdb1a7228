// Who has an address of ours: ARP requests (RFC 826, probes of RFC 5227 too) and neighbour
// solicitations (RFC 4861) are answered out of the interface that they came in on, for what stands
// in map "neighbours" under that interface and VLAN and was renewed in time. Everything else is
// left alone, untouched: replies, gratuitous requests, what is malformed, frames with two VLAN
// tags.
//
// A question is turned into its answer in place; nothing that the frame did not hold before is sent
// but what is written here. An advertisement always has 32 octets. XDP never changes the length: a
// solicitation of another size is left to tc.
#pragma once

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "bpf/lib/counters.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/frame.h"
#include "bpf/lib/kernel_types.h"
#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/route.h"

#define VLAN_ID 0xfff
#define L3_MASK 0x1f  // for the verifier
#define ND_SOLICITATION 135
#define ND_ADVERTISEMENT 136
#define ND_SOURCE_LINK 1
#define ND_TARGET_LINK 2
#define ND_HOP_LIMIT 255
#define ND_SOLICITED 0x40000000
#define ND_OVERRIDE 0x20000000
#define ND_OPTION 8
#define ND_MOST_OPTIONS 5  // of eight octets; who sends more is not answered
#define ND_FIXED 24        // octets of a message without options

struct arp_message {
  __be16 hardware;
  __be16 protocol;
  __u8 hardware_length;
  __u8 protocol_length;
  __be16 operation;
  __u8 sender_mac[6];
  __be16 sender[2];
  __u8 target_mac[6];
  __be16 target[2];
};
_Static_assert(sizeof(struct arp_message) == 28, "RFC 826");

struct nd_option {
  __u8 type;
  __u8 length;  // in units of eight octets
  __u8 mac[6];
};

struct nd_packet {
  struct ipv6hdr ip;
  __u8 type;
  __u8 code;
  __sum16 check;
  __be32 flags;
  __be32 target[4];
  struct nd_option options[ND_MOST_OPTIONS];
};
_Static_assert(sizeof(struct nd_packet) == 40 + ND_FIXED + ND_MOST_OPTIONS * ND_OPTION, "RFC 4861");
#define ND_ANSWER_LENGTH (40 + ND_FIXED + ND_OPTION)  // of the IP packet

static __always_inline bool same_mac(const __u8* a, const __u8* b) {
  return ((const __u16*)a)[0] == ((const __u16*)b)[0] &&
         ((const __u16*)a)[1] == ((const __u16*)b)[1] &&
         ((const __u16*)a)[2] == ((const __u16*)b)[2];
}

typedef __u64 __attribute__((may_alias)) key_word;

// Known by the name in the kernel's BTF only, whatever its number is here.
enum bpf_func_id___coarse { BPF_FUNC_ktime_get_coarse_ns___coarse = 1 };

// The coarse clock (Linux 5.11) costs much less, and is late by a tick at most.
static __always_inline __u64 coarse_now(void) {
  if (bpf_core_enum_value_exists(enum bpf_func_id___coarse,
                                 BPF_FUNC_ktime_get_coarse_ns___coarse)) {
    return bpf_ktime_get_coarse_ns();
  }
  return bpf_ktime_get_ns();
}

static __always_inline bool is_group_mac(const __u8* mac) { return mac[0] & 1; }

static __always_inline bool is_broadcast(const __u8* mac) {
  const __u16* words = (const __u16*)mac;
  return (words[0] & words[1] & words[2]) == 0xffff;
}

static __always_inline bool same_key(const struct portolan_neighbour_key* a,
                                     const struct portolan_neighbour_key* b) {
  const key_word* left = (const key_word*)a;
  const key_word* right = (const key_word*)b;
  return left[0] == right[0] && left[1] == right[1] && left[2] == right[2];
}

// The entry of the address, if it is answered for now, to somebody else, in a frame that was meant
// for us or for all.
static __always_inline const struct portolan_neighbour* find_neighbour(
    const struct portolan_neighbour_key* key, const struct ethhdr* ethernet) {
  const __u32 index = portolan_neighbour_bucket(key);
  const struct portolan_neighbours* bucket = bpf_map_lookup_elem(&neighbours, &index);
  if (!bucket) return NULL;
  const struct portolan_neighbour* neighbour = NULL;
#pragma unroll
  for (int i = 0; i < PORTOLAN_NEIGHBOUR_PLACES && !neighbour; i++) {
    if (same_key(&bucket->place[i].key, key)) neighbour = &bucket->place[i];
  }
  if (!neighbour || neighbour->until_ns <= coarse_now()) return NULL;
  if (!is_group_mac(ethernet->h_dest) && !same_mac(ethernet->h_dest, neighbour->mac)) return NULL;
  if (is_group_mac(ethernet->h_source) || same_mac(ethernet->h_source, neighbour->mac)) return NULL;
  return neighbour;
}

// ---- ARP ----

// An entry for what `arp` asks, or none.
static __always_inline const struct portolan_neighbour* find_arp(const struct ethhdr* ethernet,
                                                                 const struct arp_message* arp,
                                                                 __u32 ifindex, __u16 vlan) {
  if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) ||
      arp->hardware_length != 6 || arp->protocol_length != 4 || arp->operation != bpf_htons(1)) {
    return NULL;
  }
  if (is_group_mac(ethernet->h_dest) && !is_broadcast(ethernet->h_dest)) return NULL;
  const bool gratuitous = arp->sender[0] == arp->target[0] && arp->sender[1] == arp->target[1];
  if (gratuitous || is_group_mac(arp->sender_mac)) return NULL;
  struct portolan_neighbour_key key = {
      .ifindex = ifindex, .vlan = vlan, .family = PORTOLAN_FAMILY_IPV4};
  __builtin_memcpy(key.address, arp->target, sizeof(arp->target));
  return find_neighbour(&key, ethernet);
}

// RFC 826: the reply goes to whom the request names as its sender.
static __always_inline void turn_arp(__u8* destination, __u8* source, struct arp_message* arp,
                                     const struct portolan_neighbour* neighbour) {
  __builtin_memcpy(destination, arp->sender_mac, 6);
  __builtin_memcpy(source, neighbour->mac, 6);
  const __be16 asked[2] = {arp->target[0], arp->target[1]};
  arp->operation = bpf_htons(2);
  __builtin_memcpy(arp->target_mac, arp->sender_mac, 6);
  __builtin_memcpy(arp->target, arp->sender, sizeof(arp->target));
  __builtin_memcpy(arp->sender_mac, neighbour->mac, 6);
  __builtin_memcpy(arp->sender, asked, sizeof(asked));
}

// ---- Neighbour Discovery ----

static __always_inline bool is_solicitation(const void* data, const void* end, __u32 l3) {
  const struct nd_packet* packet = data + (l3 & L3_MASK);
  if ((const void*)&packet->code > end) return false;
  return packet->ip.nexthdr == IPPROTO_ICMPV6 && packet->type == ND_SOLICITATION;
}

static __always_inline bool has_no_source(const struct nd_packet* packet) {
  const __be32* source = packet->ip.saddr;
  return (source[0] | source[1] | source[2] | source[3]) == 0;
}

static __always_inline __u64 sum_of_address(const __be32* address) {
  return (__u64)address[0] + address[1] + address[2] + address[3];
}

// What of a solicitation's checksum is found again in its answer's.
struct nd_sums {
  __u64 source;
  __u64 target;
};

// Is the checksum right? With all options up to `most_units` (those that are not there are 0).
static __always_inline bool is_summed(const struct nd_packet* packet, __u32 payload,
                                      const __u32 most_units, struct nd_sums* sums) {
  sums->source = sum_of_address(packet->ip.saddr);
  sums->target = sum_of_address(packet->target);
  __u64 sum = bpf_htonl(payload) + (__u64)bpf_htonl(IPPROTO_ICMPV6) + sums->source +
              sum_of_address(packet->ip.daddr) + *(const __be32*)&packet->type + packet->flags +
              sums->target;
  const __be32* options = (const __be32*)packet->options;
#pragma unroll
  for (__u32 i = 0; i < 2 * most_units; i++) sum += options[i];
  return csum_fold(sum) == 0xffff;
}

// To the address itself, or to its solicited-node group (RFC 4291, section 2.7.1).
static __always_inline bool is_sent_to_target(const struct nd_packet* packet) {
  const __be32* to = packet->ip.daddr;
  const __be32* target = packet->target;
  if (to[0] == bpf_htonl(0xff020000)) {
    return to[1] == 0 && to[2] == bpf_htonl(1) && to[3] == (target[3] | bpf_htonl(0xff000000));
  }
  return to[0] == target[0] && to[1] == target[1] && to[2] == target[2] && to[3] == target[3];
}

// RFC 4861, section 7.1.1, for a message of `units` options' length. `back` becomes where the
// answer goes: what the solicitation says of its sender, else where it came from.
static __always_inline bool is_valid_solicitation(const struct nd_packet* packet,
                                                  const __u8* source_mac, __u32 units,
                                                  const __u32 most_units, __u8* back,
                                                  struct nd_sums* sums) {
  if ((bpf_ntohl(packet->ip.version_class_flow) >> 28) != 6) return false;
  if (packet->ip.hop_limit != ND_HOP_LIMIT || packet->code != 0) return false;
  const bool probe = has_no_source(packet);
  if ((packet->ip.saddr[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000)) return false;
  if (!is_sent_to_target(packet)) return false;
  if (probe && packet->ip.daddr[0] != bpf_htonl(0xff020000)) return false;
  __builtin_memcpy(back, source_mac, 6);
  __u32 next = 0;  // where the next option begins
  for (__u32 i = 0; i < ND_MOST_OPTIONS; i++) {
    if (i >= most_units || i >= units || i != next) continue;
    const struct nd_option* option = &packet->options[i];
    if (option->length == 0) return false;
    next += option->length;
    if (option->type != ND_SOURCE_LINK) continue;
    if (probe) return false;
    if (option->length == 1) __builtin_memcpy(back, option->mac, 6);
  }
  if (next != units || is_group_mac(back)) return false;
  return is_summed(packet, ND_FIXED + units * ND_OPTION, most_units, sums);
}

static __always_inline const struct portolan_neighbour* find_nd(const struct ethhdr* ethernet,
                                                                const struct nd_packet* packet,
                                                                __u32 ifindex, __u16 vlan) {
  struct portolan_neighbour_key key = {
      .ifindex = ifindex, .vlan = vlan, .family = PORTOLAN_FAMILY_IPV6};
  __builtin_memcpy(key.address, packet->target, sizeof(key.address));
  return find_neighbour(&key, ethernet);
}

// RFC 4861, section 7.2.4. A probe for duplicates has no address to answer to: all nodes are told.
// Not as a router: an address of a service is no next hop.
static __always_inline void turn_solicitation(__u8* destination, __u8* source, const __u8* back,
                                              const struct nd_sums* sums, struct nd_packet* packet,
                                              const struct portolan_neighbour* neighbour) {
  const bool probe = has_no_source(packet);
  __builtin_memcpy(destination, back, 6);
  if (probe) {
    destination[0] = destination[1] = 0x33;
    destination[2] = destination[3] = destination[4] = 0;
    destination[5] = 1;
  }
  __builtin_memcpy(source, neighbour->mac, 6);
  packet->ip.version_class_flow = bpf_htonl(6u << 28);
  packet->ip.payload_len = bpf_htons(ND_FIXED + ND_OPTION);
  if (probe) {
    packet->ip.daddr[0] = bpf_htonl(0xff020000);
    packet->ip.daddr[1] = packet->ip.daddr[2] = 0;
    packet->ip.daddr[3] = bpf_htonl(1);
  } else {
    __builtin_memcpy(packet->ip.daddr, packet->ip.saddr, sizeof(packet->ip.daddr));
  }
  __builtin_memcpy(packet->ip.saddr, packet->target, sizeof(packet->ip.saddr));
  packet->flags = bpf_htonl(probe ? ND_OVERRIDE : ND_OVERRIDE | ND_SOLICITED);
  const __be16 option = bpf_htons(ND_TARGET_LINK << 8 | 1);
  const __be16* mac = (const __be16*)neighbour->mac;
  *(__be16*)packet->options = option;
  __builtin_memcpy(packet->options[0].mac, neighbour->mac, 6);
  // From what was read, not from what was just written: the CPU would have to wait for that.
  const __u64 to = probe ? (__u64)bpf_htonl(0xff020000) + bpf_htonl(1) : sums->source;
  const __u64 sum = (__u64)bpf_htonl(ND_FIXED + ND_OPTION) + bpf_htonl(IPPROTO_ICMPV6) +
                    2 * sums->target + to + bpf_htonl(ND_ADVERTISEMENT << 24) + packet->flags +
                    option + mac[0] + mac[1] + mac[2];
  packet->type = ND_ADVERTISEMENT;
  packet->check = ~csum_fold(sum);
}

// ---- XDP ----

// The VLAN that the tag in front of `l3` names; 0 without one. Negative: more tags than one, or a
// service provider's.
static __always_inline int vlan_in_frame(void* data, void* end, __u32 l3) {
  if (l3 == ETH_LEN) return 0;
  const struct ethhdr* ethernet = data;
  const struct vlanhdr* tag = data + ETH_LEN;
  if (l3 != ETH_LEN + sizeof(*tag) || (void*)(tag + 1) > end) return -1;
  return ethernet->h_proto == bpf_htons(ETH_P_8021Q) ? bpf_ntohs(tag->tci) & VLAN_ID : -1;
}

// Frames that leave by XDP reach the other end of a cable only when its driver is made for it (map
// "interfaces"); elsewhere tc answers.
static __always_inline int answer_arp_xdp(struct xdp_md* context, __u32 l3) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  const __u32 ifindex = context->ingress_ifindex;
  const int vlan = vlan_in_frame(data, end, l3);
  struct ethhdr* ethernet = data;
  struct arp_message* arp = data + (l3 & L3_MASK);
  if (vlan < 0 || (void*)(ethernet + 1) > end || (void*)(arp + 1) > end) return XDP_PASS;
  const struct portolan_neighbour* neighbour = find_arp(ethernet, arp, ifindex, vlan);
  if (!neighbour || !is_target(ifindex)) return XDP_PASS;
  turn_arp(ethernet->h_dest, ethernet->h_source, arp, neighbour);
  count_answer(PORTOLAN_ANSWER_ARP, end - data);
  return bpf_redirect(ifindex, 0);
}

static __always_inline int answer_nd_xdp(struct xdp_md* context, __u32 l3) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  const __u32 ifindex = context->ingress_ifindex;
  const int vlan = vlan_in_frame(data, end, l3);
  struct ethhdr* ethernet = data;
  struct nd_packet* packet = data + (l3 & L3_MASK);
  if (vlan < 0 || (void*)(ethernet + 1) > end || (void*)packet + ND_ANSWER_LENGTH > end) {
    return XDP_PASS;
  }
  if (packet->ip.payload_len != bpf_htons(ND_FIXED + ND_OPTION)) return XDP_PASS;
  __u8 back[6];
  struct nd_sums sums;
  if (!is_valid_solicitation(packet, ethernet->h_source, 1, 1, back, &sums)) return XDP_PASS;
  const struct portolan_neighbour* neighbour = find_nd(ethernet, packet, ifindex, vlan);
  if (!neighbour || !is_target(ifindex)) return XDP_PASS;
  turn_solicitation(ethernet->h_dest, ethernet->h_source, back, &sums, packet, neighbour);
  count_answer(PORTOLAN_ANSWER_ND, end - data);
  return bpf_redirect(ifindex, 0);
}

// ---- tc ----

// The kernel keeps the (outer) tag beside the frame, and puts it back when the answer leaves.
// Negative: it is a service provider's.
static __always_inline int vlan_of(const struct __sk_buff* skb) {
  if (!skb->vlan_present) return 0;
  return skb->vlan_proto == bpf_htons(ETH_P_8021Q) ? skb->vlan_tci & VLAN_ID : -1;
}

static __always_inline int answer_arp_tc(struct __sk_buff* skb) {
  struct {
    struct ethhdr ethernet;
    struct arp_message arp;
  } frame;
  _Static_assert(sizeof(frame) == 42, "no hole");
  const int vlan = vlan_of(skb);
  if (vlan < 0 || bpf_skb_load_bytes(skb, 0, &frame, sizeof(frame))) return TC_ACT_UNSPEC;
  const struct portolan_neighbour* neighbour =
      find_arp(&frame.ethernet, &frame.arp, skb->ifindex, vlan);
  if (!neighbour) return TC_ACT_UNSPEC;
  turn_arp(frame.ethernet.h_dest, frame.ethernet.h_source, &frame.arp, neighbour);
  // Nothing is half written: the first store makes both places writable, or neither is.
  if (bpf_skb_store_bytes(skb, ETH_LEN, &frame.arp, sizeof(frame.arp), BPF_F_RECOMPUTE_CSUM) ||
      bpf_skb_store_bytes(skb, 0, &frame.ethernet, ETH_LEN, 0)) {
    count(&drops, PORTOLAN_DROP_NO_MEMORY, skb->len, 0);
    return TC_ACT_SHOT;
  }
  count_answer(PORTOLAN_ANSWER_ARP, skb->len);
  return bpf_redirect(skb->ifindex, 0);
}

static __always_inline bool is_solicitation_tc(struct __sk_buff* skb) {
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  if (data + ETH_LEN + 41 <= end) return is_solicitation(data, end, ETH_LEN);
  __u8 of_interest[2] = {};
  bpf_skb_load_bytes(skb, ETH_LEN + 6, &of_interest[0], 1);
  if (of_interest[0] != IPPROTO_ICMPV6) return false;
  bpf_skb_load_bytes(skb, ETH_LEN + 40, &of_interest[1], 1);
  return of_interest[1] == ND_SOLICITATION;
}

static __always_inline int answer_nd_tc(struct __sk_buff* skb) {
  struct ethhdr ethernet;
  struct nd_packet packet = {};
  const int vlan = vlan_of(skb);
  if (vlan < 0 || bpf_skb_load_bytes(skb, 0, &ethernet, sizeof(ethernet)) ||
      bpf_skb_load_bytes(skb, ETH_LEN, &packet.ip, sizeof(packet.ip))) {
    return TC_ACT_UNSPEC;
  }
  __u32 payload = bpf_ntohs(packet.ip.payload_len);
  const __u32 units = (payload - ND_FIXED) / ND_OPTION;
  if (payload % ND_OPTION != 0) return TC_ACT_UNSPEC;
  __asm__ volatile("" : "+r"(payload));  // so that the verifier sees these very bounds
  if (payload < ND_FIXED || payload > ND_FIXED + sizeof(packet.options)) return TC_ACT_UNSPEC;
  if (bpf_skb_load_bytes(skb, ETH_LEN + sizeof(packet.ip), &packet.type, payload)) {
    return TC_ACT_UNSPEC;
  }
  __u8 back[6];
  struct nd_sums sums;
  if (!is_valid_solicitation(&packet, ethernet.h_source, units, ND_MOST_OPTIONS, back, &sums)) {
    return TC_ACT_UNSPEC;
  }
  const struct portolan_neighbour* neighbour = find_nd(&ethernet, &packet, skb->ifindex, vlan);
  if (!neighbour) return TC_ACT_UNSPEC;
  turn_solicitation(ethernet.h_dest, ethernet.h_source, back, &sums, &packet, neighbour);
  if (bpf_skb_change_tail(skb, ETH_LEN + ND_ANSWER_LENGTH, 0) ||
      bpf_skb_store_bytes(skb, ETH_LEN, &packet, ND_ANSWER_LENGTH, BPF_F_RECOMPUTE_CSUM) ||
      bpf_skb_store_bytes(skb, 0, &ethernet, sizeof(ethernet), 0)) {
    count(&drops, PORTOLAN_DROP_NO_MEMORY, skb->len, 0);
    return TC_ACT_SHOT;
  }
  count_answer(PORTOLAN_ANSWER_ND, skb->len);
  return bpf_redirect(skb->ifindex, 0);
}
