// The load balancer at the driver: rewrites packets for a frontend, and replies of backends, then
// lets the kernel route them (XDP_PASS). It never drops what it does not own.
//
// Three kinds of packet are left, untouched, to the tc program that the loader always attaches
// beside this one: flows whose source becomes this node (the kernel would drop them as martians; tc
// sends them out itself), what is to be answered, and packets whose checksum a local sender has
// left to the hardware, which XDP can neither see in its context nor keep in order.
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/balance.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/errors.h"
#include "bpf/lib/kernel_types.h"
#include "bpf/lib/packet.h"

// Ports and checksum. False, with nothing written: the header is not there; the parser has seen
// it, but the verifier has forgotten.
static __always_inline bool write_l4(void* data, void* end, const struct packet* packet,
                                     __u8 protocol, const struct rewrite* rewrite,
                                     __u64 address_diff) {
  void* l4 = data + (packet->l4_offset & 0x7f);
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
  struct icmphdr* icmp = data + (packet->l4_offset & 0x7f);
  void* ip = data + (packet->quote.ip_offset & 0x7f);
  __be16* ports = data + (packet->quote.l4_offset & 0xff);
  __sum16* l4_check = data + (packet->quote.l4_check_offset & 0xff);
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

static __always_inline int handle_ipv4(void* data, void* end) {
  struct packet packet;
  const __u32 length = end - data;
  const enum packet_kind kind = parse_ipv4(data, end, length, &packet);
  if (kind == PACKET_FOREIGN || !is_candidate(&packet.key, false)) return XDP_PASS;
  const __u8 protocol = packet.key.v4.protocol;
  if (kind == PACKET_FLOW && packet.l4_check == csum_pseudo(&packet, false)) return XDP_PASS;
  struct iphdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end) return XDP_PASS;

  struct rewrite rewrite;
  switch (decide(&packet, kind, length, &rewrite, false, false)) {
    case VERDICT_REWRITE:
      break;
    case VERDICT_DROP:
      return XDP_DROP;
    default:
      return XDP_PASS;
  }
  const __be32 source =
      kind == PACKET_ERROR && !hides_source(&rewrite) ? ip->saddr : rewrite.saddr[0];
  const __u64 diff = csum_diff(ip->saddr, source) + csum_diff(ip->daddr, rewrite.daddr[0]);
  if (kind == PACKET_ERROR) {
    if (!write_error(data, end, &packet, &rewrite, diff, false)) return XDP_PASS;
  } else if (kind == PACKET_FLOW) {
    if (!write_l4(data, end, &packet, protocol, &rewrite, diff)) return XDP_PASS;
  }
  ip->saddr = source;
  ip->daddr = rewrite.daddr[0];
  ip->check = csum_apply(ip->check, diff);
  return XDP_PASS;
}

static __always_inline int handle_ipv6(void* data, void* end) {
  struct packet packet;
  const __u32 length = end - data;
  const enum packet_kind kind = parse_ipv6(data, end, length, &packet);
  if (kind == PACKET_FOREIGN || !is_candidate(&packet.key, true)) return XDP_PASS;
  const __u8 protocol = packet.key.v6.protocol;
  if (kind == PACKET_FLOW && packet.l4_check == csum_pseudo(&packet, true)) return XDP_PASS;
  struct ipv6hdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end) return XDP_PASS;

  struct rewrite rewrite;
  switch (decide(&packet, kind, length, &rewrite, true, false)) {
    case VERDICT_REWRITE:
      break;
    case VERDICT_DROP:
      return XDP_DROP;
    default:
      return XDP_PASS;
  }
  const bool keeps_source = kind == PACKET_ERROR && !hides_source(&rewrite);
  __u64 diff = csum_diff16(ip->daddr, rewrite.daddr);
  if (!keeps_source) diff += csum_diff16(ip->saddr, rewrite.saddr);
  if (kind == PACKET_ERROR) {
    if (!write_error(data, end, &packet, &rewrite, diff, true)) return XDP_PASS;
  } else if (kind == PACKET_FLOW) {
    if (!write_l4(data, end, &packet, protocol, &rewrite, diff)) return XDP_PASS;
  }
  if (!keeps_source) __builtin_memcpy(ip->saddr, rewrite.saddr, sizeof(ip->saddr));
  __builtin_memcpy(ip->daddr, rewrite.daddr, sizeof(ip->daddr));
  return XDP_PASS;
}

SEC("xdp")
int portolan_lb_xdp(struct xdp_md* context) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  struct ethhdr* ethernet = data;
  if ((void*)(ethernet + 1) > end) return XDP_PASS;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) return handle_ipv4(data, end);
  if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) return handle_ipv6(data, end);
  return XDP_PASS;
}

// bpf_fib_lookup() and friends are for GPL-compatible programs only.
char _license[] SEC("license") = "Dual BSD/GPL";
