// The layout of every map that the datapath shares between kernel and user space: the only place
// where it is written down. Included by the BPF programs (C) and by user space (C++); the sizes are
// asserted on both sides and bpf/test checks the offsets against the BTF of the built programs.
//
// Conventions: addresses and ports are in network order, everything else in host order. An IPv4
// address stands in word 0, the other words are 0. Ids are 1-based; 0 means "none". An epoch counts
// the lives of an id: what remembers an id (a flow) remembers its epoch too and is dead when they
// differ, so that a recycled id inherits nothing.
#pragma once

#ifdef __bpf__
// The program has its types already (bpf/lib/kernel_types.h).
#define PORTOLAN_STATIC_ASSERT _Static_assert
#define PORTOLAN_INLINE static __always_inline
#else
#include <linux/types.h>
#define PORTOLAN_STATIC_ASSERT static_assert
#define PORTOLAN_INLINE static inline
#endif

// Changes whenever a map's meaning changes in a way that its sizes do not show.
#define PORTOLAN_LAYOUT_VERSION 4

#define PORTOLAN_FAMILY_IPV4 4
#define PORTOLAN_FAMILY_IPV6 6

#define PORTOLAN_FRONTEND_ALIVE 1
#define PORTOLAN_FRONTEND_SOURCES 2  // only for the sources that map "sources" lets through
#define PORTOLAN_FRONTEND_SILENT 4   // what it cannot serve is dropped without a word
#define PORTOLAN_FRONTEND_TRACE 8    // tell map "events" of every packet

// ---- map "frontends": HASH, portolan_frontend_key -> portolan_frontend ----

struct portolan_frontend_key {
  __be32 address[4];
  __be16 port;
  __u8 protocol;  // IANA number
  __u8 family;    // PORTOLAN_FAMILY_*
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_frontend_key) == 20, "map layout");

struct portolan_frontend {
  __u32 id;            // index into frontend_info and counters
  __u32 group;         // the set of backends it shares with its service's other addresses
  __u32 table_offset;  // first slot of its Maglev table in "maglev"
  __u32 table_size;    // slots; 0: no backend takes new flows
  __u32 backends;      // different ones in the table
  __u16 epoch;
  __u16 flags;       // PORTOLAN_FRONTEND_*, but for ALIVE
  __u32 affinity_s;  // a client that was away no longer keeps its backend; 0: no affinity
  // The table for what comes in on an interface of the inside; often the same one.
  __u32 internal_offset;
  __u32 internal_size;
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_frontend) == 36, "map layout");

// ---- map "frontend_info": ARRAY, id -> portolan_frontend_info ----

struct portolan_frontend_info {
  __u16 epoch;
  __u16 flags;  // PORTOLAN_FRONTEND_*
  __u32 group;
  __u32 idle_s;  // a flow that was idle for longer is dead; 0: as in the settings
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_frontend_info) == 12, "map layout");

// ---- map "addresses": HASH, portolan_address_key -> portolan_address ----
// Addresses that have a frontend: what is for them and for no frontend goes nowhere else.

struct portolan_address_key {
  __be32 address[4];
  __u32 family;  // PORTOLAN_FAMILY_*
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_address_key) == 20, "map layout");

struct portolan_address {
  __u32 frontends;
  __u32 silent;  // how many of them are PORTOLAN_FRONTEND_SILENT; any: so is the address
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_address) == 8, "map layout");

// ---- map "sources": LPM_TRIE, portolan_source_key -> portolan_source ----
// Who may come to the frontends of a group: the longest prefix counts, none means no.

#define PORTOLAN_SOURCE_TUNNELS 0  // no group: whose tunnels end at this node

#define PORTOLAN_SOURCE_FIXED_BITS 64  // of prefix_length; the rest is the address's prefix

struct portolan_source_key {
  __u32 prefix_length;
  __u32 group;
  __u32 family;  // PORTOLAN_FAMILY_*
  __be32 address[4];
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_source_key) == 28, "map layout");

