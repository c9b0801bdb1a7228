// Other people's XDP programs, for chain_test: one that knows of the chain and stands before ours,
// one that was written for itself and stands behind.
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/kernel_types.h"
// Needs the types of kernel_types.h.
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/lib/chain.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} seen SEC(".maps");

static __always_inline void see(__u32 index) {
  __u64* count = bpf_map_lookup_elem(&seen, &index);
  if (count) *count += 1;
}

// In slot 0: an ICMP packet of IPv4 goes no further.
SEC("xdp")
int beside_before(struct xdp_md* context) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  const struct iphdr* ip = data + 14;
  see(0);
  if ((void*)(ip + 1) <= end && *(__be16*)(data + 12) == bpf_htons(ETH_P_IP) &&
      ip->protocol == IPPROTO_ICMP) {
    return XDP_DROP;
  }
  bpf_tail_call_static(context, &xdp_chain, 1);
  bpf_tail_call_static(context, &xdp_chain, 2);
  bpf_tail_call_static(context, &xdp_chain, 3);
  return XDP_PASS;
}

// Drops what it sees.
SEC("xdp")
int beside_after(struct xdp_md* context) {
  (void)context;
  see(1);
  return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
