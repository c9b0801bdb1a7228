// Which frontend the packet at hand is for, by its destination, port and protocol; and whether any
// frontend has its destination at all. The key of the first is made in the room for the flow at
// work, which must not be in use: the stack is short.
#pragma once

#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"

static __always_inline struct portolan_frontend* find_frontend(struct scratch* know, bool v6) {
  const union flow_key* key = &know->packet.key;
  struct portolan_frontend_key* frontend = (void*)&know->work.other;
  put_address(frontend->address, key->v6.daddr, key->v4.daddr, v6);
  frontend->port = v6 ? key->v6.dport : key->v4.dport;
  frontend->protocol = v6 ? key->v6.protocol : key->v4.protocol;
  frontend->family = v6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  return bpf_map_lookup_elem(&frontends, frontend);
}

// What is kept for the address that the packet is for; NULL when no frontend lives there.
static __always_inline const struct portolan_address* find_address(struct scratch* know,
                                                                   const bool v6) {
  const union flow_key* key = &know->packet.key;
  struct portolan_address_key* address = &know->keys.address;
  put_address(address->address, key->v6.daddr, key->v4.daddr, v6);
  address->family = v6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  return bpf_map_lookup_elem(&addresses, address);
}
