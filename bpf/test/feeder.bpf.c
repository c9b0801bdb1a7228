// Generators and sinks for figures. A generator is run by BPF_PROG_RUN and fills the frame anew in
// every run, so nothing is ever measured on its own output. It hands the frame to another program
// (feed), or with live frames redirects it out of an interface (send).
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/lib/kernel_types.h"
// Needs the types of kernel_types.h.
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/test/feeder.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct feeder_plan);
} plan SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} fed SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} taken SEC(".maps");

static __always_inline __u16 add_to_sum(__u16 check, __u32 added) {
  __u32 sum = (__u16)~check + added;
  sum = (sum & 0xffff) + (sum >> 16);
  return ~((sum & 0xffff) + (sum >> 16));
}

// NULL: not to be.
static __always_inline struct feeder_plan* fill(struct xdp_md* context) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  __u32 zero = 0;
  struct feeder_plan* todo = bpf_map_lookup_elem(&plan, &zero);
  if (!todo || data + FEEDER_FRAME > end) return NULL;
  __builtin_memcpy(data, todo->frame, FEEDER_FRAME);
  if (todo->flows == 0) return todo;
  const __u32 flow = todo->next & (todo->flows - 1);
  todo->next += todo->stride;
  const __be16 high = bpf_htons(flow >> 14);
  const __be16 low = bpf_htons(1024 + (flow & 0x3fff));
  const bool v6 = *(__be16*)(data + 12) == bpf_htons(ETH_P_IPV6);
  struct tcphdr* tcp = v6 ? data + 54 : data + 34;
  const __u8 protocol = v6 ? *(__u8*)(data + 20) : *(__u8*)(data + 23);
  if (v6) {
    *(__be16*)(data + 36) = high;
  } else {
    struct iphdr* ip = data + 14;
    *((__be16*)&ip->saddr + 1) = high;
    ip->check = add_to_sum(ip->check, high);
  }
  tcp->source = low;
  if (protocol == IPPROTO_TCP) tcp->check = add_to_sum(tcp->check, (__u32)high + low);
  return todo;
}

SEC("xdp")
int feeder_feed(struct xdp_md* context) {
  if (fill(context)) bpf_tail_call(context, &fed, 0);
  return XDP_ABORTED;  // nobody there
}

// What is fed when nothing is: the floor.
SEC("xdp")
int feeder_nothing(struct xdp_md* context) {
  (void)context;
  return XDP_PASS;
}

SEC("xdp")
int feeder_send(struct xdp_md* context) {
  const struct feeder_plan* todo = fill(context);
  return todo ? bpf_redirect(todo->ifindex, 0) : XDP_ABORTED;
}

static __always_inline void take(void) {
  __u32 index = 0;
  __u64* count = bpf_map_lookup_elem(&taken, &index);
  if (count) *count += 1;
}

// Does the frame carry what the generator sends? The rest of the traffic goes on.
static __always_inline bool is_ours(void* data, void* end) {
  const struct iphdr* ip = data + 14;
  if ((void*)(ip + 1) > end || *(__be16*)(data + 12) != bpf_htons(ETH_P_IP)) return false;
  return (ip->saddr & bpf_htonl(0xffff0000)) == bpf_htonl(FEEDER_SOURCE);
}

SEC("xdp")
int feeder_sink_xdp(struct xdp_md* context) {
  if (!is_ours((void*)(long)context->data, (void*)(long)context->data_end)) return XDP_PASS;
  take();
  return XDP_DROP;
}

SEC("tc")
int feeder_sink_tc(struct __sk_buff* skb) {
  if (!is_ours((void*)(long)skb->data, (void*)(long)skb->data_end)) return TC_ACT_OK;
  take();
  return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
