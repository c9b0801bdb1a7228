// What the datapath knows of a packet: parsed once from the linear header bytes, for XDP and tc
// alike. Says of which kind it is and decides nothing else.
//
// Not understood, and therefore passed untouched: any ethertype but IPv4 and IPv6 (behind VLAN tags
// too), what is shorter than it says, and the ICMPv6 messages by which neighbours find each other.
// IPv6 extension headers are walked by extensions.h, for the few packets that have some.
#pragma once

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/include/datapath_maps.h"
#include "bpf/lib/kernel_types.h"

#define ETH_LEN 14
#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define MOST_EXTENSION_OCTETS 128  // IPv6 headers behind that are not read
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

// Types of the first chunk of an SCTP packet (RFC 9260).
#define SCTP_INIT 1
#define SCTP_ABORT 6
#define SCTP_SHUTDOWN_ACK 8
#define SCTP_SHUTDOWN_COMPLETE 14

#define IPV4_FRAGMENT_MASK 0x3fff  // more-fragments flag and offset
#define IPV4_OFFSET_MASK 0x1fff
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV6_OFFSET_MASK 0xfff8
#define TCP_CHECK_OFFSET 16
#define UDP_CHECK_OFFSET 6
#define ICMP_CHECK_OFFSET 2

union flow_key {
  struct portolan_flow_key4 v4;
  struct portolan_flow_key6 v6;
};

enum packet_kind {
  PACKET_FOREIGN,     // passed untouched
  PACKET_FLOW,        // with ports, whole or the first fragment: the key is complete
  PACKET_LATER,       // a later fragment of such a packet: the key lacks its ports
  PACKET_ERROR,       // an ICMP error: the key is that of an answer to the packet that it quotes
  PACKET_ECHO,        // an echo request
  PACKET_OTHER,       // nothing that a frontend could serve
  PACKET_EXTENDED,    // IPv6: extension headers come first, and were not looked behind
  PACKET_UNREADABLE,  // the same, and they cannot be
};

// The packet that an ICMP error quotes. Offsets are from the start of the frame.
struct quote {
  __u16 ip_offset;
  __u16 l4_offset;
  __sum16 ip_check;  // IPv4
  __sum16 l4_check;
  __u16 l4_check_offset;  // 0: not quoted
};

struct packet {
  union flow_key key;
  __u32 l3_offset;    // from the start of the frame
  __u32 l3_length;    // header and payload, as the IP header says
  __u32 l4_offset;    // from the start of the frame
  __u32 l4_length;    // header and payload
  __u32 fragment_id;  // of a fragment
  __u8 ttl;           // or hop limit
  __u8 protocol;      // of the packet itself, also of an error
  __u8 traffic_class;
  __u8 tcp_flags;   // of SCTP: what comes closest; else 0
  __u8 tcp_header;  // octets, of TCP
  bool is_fragment;
  bool may_be_split;  // IPv4 without "don't fragment"
  __sum16 l4_check;
  struct quote quote;  // of PACKET_ERROR
};