struct portolan_source {
  __u32 allowed;  // 0 or 1
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_source) == 4, "map layout");

// ---- map "backends": ARRAY, id -> portolan_backend ----

#define PORTOLAN_BACKEND_ALIVE 1  // may be used
#define PORTOLAN_BACKEND_SNAT 2   // reached from `source`, so that its replies come back to us
#define PORTOLAN_BACKEND_RESTS 4  // takes no new flows, not even of clients that it knows
// Direct server return: addresses and ports stay, the backend has the frontend's address itself.
#define PORTOLAN_BACKEND_DSR 8  // it is a neighbour on the link: only the frame is addressed to it
#define PORTOLAN_BACKEND_TUNNEL 16  // the packet travels in another one, from `source` to `address`

// Written once while nothing refers to the id; afterwards only `epoch` and `flags` change, and
// `source` where it is neither of SNAT nor of TUNNEL.
struct portolan_backend {
  __u16 epoch;
  __u16 flags;
  __be16 port;
  __u8 family;
  __u8 protocol;
  __be32 address[4];
  __be32 source[4];  // this node's address towards it; all 0: unknown
  __u32 group;
  __u32 reserved;
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_backend) == 48, "map layout");

// ---- map "maglev": ARRAY (mmap), chunk -> portolan_table_chunk ----
// One long row of slots, each a backend id or 0; every group of backends owns an extent of it.

#define PORTOLAN_CHUNK_SLOTS 16

struct portolan_table_chunk {
  __u32 backend[PORTOLAN_CHUNK_SLOTS];
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_table_chunk) == 64, "map layout");

// ---- maps "flows4", "flows6": LRU_HASH, 5-tuple as it arrives -> what to make of it ----
// A flow has two entries, one per direction. Each names the other: swap what it rewrites to.

#define PORTOLAN_FLOW_REVERSE 1      // backend -> client
#define PORTOLAN_FLOW_SNAT 2         // source address is translated too
#define PORTOLAN_FLOW_FIN_FORWARD 4  // client has sent FIN
#define PORTOLAN_FLOW_FIN_REVERSE 8  // backend has sent FIN
#define PORTOLAN_FLOW_RST 16
#define PORTOLAN_FLOW_ONE_WAY 32  // direct server return: there is no other half

struct portolan_flow_key4 {
  __be32 saddr;
  __be32 daddr;
  __be16 sport;
  __be16 dport;
  __u8 protocol;
  __u8 reserved[3];
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_flow_key4) == 16, "map layout");

struct portolan_flow_key6 {
  __be32 saddr[4];
  __be32 daddr[4];
  __be16 sport;
  __be16 dport;
  __u8 protocol;
  __u8 reserved[3];
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_flow_key6) == 40, "map layout");

struct portolan_flow {
  __u32 frontend;
  __u32 backend;
  __u16 frontend_epoch;
  __u16 backend_epoch;
  __u32 last;    // tick of the last packet, either direction
  __be16 sport;  // what the packet's ports become
  __be16 dport;
  __u32 flags;  // PORTOLAN_FLOW_*
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_flow) == 24, "map layout");

struct portolan_flow4 {
  struct portolan_flow flow;
  __be32 saddr;  // what the packet's addresses become
  __be32 daddr;
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_flow4) == 32, "map layout");

struct portolan_flow6 {
  struct portolan_flow flow;
  __be32 saddr[4];
  __be32 daddr[4];
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_flow6) == 56, "map layout");

// ---- map "affinity": LRU_HASH, portolan_affinity_key -> portolan_affinity ----
// The backend that a client's latest flow went to, of the groups that have session affinity.

struct portolan_affinity_key {
  __u32 group;
  __be32 client[4];
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_affinity_key) == 20, "map layout");

