// What the datapath knows of a packet: parsed once from the linear header bytes, for XDP and tc
// alike. Nothing here decides anything but "this is a whole TCP or UDP packet that we understand".
//
// Not understood, and therefore passed untouched: any ethertype but IPv4 and IPv6 (VLAN tags too),
// fragments, IPv6 extension headers, other protocols, and whatever is shorter than it says.
#pragma once

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/include/datapath_maps.h"
#include "bpf/lib/kernel_types.h"

#define ETH_LEN 14
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IPV4_FRAGMENT_MASK 0x3fff  // more-fragments flag and offset
#define IPV4_CHECK_OFFSET (ETH_LEN + 10)
#define TCP_CHECK_OFFSET 16
#define UDP_CHECK_OFFSET 6

union flow_key {
  struct portolan_flow_key4 v4;
  struct portolan_flow_key6 v6;
};

struct packet {
  union flow_key key;
  __u32 l4_offset;  // from the start of the frame
  __u32 l4_length;  // header and payload, as the IP header says
  __u8 tcp_flags;   // 0 for UDP
  __sum16 l4_check;
};

// The shortest header that must be there for `protocol`.
static __always_inline __u32 l4_header_length(__u8 protocol) {
  return protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
}

// Ports, flags and checksum. `l4` points behind the IP header.
static __always_inline bool parse_l4(void* l4, void* end, __u8 protocol, struct packet* packet,
                                     __be16* sport, __be16* dport) {
  if (protocol == IPPROTO_TCP) {
    struct tcphdr* tcp = l4;
    if ((void*)(tcp + 1) > end || packet->l4_length < sizeof(*tcp)) return false;
    *sport = tcp->source;
    *dport = tcp->dest;
    packet->tcp_flags = tcp->flags;
    packet->l4_check = tcp->check;
    return true;
  }
  struct udphdr* udp = l4;
  if ((void*)(udp + 1) > end || packet->l4_length < sizeof(*udp)) return false;
  *sport = udp->source;
  *dport = udp->dest;
  packet->tcp_flags = 0;
  packet->l4_check = udp->check;
  return true;
}

// `length` is the whole frame's, which may be more than is linear.
static __always_inline bool parse_ipv4(void* data, void* end, __u32 length, struct packet* packet) {
  struct iphdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end || (ip->version_ihl >> 4) != 4) return false;
  __u32 header = (ip->version_ihl & 0xf) * 4;
  __u32 total = bpf_ntohs(ip->tot_len);
  if (header < sizeof(*ip) || total < header || ETH_LEN + total > length) return false;
  if (ip->frag_off & bpf_htons(IPV4_FRAGMENT_MASK)) return false;
  if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return false;
  struct portolan_flow_key4* key = &packet->key.v4;
  key->saddr = ip->saddr;
  key->daddr = ip->daddr;
  key->protocol = ip->protocol;
  key->reserved[0] = key->reserved[1] = key->reserved[2] = 0;
  packet->l4_offset = ETH_LEN + header;
  packet->l4_length = total - header;
  return parse_l4((void*)ip + header, end, ip->protocol, packet, &key->sport, &key->dport);
}

static __always_inline bool parse_ipv6(void* data, void* end, __u32 length, struct packet* packet) {
  struct ipv6hdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end || (bpf_ntohl(ip->version_class_flow) >> 28) != 6) return false;
  __u32 payload = bpf_ntohs(ip->payload_len);
  if (ETH_LEN + sizeof(*ip) + payload > length) return false;
  if (ip->nexthdr != IPPROTO_TCP && ip->nexthdr != IPPROTO_UDP) return false;
  struct portolan_flow_key6* key = &packet->key.v6;
  __builtin_memcpy(key->saddr, ip->saddr, sizeof(key->saddr));
  __builtin_memcpy(key->daddr, ip->daddr, sizeof(key->daddr));
  key->protocol = ip->nexthdr;
  key->reserved[0] = key->reserved[1] = key->reserved[2] = 0;
  packet->l4_offset = ETH_LEN + sizeof(*ip);
  packet->l4_length = payload;
  return parse_l4(ip + 1, end, ip->nexthdr, packet, &key->sport, &key->dport);
}
