// Fragments follow the first one, which alone has the ports: they are kept for as long as a
// receiver would wait for the rest (RFC 791, RFC 8200: up to a minute). The first fragment must
// come first; those before it are as good as lost.
#pragma once

#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"

#define FRAGMENT_TICKS 30

static __always_inline struct portolan_fragment_key* fragment_key_of(struct scratch* know,
                                                                     const bool v6) {
  const union flow_key* key = &know->packet.key;
  struct portolan_fragment_key* out = &know->keys.fragment;
  put_address(out->saddr, key->v6.saddr, key->v4.saddr, v6);
  put_address(out->daddr, key->v6.daddr, key->v4.daddr, v6);
  out->protocol = v6 ? key->v6.protocol : key->v4.protocol;
  out->family = v6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  out->id = know->packet.fragment_id;
  return out;
}

// After the first fragment was carried. Without room the later ones are dropped.
static __always_inline void remember_ports(struct scratch* know, __u32 now, const bool v6) {
  const union flow_key* key = &know->packet.key;
  const struct portolan_fragment ports = {
      .sport = v6 ? key->v6.sport : key->v4.sport,
      .dport = v6 ? key->v6.dport : key->v4.dport,
      .last = now,
  };
  bpf_map_update_elem(&fragments, fragment_key_of(know, v6), &ports, BPF_ANY);
}

// Completes the key of a later fragment. False: its first one is not known.
static __always_inline bool recall_ports(struct scratch* know, __u32 now, const bool v6) {
  const struct portolan_fragment* ports =
      bpf_map_lookup_elem(&fragments, fragment_key_of(know, v6));
  if (!ports || (__u32)(now - ports->last) > FRAGMENT_TICKS) return false;
  union flow_key* key = &know->packet.key;
  if (v6) {
    key->v6.sport = ports->sport;
    key->v6.dport = ports->dport;
  } else {
    key->v4.sport = ports->sport;
    key->v4.dport = ports->dport;
  }
  return true;
}
