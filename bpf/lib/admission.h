// Who may come to a frontend, and which backend a client has had: source ranges and session
// affinity. Both belong to the frontend's group, which is the same for all addresses of a port.
#pragma once

#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"

static __always_inline bool source_allowed(const union flow_key* key, __u32 group, const bool v6) {
  struct portolan_source_key source = {.group = group};
  if (v6) {
    source.prefix_length = PORTOLAN_SOURCE_FIXED_BITS + 128;
    source.family = PORTOLAN_FAMILY_IPV6;
    __builtin_memcpy(source.address, key->v6.saddr, sizeof(source.address));
  } else {
    source.prefix_length = PORTOLAN_SOURCE_FIXED_BITS + 32;
    source.family = PORTOLAN_FAMILY_IPV4;
    source.address[0] = key->v4.saddr;
  }
  const struct portolan_source* found = bpf_map_lookup_elem(&sources, &source);
  return found && found->allowed;
}

static __always_inline void affinity_key_of(const union flow_key* key, __u32 group,
                                            struct portolan_affinity_key* out, const bool v6) {
  out->group = group;
  if (v6) {
    __builtin_memcpy(out->client, key->v6.saddr, sizeof(out->client));
  } else {
    out->client[0] = key->v4.saddr;
  }
}

// The backend of the client's latest flow; 0 when that is too long ago, the backend is gone or it
// takes no new flows.
static __always_inline __u32 known_backend(const union flow_key* key,
                                           const struct portolan_frontend* frontend,
                                           const struct portolan_settings* settings, __u32 now,
                                           const bool v6) {
  const __u64 limit = (__u64)frontend->affinity_s * settings->ticks_per_256s >> 8;
  struct portolan_affinity_key client = {};
  affinity_key_of(key, frontend->group, &client, v6);
  const struct portolan_affinity* known = bpf_map_lookup_elem(&affinity, &client);
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
static __always_inline void remember_backend(const union flow_key* key, __u32 group, __u32 backend,
                                             __u32 epoch, __u32 now, const bool v6) {
  struct portolan_affinity_key client = {};
  affinity_key_of(key, group, &client, v6);
  const struct portolan_affinity value = {backend, epoch, now};
  bpf_map_update_elem(&affinity, &client, &value, BPF_ANY);
}