struct portolan_affinity {
  __u32 backend;
  __u32 backend_epoch;
  __u32 last;  // tick of the latest new flow
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_affinity) == 12, "map layout");

// ---- map "fragments": LRU_HASH, portolan_fragment_key -> portolan_fragment ----
// What only the first fragment of a packet says, for the later ones.

struct portolan_fragment_key {
  __be32 saddr[4];
  __be32 daddr[4];
  __u32 id;
  __u8 protocol;
  __u8 family;
  __u8 reserved[2];
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_fragment_key) == 40, "map layout");

struct portolan_fragment {
  __be16 sport;
  __be16 dport;
  __u32 last;  // tick of the first fragment
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_fragment) == 8, "map layout");

#define PORTOLAN_FRAGMENTS 16384  // packets in pieces at a time

// ---- map "interfaces": ARRAY, portolan_interface_slot() -> portolan_interface ----
// Those that the programs are attached to, and those that XDP may send out of. An array, because it
// is asked for every packet; of two interfaces with one slot, one has to do without.

#define PORTOLAN_INTERFACE_ATTACHED 1
#define PORTOLAN_INTERFACE_INTERNAL 2  // what comes in there is from the inside
#define PORTOLAN_INTERFACE_TARGET 4    // its driver takes frames from XDP

struct portolan_interface {
  __u32 ifindex;  // 0: the slot is free
  __u8 mac[6];
  __u16 flags;  // PORTOLAN_INTERFACE_*
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_interface) == 12, "map layout");

#define PORTOLAN_INTERFACES 4096

PORTOLAN_INLINE __u32 portolan_interface_slot(__u32 ifindex) {
  return ifindex % PORTOLAN_INTERFACES;
}

// ---- map "neighbours": ARRAY (mmap), portolan_neighbour_bucket() -> portolan_neighbours ----
// Addresses that ARP requests and neighbour solicitations are answered for, where they come in. An
// array in the writer's memory (l2-announcer's), because its word must count at once and a lookup
// must cost little. Each entry has a dead man's switch: it is silent when it was not renewed.
//
// The writer takes a free place (`until_ns` is 0), writes everything else first and `until_ns`
// last; to free it, `until_ns` first, and the key, so that it is not found again.

struct portolan_neighbour_key {
  __be32 address[4];
  __u32 ifindex;
  __u16 vlan;  // VLAN identifier (IEEE 802.1Q, customer VLAN); 0: untagged
  __u8 family;
  __u8 reserved;
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_neighbour_key) == 24, "map layout");

struct portolan_neighbour {
  struct portolan_neighbour_key key;
  __u64 until_ns;  // CLOCK_MONOTONIC; the programs' is late by a tick
  __u8 mac[6];
  __u16 reserved;
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_neighbour) == 40, "map layout");

#define PORTOLAN_NEIGHBOUR_BUCKET_BITS 13
#define PORTOLAN_NEIGHBOUR_BUCKETS (1 << PORTOLAN_NEIGHBOUR_BUCKET_BITS)
#define PORTOLAN_NEIGHBOUR_PLACES 4

struct portolan_neighbours {
  struct portolan_neighbour place[PORTOLAN_NEIGHBOUR_PLACES];
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_neighbours) == 160, "map layout");

PORTOLAN_INLINE __u32 portolan_neighbour_bucket(const struct portolan_neighbour_key* key) {
  __u32 mixed = key->address[0] ^ (key->ifindex * 0x85ebca6bu) ^ key->vlan;
  mixed = (mixed ^ (mixed >> 15)) * 0xc2b2ae35u;
  mixed ^= key->address[1] ^ (key->address[2] * 0x27d4eb2fu) ^ key->address[3];
  mixed = (mixed ^ (mixed >> 16)) * 0x9e3779b1u;
  return mixed >> (32 - PORTOLAN_NEIGHBOUR_BUCKET_BITS);
}

// ---- map "settings": ARRAY, one element ----

