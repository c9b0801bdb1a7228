// Which frontend the packet at hand is for, by its destination, port and protocol.
// The key is made in the room for the flow at work, which must not be in use: the stack is short.
#pragma once

#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"

static __always_inline struct portolan_frontend* find_frontend(struct scratch* know, bool v6) {
  const union flow_key* key = &know->packet.key;
  struct portolan_frontend_key* frontend = (void*)&know->work.other;
  __builtin_memset(frontend, 0, sizeof(*frontend));
  if (v6) {
    __builtin_memcpy(frontend->address, key->v6.daddr, sizeof(frontend->address));
    frontend->port = key->v6.dport;
    frontend->protocol = key->v6.protocol;
    frontend->family = PORTOLAN_FAMILY_IPV6;
  } else {
    frontend->address[0] = key->v4.daddr;
    frontend->port = key->v4.dport;
    frontend->protocol = key->v4.protocol;
    frontend->family = PORTOLAN_FAMILY_IPV4;
  }
  return bpf_map_lookup_elem(&frontends, frontend);
}
