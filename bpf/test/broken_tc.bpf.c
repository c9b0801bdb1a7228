// A tc program that loads and drops everything: what a self-test must find out.
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/kernel_types.h"
#include "bpf/lib/maps.h"

const volatile __u64 l4_csum_ipv6_flag = 0;

SEC("tc")
int portolan_lb_tc(struct __sk_buff* skb) {
  return l4_csum_ipv6_flag == skb->len ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