#define PORTOLAN_SETTING_ECHO 1         // answer echo requests to addresses that have a frontend
#define PORTOLAN_SETTING_KEEP_ROUTES 4  // addresses alone decide on routes: answers may be kept

struct portolan_settings {
  __u32 layout_version;
  __u32 hash_seed;     // equal on all nodes
  __u32 tick_shift;    // tick = jiffies >> tick_shift, about a second
  __u32 tcp_idle;      // ticks
  __u32 udp_idle;      // ticks
  __u32 closing_idle;  // ticks, after RST or both FINs
  __u16 port_first;    // source ports for translated flows
  __u16 port_count;
  __u32 flags;           // PORTOLAN_SETTING_*
  __u64 netns_cookie;    // of the network namespace that the maps serve
  __u32 ticks_per_256s;  // 256 or a little less or more, up to 512
  __u32 drop_sample;     // of so many drops one is an event; 0: none
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_settings) == 48, "map layout");

// ---- map "address_filter": ARRAY (mmap), one element ----
// A byte per hash of an address: may it be a frontend's, may it be a backend's? What is neither is
// passed without any hash lookup.

#define PORTOLAN_FILTER_FRONTEND 1
#define PORTOLAN_FILTER_BACKEND 2
#define PORTOLAN_FILTER_SIZE 65536

struct portolan_address_filter {
  __u8 bits[PORTOLAN_FILTER_SIZE];
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_address_filter) == 65536, "map layout");

PORTOLAN_INLINE __u32 portolan_filter_index4(__be32 address) {
  return (__u32)(address * 0x9e3779b1u) >> 16;
}

PORTOLAN_INLINE __u32 portolan_filter_index6(const __be32* address) {
  __u32 mixed = address[0] ^ (address[1] * 0x85ebca6bu);
  mixed = (mixed ^ (mixed >> 15)) * 0xc2b2ae35u;
  mixed ^= address[2] ^ (address[3] * 0x27d4eb2fu);
  return (__u32)(mixed * 0x9e3779b1u) >> 16;
}

// ---- map "refusals": PERCPU_ARRAY, one element ----
// How many senders were told in this tick, so that strangers cannot make us talk without end.

#define PORTOLAN_REFUSALS_PER_TICK 1000  // for each CPU

struct portolan_refusals {
  __u32 tick;
  __u32 count;
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_refusals) == 8, "map layout");

// ---- map "counters": PERCPU_ARRAY, frontend id -> portolan_counter: client to backend ----
// ---- map "backend_counters": PERCPU_ARRAY, backend id -> portolan_counter: the same ----
// ---- map "drops": PERCPU_ARRAY, enum portolan_drop -> portolan_counter ----

struct portolan_counter {
  __u64 packets;
  __u64 bytes;
  __u64 flows;  // new ones
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_counter) == 24, "map layout");

enum portolan_drop {
  PORTOLAN_DROP_NO_PORT = 0,      // no free source port towards that backend
  PORTOLAN_DROP_NO_ROUTE = 1,     // source-translated flow, and no route (or forwarding is off)
  PORTOLAN_DROP_TOO_BIG = 2,      // source-translated flow, larger than the way out can carry
  PORTOLAN_DROP_NO_MEMORY = 3,    // the kernel could not make the packet's headers writable
  PORTOLAN_DROP_UNSERVED = 4,     // to an address of a frontend, and nothing is served there
  PORTOLAN_DROP_NO_BACKEND = 5,   // to a frontend without a backend that takes new flows
  PORTOLAN_DROP_FRAGMENT = 6,     // a later fragment, and the first one was not seen or not carried
  PORTOLAN_DROP_STRAY = 7,        // an ICMP error about no flow that we know
  PORTOLAN_DROP_SOURCE = 8,       // from a source that the service does not let in
  PORTOLAN_DROP_NOT_ON_LINK = 9,  // direct server return to a backend that is behind a router
  PORTOLAN_DROP_CONGESTED =
      10,                      // out of a tunnel that met congestion, and cannot be told (RFC 6040)
  PORTOLAN_DROP_HEADERS = 11,  // IPv6 extension headers: too many, too long, or a source route
  PORTOLAN_DROP_REASONS = 12,
};

