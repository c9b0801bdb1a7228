// Where the IP header of an Ethernet frame begins, behind up to two VLAN tags (IEEE 802.1Q,
// 802.1ad) that stand in the frame. Only for XDP: the kernel takes the tag out before tc.
#pragma once

#include <bpf/bpf_endian.h>

#include "bpf/lib/kernel_types.h"
#include "bpf/lib/packet.h"

#define VLAN_TAGS 2

struct vlanhdr {
  __be16 tci;
  __be16 protocol;
};

struct frame {
  __u32 l3_offset;
  __be16 protocol;  // ethertype behind the tags
};

static __always_inline bool is_vlan(__be16 protocol) {
  return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

// False: shorter than it says.
static __always_inline bool parse_frame(void* data, void* end, struct frame* frame) {
  struct ethhdr* ethernet = data;
  if ((void*)(ethernet + 1) > end) return false;
  frame->l3_offset = ETH_LEN;
  frame->protocol = ethernet->h_proto;
#pragma unroll
  for (int i = 0; i < VLAN_TAGS; i++) {
    if (!is_vlan(frame->protocol)) break;
    struct vlanhdr* tag = data + ETH_LEN + i * sizeof(*tag);
    if ((void*)(tag + 1) > end) return false;
    frame->protocol = tag->protocol;
    frame->l3_offset += sizeof(*tag);
  }
  return true;
}
