// How a packet leaves this node: by the kernel's routes and neighbours, asked before anything is
// remembered of the packet, so that a program that cannot send it leaves no trace.
//
// XDP sends only to interfaces whose driver takes frames from XDP and only to neighbours that the
// kernel knows; everything else is left to tc, or rewritten and routed by the kernel.
#pragma once

#include "bpf/lib/counters.h"
#include "bpf/lib/events.h"
#include "bpf/lib/flow.h"
#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"
#include "bpf/lib/ways.h"

enum verdict {
  VERDICT_PASS,     // not ours
  VERDICT_REWRITE,  // ours: rewrite as told, and send it when it has a route
  VERDICT_LEAVE,    // ours, but only the tc program can do it; nothing was changed
  VERDICT_DROP,     // ours, and cannot be served, for the reason in the scratch
  VERDICT_REFUSE,   // the same, and the sender is to be told
  VERDICT_TOO_BIG,  // the same, and the sender is to be told the length that would go
  VERDICT_ECHO,     // ours: to be answered
  VERDICT_KNOWN,    // of a flow that is there already
};

// Counted at the end of the decision, when it is the last word.
static __always_inline enum verdict drop_as(struct scratch* know, enum portolan_drop reason) {
  know->reason = reason;
  return VERDICT_DROP;
}

// NULL: nothing is known of it.
static __always_inline const struct portolan_interface* find_interface(__u32 ifindex) {
  __u32 slot = portolan_interface_slot(ifindex);
  const struct portolan_interface* interface = bpf_map_lookup_elem(&interfaces, &slot);
  return interface && interface->ifindex == ifindex ? interface : NULL;
}

static __always_inline bool is_target(__u32 ifindex) {
  const struct portolan_interface* interface = find_interface(ifindex);
  return interface && (interface->flags & PORTOLAN_INTERFACE_TARGET);
}

static __always_inline __u32 outer_length(const struct rewrite* rewrite) {
  if (rewrite->delivery != DELIVER_TUNNEL) return 0;
  return rewrite->outer_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

// The kernel splits what may be split if it can have the packet; others' senders are told.
static __always_inline enum verdict too_big(struct scratch* know, bool must_send) {
  if (!IS_TC) return VERDICT_LEAVE;
  const bool may_be_split = know->packet.may_be_split;
  if (may_be_split && !must_send) return VERDICT_REWRITE;
  const enum verdict drop = drop_as(know, PORTOLAN_DROP_TOO_BIG);
  return may_be_split && know->rewrite.delivery != DELIVER_TUNNEL ? drop : VERDICT_TOO_BIG;
}

// With `keep` the question is one for many packets: without ports, and for a class of clients.
static __always_inline void fill_lookup(struct scratch* know, bool keep, const bool v6) {
  const struct rewrite* rewrite = &know->rewrite;
  struct bpf_fib_lookup* fib = &know->route.fib;
  const bool translated = rewrite->delivery == DELIVER_TRANSLATED;
  const bool outer_v6 = rewrite->delivery == DELIVER_TUNNEL ? rewrite->outer_v6 : v6;
  fib->family = outer_v6 ? AF_INET6 : AF_INET;
  fib->l4_protocol = know->packet.protocol;
  fib->tot_len = 1;  // so that the kernel says what the way can carry
  fib->ifindex = know->arrival.ifindex;
  fib->tos_or_flowinfo = 0;
  fib->sport = translated && !keep ? rewrite->sport : 0;
  fib->dport = translated && !keep ? rewrite->dport : 0;
  if (outer_v6) {
    __builtin_memcpy(fib->src, rewrite->saddr, sizeof(fib->src));
    __builtin_memcpy(fib->dst, rewrite->daddr, sizeof(fib->dst));
  } else {
    fib->src[0] = rewrite->saddr[0];
    fib->dst[0] = rewrite->daddr[0];
  }
  if (!keep || !translated || rewrite->snat || rewrite->reverse) return;
  fib->src[0] =
      bpf_htonl(1 + client_class(v6 ? rewrite->saddr[3] ^ rewrite->saddr[1] : rewrite->saddr[0]));
  if (v6) fib->src[1] = fib->src[2] = fib->src[3] = 0;
}

static __always_inline bool is_neighbour(const struct scratch* know, const bool v6) {
  const struct bpf_fib_lookup* fib = &know->route.fib;
  if (v6) return same_address(fib->dst, know->rewrite.daddr);
  return fib->family == AF_INET && fib->dst[0] == know->rewrite.daddr[0];
}

// REWRITE: go on, with or without a route. Everything else is the packet's fate.
static __always_inline enum verdict find_way(context_t* context, struct scratch* know,
                                             const struct portolan_settings* settings,
                                             const bool v6) {
  const struct rewrite* rewrite = &know->rewrite;
  const struct arrival* in = &know->arrival;
  const bool must_send = rewrite->snat || rewrite->delivery != DELIVER_TRANSLATED;
  know->route.sends = false;
  // The kernel says "time exceeded".
  if (know->packet.ttl <= 1) return must_send ? VERDICT_PASS : VERDICT_REWRITE;
  if (!IS_TC && in->tagged) return must_send ? VERDICT_LEAVE : VERDICT_REWRITE;
  const bool keep = settings->flags & PORTOLAN_SETTING_KEEP_ROUTES;
  fill_lookup(know, keep, v6);
  struct bpf_fib_lookup* fib = &know->route.fib;
  const __u32 length = in->l3_length + outer_length(rewrite);
  long answer = ask_routes(context, fib, keep);
  if (IS_TC && answer == BPF_FIB_LKUP_RET_NO_NEIGH) {
    // The kernel says what fits only with a neighbour, but not when it does not fit.
    fill_lookup(know, false, v6);
    fib->tot_len = length;
    answer = bpf_fib_lookup(context, fib, sizeof(*fib), 0);
  }
  const bool fits = answer != BPF_FIB_LKUP_RET_SUCCESS || length <= fib->tot_len;
  if (answer == BPF_FIB_LKUP_RET_FRAG_NEEDED || !fits) return too_big(know, must_send);
  if (answer != BPF_FIB_LKUP_RET_SUCCESS && !(IS_TC && answer == BPF_FIB_LKUP_RET_NO_NEIGH)) {
    if (!must_send) return VERDICT_REWRITE;
    return IS_TC ? drop_as(know, PORTOLAN_DROP_NO_ROUTE) : VERDICT_LEAVE;
  }
  if (rewrite->delivery == DELIVER_ON_LINK && !is_neighbour(know, v6)) {
    return IS_TC ? drop_as(know, PORTOLAN_DROP_NOT_ON_LINK) : VERDICT_LEAVE;
  }
  if (!IS_TC && !is_target(fib->ifindex)) return must_send ? VERDICT_LEAVE : VERDICT_REWRITE;
  know->route.sends = true;
  return VERDICT_REWRITE;
}
