// The chain of XDP programs on an interface: see map "xdp_chain". A slot is named by a constant, so
// that the kernel patches the jump into the program and an empty slot costs next to nothing.
#pragma once

#include "bpf/lib/kernel_types.h"
// Needs the types of kernel_types.h.
#include <bpf/bpf_helpers.h>

#include "bpf/include/datapath_maps.h"

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, PORTOLAN_CHAIN_SLOTS);
  __type(key, __u32);
  __type(value, __u32);
} xdp_chain SEC(".maps");

_Static_assert(PORTOLAN_CHAIN_BEFORE == 0 && PORTOLAN_CHAIN_OURS == 3 &&
                   PORTOLAN_CHAIN_AFTER == 4 && PORTOLAN_CHAIN_SLOTS == 8,
               "the slots below");

// Does not return when one of them is filled.
static __always_inline void go_on_behind_ours(struct xdp_md* context) {
  bpf_tail_call_static(context, &xdp_chain, 4);
  bpf_tail_call_static(context, &xdp_chain, 5);
  bpf_tail_call_static(context, &xdp_chain, 6);
  bpf_tail_call_static(context, &xdp_chain, 7);
}

static __always_inline void go_on_from_the_beginning(struct xdp_md* context) {
  bpf_tail_call_static(context, &xdp_chain, 0);
  bpf_tail_call_static(context, &xdp_chain, 1);
  bpf_tail_call_static(context, &xdp_chain, 2);
  bpf_tail_call_static(context, &xdp_chain, 3);
  go_on_behind_ours(context);
}