static __always_inline bool same_address(const __be32* a, const __be32* b) {
  return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

// An address as the maps hold it.
static __always_inline void put_address(__be32* out, const __be32* v6_address, __be32 v4_address,
                                        const bool v6) {
  if (v6) {
    __builtin_memcpy(out, v6_address, 16);
    return;
  }
  out[0] = v4_address;
  out[1] = out[2] = out[3] = 0;
}

// Does the packet open a connection or an association?
static __always_inline bool is_opening(const struct packet* packet) {
  return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

// May other headers follow such a one, as if it were not there?
static __always_inline bool is_extension(__u8 protocol) {
  return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS;
}

// The shortest header that must be there for `protocol`.
static __always_inline __u32 l4_header_length(__u8 protocol) {
  if (protocol == IPPROTO_TCP) return sizeof(struct tcphdr);
  return protocol == IPPROTO_SCTP ? sizeof(struct sctphdr) : sizeof(struct udphdr);
}

static __always_inline bool has_ports(__u8 protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

// An association begins and ends as a connection does.
static __always_inline __u8 flags_of_chunk(__u8 type) {
  if (type == SCTP_INIT) return TCP_SYN;
  return type == SCTP_ABORT || type == SCTP_SHUTDOWN_COMPLETE ? TCP_RST : TCP_ACK;
}

// Ports, flags and checksum. `l4` points behind the IP header.
static __always_inline enum packet_kind parse_l4(void* l4, void* end, __u8 protocol,
                                                 struct packet* packet, __be16* sport,
                                                 __be16* dport) {
  if (packet->l4_length < l4_header_length(protocol)) return PACKET_OTHER;
  if (protocol == IPPROTO_TCP) {
    struct tcphdr* tcp = l4;
    if ((void*)(tcp + 1) > end) return PACKET_FOREIGN;
    *sport = tcp->source;
    *dport = tcp->dest;
    packet->tcp_flags = tcp->flags;
    packet->tcp_header = (tcp->doff >> 4) * 4;
    packet->l4_check = tcp->check;
    return PACKET_FLOW;
  }
  if (protocol == IPPROTO_SCTP) {
    struct sctphdr* sctp = l4;
    if ((void*)(sctp + 1) > end) return PACKET_FOREIGN;
    *sport = sctp->source;
    *dport = sctp->dest;
    packet->tcp_flags = flags_of_chunk(sctp->chunk_type);
    return PACKET_FLOW;
  }
  struct udphdr* udp = l4;
  if ((void*)(udp + 1) > end) return PACKET_FOREIGN;
  *sport = udp->source;
  *dport = udp->dest;
  packet->l4_check = udp->check;
  return PACKET_FLOW;
}

// Ports and checksum of the packet that an ICMP error quotes: eight octets are enough, the checksum
// is taken when it is there. `l4_length`: how much of it is quoted.
static __always_inline bool parse_quoted_l4(void* l4, void* end, __u8 protocol, __u32 l4_length,
                                            struct quote* quote, __be16* sport, __be16* dport) {
  struct udphdr* ports = l4;  // they all have them at the same place
  if (l4_length < sizeof(*ports) || (void*)(ports + 1) > end || !has_ports(protocol)) return false;
  *sport = ports->source;
  *dport = ports->dest;
  quote->l4_check_offset = 0;
  quote->l4_check = 0;
  if (protocol == IPPROTO_SCTP) return true;  // its checksum does not cover addresses
  if (protocol == IPPROTO_UDP) {
    quote->l4_check = ports->check;
    quote->l4_check_offset = quote->l4_offset + UDP_CHECK_OFFSET;
    return true;
  }
  struct tcphdr* tcp = l4;
  if (l4_length >= TCP_CHECK_OFFSET + sizeof(tcp->check) && (void*)(&tcp->check + 1) <= end) {
    quote->l4_check = tcp->check;
    quote->l4_check_offset = quote->l4_offset + TCP_CHECK_OFFSET;
  }
  return true;
}

// RFC 792. On entry the key has the addresses of the message itself.
static __always_inline enum packet_kind parse_icmp4(void* l4, void* end, struct packet* packet) {
  struct icmphdr* icmp = l4;
  if (packet->l4_length < sizeof(*icmp)) return PACKET_OTHER;
  if ((void*)(icmp + 1) > end) return PACKET_FOREIGN;
  if (icmp->type == 8 && icmp->code == 0) return PACKET_ECHO;
  // Destination unreachable, source quench, time exceeded, parameter problem.
  const __u8 type = icmp->type;
  if (type != 3 && type != 4 && type != 11 && type != 12) return PACKET_OTHER;
  struct iphdr* ip = (void*)(icmp + 1);
  if ((void*)(ip + 1) > end || packet->l4_length < sizeof(*icmp) + sizeof(*ip)) return PACKET_OTHER;
  const __u32 header = (ip->version_ihl & 0xf) * 4;
  struct portolan_flow_key4* key = &packet->key.v4;
  // The one who gets an error has sent what it is about.
  if ((ip->version_ihl >> 4) != 4 || header < sizeof(*ip) || ip->saddr != key->daddr ||
      (ip->frag_off & bpf_htons(IPV4_OFFSET_MASK)) || packet->l4_length < sizeof(*icmp) + header) {
    return PACKET_OTHER;
  }
  struct quote* quote = &packet->quote;
  quote->ip_offset = packet->l4_offset + sizeof(*icmp);
  quote->l4_offset = quote->ip_offset + header;
  quote->ip_check = ip->check;
  if (!parse_quoted_l4((void*)ip + header, end, ip->protocol,
                       packet->l4_length - sizeof(*icmp) - header, quote, &key->dport,
                       &key->sport)) {
    return PACKET_OTHER;
  }
  key->saddr = ip->daddr;
  key->protocol = ip->protocol;
  return PACKET_ERROR;
}

// RFC 4443.
static __always_inline enum packet_kind parse_icmp6(void* l4, void* end, struct packet* packet) {
  struct icmphdr* icmp = l4;
  if (packet->l4_length < sizeof(*icmp)) return PACKET_OTHER;
  if ((void*)(icmp + 1) > end) return PACKET_FOREIGN;
  if (icmp->type == 128 && icmp->code == 0) return PACKET_ECHO;
  if (icmp->type == 129) return PACKET_OTHER;
  if (icmp->type > 129) return PACKET_FOREIGN;  // Neighbour Discovery and the like
  if (icmp->type < 1 || icmp->type > 4) return PACKET_OTHER;
  struct ipv6hdr* ip = (void*)(icmp + 1);
  if ((void*)(ip + 1) > end || packet->l4_length < sizeof(*icmp) + sizeof(*ip)) return PACKET_OTHER;
  struct portolan_flow_key6* key = &packet->key.v6;
  if ((bpf_ntohl(ip->version_class_flow) >> 28) != 6) return PACKET_OTHER;
  for (int i = 0; i < 4; i++) {
    if (ip->saddr[i] != key->daddr[i]) return PACKET_OTHER;
  }
  struct quote* quote = &packet->quote;
  quote->ip_offset = packet->l4_offset + sizeof(*icmp);
  quote->l4_offset = quote->ip_offset + sizeof(*ip);
  if (is_extension(ip->nexthdr) || ip->nexthdr == IPPROTO_FRAGMENT) return PACKET_UNREADABLE;
  if (!parse_quoted_l4(ip + 1, end, ip->nexthdr, packet->l4_length - sizeof(*icmp) - sizeof(*ip),
                       quote, &key->dport, &key->sport)) {
    return PACKET_OTHER;
  }
  __builtin_memcpy(key->saddr, ip->daddr, sizeof(key->saddr));
  key->protocol = ip->nexthdr;
  return PACKET_ERROR;
}

// `l3`: where the IP header begins. `length` is the whole frame's, which may be more than is
// linear.
static __always_inline enum packet_kind parse_ipv4(void* data, void* end, __u32 l3, __u32 length,
                                                   struct packet* packet) {
  struct iphdr* ip = data + l3;
  if ((void*)(ip + 1) > end || (ip->version_ihl >> 4) != 4) return PACKET_FOREIGN;
  __u32 header = (ip->version_ihl & 0xf) * 4;
  __u32 total = bpf_ntohs(ip->tot_len);
  if (header < sizeof(*ip) || total < header || l3 + total > length) return PACKET_FOREIGN;
  struct portolan_flow_key4* key = &packet->key.v4;
  key->saddr = ip->saddr;
  key->daddr = ip->daddr;
  key->sport = key->dport = 0;
  key->protocol = ip->protocol;
  key->reserved[0] = key->reserved[1] = key->reserved[2] = 0;
  packet->l3_offset = l3;
  packet->l3_length = total;
  packet->l4_offset = l3 + header;
  packet->l4_length = total - header;
  packet->ttl = ip->ttl;
  packet->protocol = ip->protocol;
  packet->traffic_class = ip->tos;
  packet->may_be_split = !(ip->frag_off & bpf_htons(IPV4_DONT_FRAGMENT));
  packet->tcp_flags = 0;
  packet->l4_check = 0;
  packet->is_fragment = ip->frag_off & bpf_htons(IPV4_FRAGMENT_MASK);
  if (packet->is_fragment) {
    packet->fragment_id = ip->id;
    if (!has_ports(ip->protocol)) return PACKET_OTHER;
    if (ip->frag_off & bpf_htons(IPV4_OFFSET_MASK)) return PACKET_LATER;
  }
  void* l4 = (void*)ip + header;
  if (ip->protocol == IPPROTO_ICMP) return parse_icmp4(l4, end, packet);
  if (!has_ports(ip->protocol)) return PACKET_OTHER;
  return parse_l4(l4, end, ip->protocol, packet, &key->sport, &key->dport);
}

// What stands behind the IPv6 header, and behind extension headers: `l4`, of key's protocol.
static __always_inline enum packet_kind parse_payload6(void* l4, void* end, struct packet* packet) {
  struct portolan_flow_key6* key = &packet->key.v6;
  packet->is_fragment = key->protocol == IPPROTO_FRAGMENT;
  if (packet->is_fragment) {
    struct fraghdr* fragment = l4;
    if (packet->l4_length < sizeof(*fragment)) return PACKET_OTHER;
    if ((void*)(fragment + 1) > end) return PACKET_FOREIGN;
    packet->fragment_id = fragment->id;
    packet->l4_offset += sizeof(*fragment);
    packet->l4_length -= sizeof(*fragment);
    key->protocol = fragment->nexthdr;
    // Later fragments have this protocol too, and not the one that follows.
    if (is_extension(fragment->nexthdr)) return PACKET_UNREADABLE;
    if (!has_ports(fragment->nexthdr)) return PACKET_OTHER;
    if (fragment->frag_off & bpf_htons(IPV6_OFFSET_MASK)) return PACKET_LATER;
    l4 = fragment + 1;
  }
  if (key->protocol == IPPROTO_ICMPV6) return parse_icmp6(l4, end, packet);
  if (!has_ports(key->protocol)) return PACKET_OTHER;
  return parse_l4(l4, end, key->protocol, packet, &key->sport, &key->dport);
}

static __always_inline enum packet_kind parse_ipv6(void* data, void* end, __u32 l3, __u32 length,
                                                   struct packet* packet) {
  struct ipv6hdr* ip = data + l3;
  if ((void*)(ip + 1) > end || (bpf_ntohl(ip->version_class_flow) >> 28) != 6) {
    return PACKET_FOREIGN;
  }
  __u32 payload = bpf_ntohs(ip->payload_len);
  if (l3 + sizeof(*ip) + payload > length) return PACKET_FOREIGN;
  struct portolan_flow_key6* key = &packet->key.v6;
  __builtin_memcpy(key->saddr, ip->saddr, sizeof(key->saddr));
  __builtin_memcpy(key->daddr, ip->daddr, sizeof(key->daddr));
  key->sport = key->dport = 0;
  key->protocol = ip->nexthdr;
  key->reserved[0] = key->reserved[1] = key->reserved[2] = 0;
  packet->l3_offset = l3;
  packet->l3_length = sizeof(*ip) + payload;
  packet->l4_offset = l3 + sizeof(*ip);
  packet->l4_length = payload;
  packet->ttl = ip->hop_limit;
  packet->protocol = ip->nexthdr;
  packet->traffic_class = bpf_ntohl(ip->version_class_flow) >> 20;
  packet->may_be_split = false;
  packet->tcp_flags = 0;
  packet->l4_check = 0;
  packet->is_fragment = false;
  if (is_extension(ip->nexthdr)) return PACKET_EXTENDED;
  return parse_payload6(ip + 1, end, packet);
}
