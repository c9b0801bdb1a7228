// What the datapath answers itself: echo requests, refusals for what is not served at an address of
// ours, and "too big" for what does not fit on the way to a backend. Only for tc: packets change
// their length here, and are sent out again. They leave as they came, addresses of both layers
// exchanged.
#pragma once

#include "bpf/lib/counters.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"

#define ANSWER_TTL 64
#define ICMP_HEADER 8
#define CUT 192  // octets behind the Ethernet header: no transport header begins behind them

static __always_inline bool exchange_macs(struct __sk_buff* skb) {
  struct {
    __u8 destination[6];
    __u8 source[6];
  } macs, swapped;
  if (bpf_skb_load_bytes(skb, 0, &macs, sizeof(macs))) return false;
  __builtin_memcpy(swapped.destination, macs.source, sizeof(macs.source));
  __builtin_memcpy(swapped.source, macs.destination, sizeof(macs.destination));
  return !bpf_skb_store_bytes(skb, 0, &swapped, sizeof(swapped), 0);
}

// From the address that was asked to the one who asked. The checksum of IPv4 is filled in.
static __always_inline void answer_header4(const struct packet* packet, __u8 protocol,
                                           __u32 payload, struct iphdr* out) {
  out->version_ihl = 0x45;
  out->tos = 0;
  out->tot_len = bpf_htons(IPV4_HEADER + payload);
  out->id = 0;
  out->frag_off = bpf_htons(0x4000);
  out->ttl = ANSWER_TTL;
  out->protocol = protocol;
  out->check = 0;
  out->saddr = packet->key.v4.daddr;
  out->daddr = packet->key.v4.saddr;
  out->check = ~csum_fold((__u32)bpf_csum_diff(NULL, 0, (__be32*)out, sizeof(*out), 0));
}

static __always_inline void answer_header6(const struct packet* packet, __u8 protocol,
                                           __u32 payload, struct ipv6hdr* out) {
  out->version_class_flow = bpf_htonl(6u << 28);
  out->payload_len = bpf_htons(payload);
  out->nexthdr = protocol;
  out->hop_limit = ANSWER_TTL;
  __builtin_memcpy(out->saddr, packet->key.v6.daddr, sizeof(out->saddr));
  __builtin_memcpy(out->daddr, packet->key.v6.saddr, sizeof(out->daddr));
}

