// What a program knows of the packet in its hands. Too large for the stack, so it stands in a map:
// one for each CPU, on which no two packets are handled at a time.
#pragma once

#include "bpf/lib/flow.h"
#include "bpf/lib/packet.h"

enum delivery {
  DELIVER_TRANSLATED,  // with other addresses and ports
  DELIVER_ON_LINK,     // unchanged, to the neighbour `daddr`
  DELIVER_TUNNEL,      // unchanged, in a packet from `saddr` to `daddr`
};

struct rewrite {
  __be32 saddr[4];  // IPv4: word 0
  __be32 daddr[4];
  __be16 sport;
  __be16 dport;
  __u8 delivery;  // enum delivery
  bool outer_v6;  // of a tunnel
  bool snat;      // the source is this node: the kernel would take the packet for a martian
  bool reverse;   // backend to client
};

// How a packet came.
struct arrival {
  __u32 ifindex;
  __u32 length;     // of the frame, for counters
  __u32 l3_length;  // of the packet, or of the longest one that this one will be cut into
  bool tagged;      // XDP: behind a VLAN tag
};

struct route {
  struct bpf_fib_lookup fib;  // filled when `sends`; `tot_len` when it is too big
  bool sends;                 // else the kernel routes
};

// What is asked for on the way to a new flow, one after the other.
struct lookup_keys {
  struct portolan_source_key source;
  struct portolan_affinity_key client;
  struct portolan_affinity remembered;
  struct portolan_address_key address;
  struct portolan_fragment_key fragment;  // its reserved octets stay 0
  struct portolan_service_drop_key drop;
  struct portolan_counter dropped;
};

#define QUOTED_L4 8

// What a sender is told: an ICMP error about its packet.
struct error_message {
  struct icmphdr icmp;
  __u8 quote[IPV6_HEADER + MOST_EXTENSION_OCTETS + QUOTED_L4];
};

struct scratch {
  struct packet packet;
  struct arrival arrival;
  struct rewrite rewrite;
  struct route route;
  struct flow_work work;
  struct lookup_keys keys;
  struct error_message message;
  __u32 frontend;      // that the packet's flow belongs to, or would; 0: none that is known
  __u32 backend;       // of the flow
  __u32 hash;          // of a new flow
  __u32 client_group;  // of a new flow, where its client's next one goes the same way; else 0
  __u8 reason;         // enum portolan_drop, of what is dropped
  bool begins;         // the flow is new
  bool traced;         // to be told of
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratch SEC(".maps");

// Between stages: what the one has found out is read from the scratch by the next, instead of being
// carried along on the stack, which is short and has to be written too.
// `result` is what the stage says: kept as the number that it is, not as an answer to each question
// that will be asked about it.
#define STAGE_ENDS(result) asm volatile("" : "+r"(result)::"memory")

static __always_inline struct scratch* get_scratch(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&scratch, &zero);
}
