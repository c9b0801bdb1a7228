// Answers of the kernel's routes, kept by each CPU for 16 jiffies (4 to 160 ms): to ask costs as
// much as all the rest. Not kept at all while there are policy rules, which may look at more than
// the addresses (the loader says so in the settings).
//
// Towards a backend the clients are put into 16 classes, and the routes are asked for a class: so
// there are few answers, and where a route has several paths, a flow's stays the same.
#pragma once

#include "bpf/lib/maps.h"
#include "bpf/lib/scratch.h"

#define WAYS 512
#define WAY_JIFFIES 16
#define CLIENT_CLASSES 16

struct way {
  __u32 from;   // ifindex where the packet came in; 0: nothing is kept here
  __u32 since;  // jiffies
  __s32 answer;
  struct bpf_fib_lookup asked;
  struct bpf_fib_lookup fib;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, WAYS);
  __type(key, __u32);
  __type(value, struct way);
} ways SEC(".maps");

static __always_inline bool same_question(const struct bpf_fib_lookup* a,
                                          const struct bpf_fib_lookup* b) {
  if (a->family != b->family || a->src[0] != b->src[0] || a->dst[0] != b->dst[0]) return false;
  if (a->family == AF_INET) return true;
  return a->src[1] == b->src[1] && a->src[2] == b->src[2] && a->src[3] == b->src[3] &&
         same_address(a->dst, b->dst);
}

static __always_inline __u32 way_slot(const struct bpf_fib_lookup* fib) {
  __u32 mixed = fib->dst[0] ^ (fib->src[0] * 0x85ebca6bu);
  if (fib->family != AF_INET) mixed ^= fib->dst[3] ^ fib->dst[2] * 0x27d4eb2fu ^ fib->src[3];
  return (mixed * 0x9e3779b1u) >> 23;
}
_Static_assert(WAYS == 1 << (32 - 23), "slots");

static __always_inline __u32 client_class(__be32 address) { return (address * 0x9e3779b1u) >> 28; }
_Static_assert(CLIENT_CLASSES == 1 << (32 - 28), "classes");

// Asks for `fib`, whose answer is written over it, `tot_len` included: what the way can carry.
static __always_inline long ask_routes(context_t* context, struct bpf_fib_lookup* fib, bool keep) {
  __u32 slot = way_slot(fib);
  struct way* way = keep ? bpf_map_lookup_elem(&ways, &slot) : NULL;
  if (!way) return bpf_fib_lookup(context, fib, sizeof(*fib), 0);
  const __u32 now = bpf_jiffies64();
  if (way->from == fib->ifindex && (__u32)(now - way->since) < WAY_JIFFIES &&
      same_question(&way->asked, fib)) {
    fib->family = way->fib.family;
    fib->tot_len = way->fib.tot_len;
    fib->ifindex = way->fib.ifindex;
    __builtin_memcpy(fib->dst, way->fib.dst, sizeof(fib->dst));
    __builtin_memcpy(fib->smac, way->fib.smac, sizeof(fib->smac) + sizeof(fib->dmac));
    return way->answer;
  }
  way->from = fib->ifindex;
  way->since = now;
  __builtin_memcpy(&way->asked, fib, sizeof(*fib));
  const long answer = bpf_fib_lookup(context, fib, sizeof(*fib), 0);
  way->answer = answer;
  __builtin_memcpy(&way->fib, fib, sizeof(*fib));
  return answer;
}