// Makes the frame an answer with `payload` octets behind the IP header, still to be written.
static __always_inline bool begin_answer(struct __sk_buff* skb, const struct packet* packet,
                                         __u8 protocol, __u32 payload, const bool v6) {
  const __u32 header = v6 ? IPV6_HEADER : IPV4_HEADER;
  if (bpf_skb_change_tail(skb, ETH_LEN + header + payload, 0)) return false;
  if (!exchange_macs(skb)) return false;
  if (v6) {
    struct ipv6hdr ip;
    answer_header6(packet, protocol, payload, &ip);
    return !bpf_skb_store_bytes(skb, ETH_LEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
  }
  struct iphdr ip;
  answer_header4(packet, protocol, payload, &ip);
  return !bpf_skb_store_bytes(skb, ETH_LEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline __u64 pseudo_sum(const struct packet* packet, __u8 protocol, __u32 length,
                                        const bool v6) {
  __u64 sum = (__u64)bpf_htonl(length) + bpf_htonl(protocol);
  if (v6) {
    for (int i = 0; i < 4; i++) sum += (__u64)packet->key.v6.saddr[i] + packet->key.v6.daddr[i];
  } else {
    sum += (__u64)packet->key.v4.saddr + packet->key.v4.daddr;
  }
  return sum;
}

// Where a local sender has left the checksum to the hardware, or segments were merged on their way
// in, whoever finishes it would write into our message. The kernel forgets what is left to be done
// when the place for it is cut out of the frame; what stands there is lost, and written anew.
static __always_inline bool forget_partial_checksum(struct __sk_buff* skb) {
  return !bpf_skb_change_tail(skb, ETH_LEN + CUT + IPV6_HEADER, 0) &&
         !bpf_skb_adjust_room(skb, -CUT, BPF_ADJ_ROOM_MAC, 0);
}

// Writes the answer over the frame: `payload` behind an IP header without options.
static __always_inline bool write_answer(struct __sk_buff* skb, const struct packet* packet,
                                         __u8 protocol, const void* payload, __u32 size,
                                         const bool v6) {
  if (has_partial_checksum(packet, v6) && !forget_partial_checksum(skb)) return false;
  return begin_answer(skb, packet, protocol, size, v6) &&
         !bpf_skb_store_bytes(skb, ETH_LEN + (v6 ? IPV6_HEADER : IPV4_HEADER), payload, size,
                              BPF_F_RECOMPUTE_CSUM);
}

// RFC 9293, section 3.10.7.1. False: nothing is to be said, or it cannot be.
static __always_inline bool write_reset(struct __sk_buff* skb, const struct packet* packet,
                                        const bool v6) {
  if (packet->tcp_flags & TCP_RST) return false;
  struct tcphdr asked;
  if (bpf_skb_load_bytes(skb, packet->l4_offset, &asked, sizeof(asked))) return false;
  const __u32 header = (asked.doff >> 4) * 4;
  if (header < sizeof(asked) || header > packet->l4_length) return false;
  struct tcphdr answer = {.source = asked.dest, .dest = asked.source, .doff = 5 << 4};
  if (asked.flags & TCP_ACK) {
    answer.seq = asked.ack_seq;
    answer.flags = TCP_RST;
  } else {
    const __u32 taken =
        packet->l4_length - header + !!(asked.flags & TCP_SYN) + !!(asked.flags & TCP_FIN);
    answer.ack_seq = bpf_htonl(bpf_ntohl(asked.seq) + taken);
    answer.flags = TCP_RST | TCP_ACK;
  }
  const __u64 sum = pseudo_sum(packet, IPPROTO_TCP, sizeof(answer), v6) +
                    (__u32)bpf_csum_diff(NULL, 0, (__be32*)&answer, sizeof(answer), 0);
  answer.check = ~csum_fold(sum);
  return write_answer(skb, packet, IPPROTO_TCP, &answer, sizeof(answer), v6);
}

// An ICMP error with the headers of what was sent (RFC 792, RFC 4443). `rest`: what stands behind
// its checksum.
static __always_inline bool write_error_message(struct __sk_buff* skb, struct scratch* know,
                                                __u8 type, __u8 code, __be32 rest, const bool v6) {
  const struct packet* packet = &know->packet;
  struct error_message* message = &know->message;
  const __u32 quoted = packet->l4_offset - ETH_LEN + QUOTED_L4;
  if (quoted < IPV4_HEADER + QUOTED_L4 || quoted > sizeof(message->quote)) return false;
  if (bpf_skb_load_bytes(skb, ETH_LEN, message->quote, quoted)) return false;
  const __u32 size = ICMP_HEADER + quoted;
  message->icmp.type = type;
  message->icmp.code = code;
  message->icmp.check = 0;
  message->icmp.rest = rest;
  __u64 sum = v6 ? pseudo_sum(packet, IPPROTO_ICMPV6, size, true) : 0;
  sum += (__u32)bpf_csum_diff(NULL, 0, (__be32*)message, size, 0);
  message->icmp.check = ~csum_fold(sum);
  return write_answer(skb, packet, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, message, size, v6);
}

// Port unreachable.
static __always_inline bool write_unreachable(struct __sk_buff* skb, struct scratch* know,
                                              const bool v6) {
  return write_error_message(skb, know, v6 ? 1 : 3, v6 ? 4 : 3, 0, v6);
}

// Could the sender's address be somebody's (RFC 1122, section 3.2.2; RFC 4443, section 2.4)?
static __always_inline bool can_be_told(const struct packet* packet, const bool v6) {
  if (v6) {
    const __be32* source = packet->key.v6.saddr;
    const bool none = source[0] == 0 && source[1] == 0 && source[2] == 0;
    return !none && (source[0] & bpf_htonl(0xff000000)) != bpf_htonl(0xff000000);
  }
  const __u8 first = bpf_ntohl(packet->key.v4.saddr) >> 24;
  return first != 0 && first != 127 && first < 224;
}

static __always_inline bool may_refuse_now(void) {
  __u32 zero = 0;
  struct portolan_settings* settings = bpf_map_lookup_elem(&settings_map, &zero);
  struct portolan_refusals* said = bpf_map_lookup_elem(&refusals, &zero);
  if (!settings || !said) return false;
  const __u32 now = (__u32)(bpf_jiffies64() >> (settings->tick_shift & 31));
  if (said->tick != now) {
    said->tick = now;
    said->count = 0;
  }
  return said->count++ < PORTOLAN_REFUSALS_PER_TICK;
}

// May the packet be answered by an error? Not fragments, what nobody can have sent, and not too
// often.
static __always_inline bool may_tell(const struct packet* packet, const bool v6) {
  return !packet->is_fragment && can_be_told(packet, v6) && may_refuse_now();
}

static __always_inline int send_back(struct __sk_buff* skb, enum portolan_answer answer) {
  count_answer(answer, skb->len);
  return bpf_redirect(skb->ifindex, 0);
}

// Tells the sender that nothing is served there; drops the packet when that must not or cannot be
// said.
static __always_inline int refuse(struct __sk_buff* skb, struct scratch* know, const bool v6) {
  const struct packet* packet = &know->packet;
  if (!may_tell(packet, v6)) return TC_ACT_SHOT;
  const bool written = packet->protocol == IPPROTO_TCP ? write_reset(skb, packet, v6)
                                                       : write_unreachable(skb, know, v6);
  return written ? send_back(skb, PORTOLAN_ANSWER_REFUSAL) : TC_ACT_SHOT;
}

// Tells the sender how long a packet may be (RFC 1191, RFC 8201).
static __always_inline int tell_too_big(struct __sk_buff* skb, struct scratch* know, __u32 mtu,
                                        const bool v6) {
  if (!may_tell(&know->packet, v6)) return TC_ACT_SHOT;
  const __be32 rest = bpf_htonl(mtu);
  const bool written = v6 ? write_error_message(skb, know, 2, 0, rest, true)
                          : write_error_message(skb, know, 3, 4, rest, false);
  return written ? send_back(skb, PORTOLAN_ANSWER_TOO_BIG) : TC_ACT_SHOT;
}

// RFC 792, RFC 4443 section 4.2. Sums stay right by differences: nothing but the type, the time to
// live and the order of the addresses changes.
static __always_inline int answer_echo(struct __sk_buff* skb, const struct packet* packet,
                                       const bool v6) {
  const __u32 header = v6 ? IPV6_HEADER : IPV4_HEADER;
  if (packet->l4_offset != ETH_LEN + header || !can_be_told(packet, v6)) return TC_ACT_SHOT;
  if (bpf_skb_pull_data(skb, packet->l4_offset + ICMP_HEADER)) return TC_ACT_SHOT;
  if (!exchange_macs(skb)) return TC_ACT_SHOT;
  const __be16 from = bpf_htons(v6 ? 128 << 8 : 8 << 8);
  const __be16 to = bpf_htons(v6 ? 129 << 8 : 0);
  bpf_l4_csum_replace(skb, packet->l4_offset + ICMP_CHECK_OFFSET, from, to, 2);
  bpf_skb_store_bytes(skb, packet->l4_offset, &to, sizeof(to), 0);
  if (v6) {
    struct ipv6hdr ip;
    answer_header6(packet, IPPROTO_ICMPV6, packet->l4_length, &ip);
    bpf_skb_store_bytes(skb, ETH_LEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
  } else {
    struct iphdr ip;
    answer_header4(packet, IPPROTO_ICMP, packet->l4_length, &ip);
    bpf_skb_store_bytes(skb, ETH_LEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
  }
  return send_back(skb, PORTOLAN_ANSWER_ECHO);
}
