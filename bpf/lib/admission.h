// Who may come to a frontend, and which backend a client has had: source ranges and session
// affinity. Both belong to the frontend's group, which is the same for all addresses of a port.
#pragma once

#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"

static __always_inline bool source_allowed(struct scratch* know, __u32 group, const bool v6) {
  const union flow_key* key = &know->packet.key;
  struct portolan_source_key* source = &know->keys.source;
  source->prefix_length = PORTOLAN_SOURCE_FIXED_BITS + (v6 ? 128 : 32);
  source->group = group;
  source->family = v6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  put_address(source->address, key->v6.saddr, key->v4.saddr, v6);
  const struct portolan_source* found = bpf_map_lookup_elem(&sources, source);
  return found && found->allowed;
}

static __always_inline struct portolan_affinity_key* affinity_key_of(struct scratch* know,
                                                                     __u32 group, const bool v6) {
  const union flow_key* key = &know->packet.key;
  know->keys.client.group = group;
  put_address(know->keys.client.client, key->v6.saddr, key->v4.saddr, v6);
  return &know->keys.client;
}

// The backend of the client's latest flow; 0 when that is too long ago, the backend is gone or it
// takes no new flows.
static __always_inline __u32 known_backend(struct scratch* know,
                                           const struct portolan_frontend* frontend,
                                           const struct portolan_settings* settings, __u32 now,
                                           const bool v6) {
  const __u64 limit = (__u64)frontend->affinity_s * settings->ticks_per_256s >> 8;
  const struct portolan_affinity_key* client = affinity_key_of(know, frontend->group, v6);
  const struct portolan_affinity* known = bpf_map_lookup_elem(&affinity, client);
  if (!known || (__u32)(now - known->last) > limit) return 0;
  __u32 id = known->backend;
  const struct portolan_backend* backend = bpf_map_lookup_elem(&backends, &id);
  if (!backend || backend->epoch != known->backend_epoch || backend->group != frontend->group) {
    return 0;
  }
  const __u16 state = backend->flags & (PORTOLAN_BACKEND_ALIVE | PORTOLAN_BACKEND_RESTS);
  return state == PORTOLAN_BACKEND_ALIVE ? id : 0;
}

// When the map has no room the client's next flow chooses anew.
static __always_inline void remember_backend(struct scratch* know, const struct portolan_flow* flow,
                                             const bool v6) {
  struct portolan_affinity* value = &know->keys.remembered;
  value->backend = flow->backend;
  value->backend_epoch = flow->backend_epoch;
  value->last = flow->last;
  bpf_map_update_elem(&affinity, affinity_key_of(know, know->client_group, v6), value, BPF_ANY);
}
