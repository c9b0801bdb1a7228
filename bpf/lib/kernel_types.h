// The few kernel types and constants that the programs use, so that no UAPI header (and through it
// no libc header) is needed to compile them. Layouts are the kernel's stable ABI; a struct may stop
// after the last field that we read.
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u16 __sum16;
typedef __u32 __wsum;

typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void*)0)

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

enum {
  BPF_MAP_TYPE_HASH = 1,
  BPF_MAP_TYPE_ARRAY = 2,
  BPF_MAP_TYPE_PROG_ARRAY = 3,
  BPF_MAP_TYPE_PERCPU_ARRAY = 6,
  BPF_MAP_TYPE_LRU_HASH = 9,
  BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
  BPF_MAP_TYPE_LPM_TRIE = 11,
  BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_F_NO_PREALLOC = 1 << 0, BPF_F_MMAPABLE = 1 << 10 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };

enum xdp_action { XDP_ABORTED = 0, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum { TC_ACT_UNSPEC = -1, TC_ACT_OK = 0, TC_ACT_SHOT = 2 };
enum { PACKET_HOST = 0 };

// Flags of bpf_skb_store_bytes() and bpf_l4_csum_replace().
enum { BPF_F_RECOMPUTE_CSUM = 1 << 0 };
enum { BPF_F_PSEUDO_HDR = 1 << 4, BPF_F_MARK_MANGLED_0 = 1 << 5 };

// Answers of bpf_fib_lookup().
enum {
  BPF_FIB_LKUP_RET_SUCCESS = 0,
  BPF_FIB_LKUP_RET_NOT_FWDED = 4,
  BPF_FIB_LKUP_RET_FWD_DISABLED = 5,
  BPF_FIB_LKUP_RET_NO_NEIGH = 7,
  BPF_FIB_LKUP_RET_FRAG_NEEDED = 8,
};

enum { AF_INET = 2, AF_INET6 = 10 };
enum {
  ETH_P_IP = 0x0800,
  ETH_P_ARP = 0x0806,
  ETH_P_8021Q = 0x8100,
  ETH_P_IPV6 = 0x86dd,
  ETH_P_8021AD = 0x88a8,
};
enum {
  IPPROTO_HOPOPTS = 0,
  IPPROTO_ICMP = 1,
  IPPROTO_IPIP = 4,
  IPPROTO_TCP = 6,
  IPPROTO_UDP = 17,
  IPPROTO_IPV6 = 41,
  IPPROTO_ROUTING = 43,
  IPPROTO_FRAGMENT = 44,
  IPPROTO_ICMPV6 = 58,
  IPPROTO_DSTOPTS = 60,
  IPPROTO_SCTP = 132,
};

struct xdp_md {
  __u32 data;
  __u32 data_end;
  __u32 data_meta;
  __u32 ingress_ifindex;
  __u32 rx_queue_index;
  __u32 egress_ifindex;
};

struct __sk_buff {
  __u32 len;
  __u32 pkt_type;
  __u32 mark;
  __u32 queue_mapping;
  __u32 protocol;
  __u32 vlan_present;
  __u32 vlan_tci;
  __u32 vlan_proto;
  __u32 priority;
  __u32 ingress_ifindex;
  __u32 ifindex;
  __u32 tc_index;
  __u32 cb[5];
  __u32 hash;
  __u32 tc_classid;
  __u32 data;
  __u32 data_end;
  __u32 napi_id;
  __u32 family;
  __u32 remote_ip4;
  __u32 local_ip4;
  __u32 remote_ip6[4];
  __u32 local_ip6[4];
  __u32 remote_port;
  __u32 local_port;
  __u32 data_meta;
  __u64 flow_keys;
  __u64 tstamp;
  __u32 wire_len;
  __u32 gso_segs;
  __u64 sk;
  __u32 gso_size;
};
_Static_assert(__builtin_offsetof(struct __sk_buff, gso_size) == 176, "kernel ABI");

struct bpf_fib_lookup {
  __u8 family;
  __u8 l4_protocol;
  __be16 sport;
  __be16 dport;
  __u16 tot_len;  // in: length of the packet; out, when it is too long: what would go
  __u32 ifindex;
  __be32 tos_or_flowinfo;
  __be32 src[4];
  __be32 dst[4];
  __u32 vlan;
  __u8 smac[6];
  __u8 dmac[6];
};
_Static_assert(sizeof(struct bpf_fib_lookup) == 64, "kernel ABI");

// Of bpf_skb_adjust_room().
enum { BPF_ADJ_ROOM_MAC = 1 };
enum {
  BPF_F_ADJ_ROOM_FIXED_GSO = 1 << 0,
  BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 = 1 << 1,
  BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 = 1 << 2,
  BPF_F_ADJ_ROOM_DECAP_L3_IPV4 = 1 << 7,  // Linux 6.3
  BPF_F_ADJ_ROOM_DECAP_L3_IPV6 = 1 << 8,
};

struct bpf_redir_neigh {
  __u32 nh_family;
  __be32 nexthop[4];  // IPv4: word 0
};
_Static_assert(sizeof(struct bpf_redir_neigh) == 20, "kernel ABI");

struct ethhdr {
  __u8 h_dest[6];
  __u8 h_source[6];
  __be16 h_proto;
};

struct iphdr {
  __u8 version_ihl;
  __u8 tos;
  __be16 tot_len;
  __be16 id;
  __be16 frag_off;
  __u8 ttl;
  __u8 protocol;
  __sum16 check;
  __be32 saddr;
  __be32 daddr;
};

struct ipv6hdr {
  __be32 version_class_flow;
  __be16 payload_len;
  __u8 nexthdr;
  __u8 hop_limit;
  __be32 saddr[4];
  __be32 daddr[4];
};

struct tcphdr {
  __be16 source;
  __be16 dest;
  __be32 seq;
  __be32 ack_seq;
  __u8 doff;
  __u8 flags;
  __be16 window;
  __sum16 check;
  __be16 urg_ptr;
};

struct udphdr {
  __be16 source;
  __be16 dest;
  __be16 len;
  __sum16 check;
};

// With the head of the first chunk, which every packet has.
struct sctphdr {
  __be16 source;
  __be16 dest;
  __be32 vtag;
  __be32 checksum;
  __u8 chunk_type;
  __u8 chunk_flags;
  __be16 chunk_length;
};

// ICMP and ICMPv6: what every message begins with.
struct icmphdr {
  __u8 type;
  __u8 code;
  __sum16 check;
  __be32 rest;
};

// Hop-by-hop and destination options, and a routing header as far as it is read here.
struct exthdr {
  __u8 nexthdr;
  __u8 length;  // in units of eight octets, without the first
  __u8 routing_type;
  __u8 segments_left;
};

struct fraghdr {
  __u8 nexthdr;
  __u8 reserved;
  __be16 frag_off;
  __be32 id;
};
