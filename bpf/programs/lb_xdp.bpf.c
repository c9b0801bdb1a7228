// The load balancer at the driver: rewrites packets for a frontend, and replies of backends, then
// lets the kernel route them (XDP_PASS). It never drops what it does not own.
//
// Two kinds of packet are left, untouched, to the tc program that the loader always attaches beside
// this one: flows whose source becomes this node (the kernel would drop them as martians; tc sends
// them out itself), and packets whose checksum a local sender has left to the hardware, which XDP
// can neither see in its context nor keep in order.
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/balance.h"
#include "bpf/lib/csum.h"
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

static __always_inline int handle_ipv4(void* data, void* end) {
  struct packet packet;
  const __u32 length = end - data;
  if (!parse_ipv4(data, end, length, &packet)) return XDP_PASS;
  if (!is_candidate(&packet.key, false)) return XDP_PASS;
  const __u8 protocol = packet.key.v4.protocol;
  if (packet.l4_check == csum_pseudo(&packet, false)) return XDP_PASS;
  struct iphdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end) return XDP_PASS;

  struct rewrite rewrite;
  switch (balance(&packet, length, &rewrite, false, false)) {
    case VERDICT_REWRITE:
      break;
    case VERDICT_DROP:
      return XDP_DROP;
    default:
      return XDP_PASS;
  }
  const __u64 diff =
      csum_diff(ip->saddr, rewrite.saddr[0]) + csum_diff(ip->daddr, rewrite.daddr[0]);
  if (!write_l4(data, end, &packet, protocol, &rewrite, diff)) return XDP_PASS;
  ip->saddr = rewrite.saddr[0];
  ip->daddr = rewrite.daddr[0];
  ip->check = csum_apply(ip->check, diff);
  return XDP_PASS;
}

static __always_inline int handle_ipv6(void* data, void* end) {
  struct packet packet;
  const __u32 length = end - data;
  if (!parse_ipv6(data, end, length, &packet)) return XDP_PASS;
  if (!is_candidate(&packet.key, true)) return XDP_PASS;
  const __u8 protocol = packet.key.v6.protocol;
  if (packet.l4_check == csum_pseudo(&packet, true)) return XDP_PASS;
  struct ipv6hdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end) return XDP_PASS;

  struct rewrite rewrite;
  switch (balance(&packet, length, &rewrite, true, false)) {
    case VERDICT_REWRITE:
      break;
    case VERDICT_DROP:
      return XDP_DROP;
    default:
      return XDP_PASS;
  }
  const __u64 diff = csum_diff16(ip->saddr, rewrite.saddr) + csum_diff16(ip->daddr, rewrite.daddr);
  if (!write_l4(data, end, &packet, protocol, &rewrite, diff)) return XDP_PASS;
  __builtin_memcpy(ip->saddr, rewrite.saddr, sizeof(ip->saddr));
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