// ---- map "service_drops": LRU_PERCPU_HASH, portolan_service_drop_key -> portolan_counter ----
// The same drops once more, of those that concern somebody: by the frontend that the packet was for
// (or came from: a backend's answer), else by the address, when it is one that has frontends but
// none is served there (UNSERVED, FRAGMENT, STRAY, HEADERS). What is dropped for neither stands in
// "drops" alone. A row appears with its first drop; `epoch` is the frontend's, so a recycled id
// begins anew and rows of its former lives may be deleted or left to the LRU.

struct portolan_service_drop_key {
  __be32 address[4];  // 0 when `frontend` is not
  __u32 frontend;     // id, or 0
  __u16 epoch;        // of the frontend; 0 without one
  __u8 reason;        // enum portolan_drop
  __u8 family;        // PORTOLAN_FAMILY_* of the address; 0 with a frontend
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_service_drop_key) == 24, "map layout");

#define PORTOLAN_SERVICE_DROPS 16384  // rows

// ---- map "xdp_chain": PROG_ARRAY, slot -> XDP program ----
// Other people's XDP programs before and after ours, on every interface that has the root
// (bpf/programs/xdp_root.bpf.c) in our program's place. The root begins with the first slot that is
// filled; our program goes on behind itself wherever it says XDP_PASS. A tail call does not return:
// a program in a slot before ours must itself go on with the slots behind its own, up to ours, or
// nothing is balanced (it names this map among its own; what does not, cannot). A program behind
// ours that does not go on ends the chain.
//
// The kernel takes only programs that were loaded alike: libbpf's SEC("xdp"), without frags.

#define PORTOLAN_CHAIN_BEFORE 0  // to 2
#define PORTOLAN_CHAIN_OURS 3
#define PORTOLAN_CHAIN_AFTER 4  // to 7
#define PORTOLAN_CHAIN_SLOTS 8

// ---- map "answers": PERCPU_ARRAY, enum portolan_answer -> portolan_counter ----
// What the programs have said, and done, by themselves.

enum portolan_answer {
  PORTOLAN_ANSWER_ARP = 0,
  PORTOLAN_ANSWER_ND = 1,
  PORTOLAN_ANSWER_ECHO = 2,
  PORTOLAN_ANSWER_REFUSAL = 3,
  PORTOLAN_ANSWER_TOO_BIG = 4,
  PORTOLAN_ANSWER_OPENED = 5,  // packets taken out of a tunnel
  PORTOLAN_ANSWERS = 6,
};

// ---- map "events": RINGBUF of portolan_event ----
// What happened to packets of traced frontends, and to a sample of what was dropped.

enum portolan_event_kind {
  PORTOLAN_EVENT_NEW = 0,      // a flow began
  PORTOLAN_EVENT_CARRIED = 1,  // a packet of a known flow
  PORTOLAN_EVENT_DROP = 2,
};

struct portolan_event {
  __u64 time_ns;    // CLOCK_MONOTONIC
  __be32 saddr[4];  // as the packet came
  __be32 daddr[4];
  __be16 sport;
  __be16 dport;
  __u8 protocol;
  __u8 family;     // PORTOLAN_FAMILY_*
  __u8 kind;       // enum portolan_event_kind
  __u8 reason;     // enum portolan_drop, of a drop
  __u32 frontend;  // id, or 0
  __u32 backend;   // id, or 0
  __u32 length;
  __u32 ifindex;
};
PORTOLAN_STATIC_ASSERT(sizeof(struct portolan_event) == 64, "map layout");

#define PORTOLAN_EVENT_BYTES (1 << 20)
