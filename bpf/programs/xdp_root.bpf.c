// Stands on an interface in the place of lb_xdp where other people's XDP programs live beside it:
// goes on with the first slot of map "xdp_chain" that is filled. Knows nothing of packets.
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/kernel_types.h"

#include "bpf/lib/chain.h"

SEC("xdp")
int portolan_xdp_root(struct xdp_md* context) {
  go_on_from_the_beginning(context);
  return XDP_PASS;  // nobody there
}

char _license[] SEC("license") = "Dual BSD/GPL";
