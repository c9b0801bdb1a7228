// The decision, shared by the XDP and the tc program: what a parsed packet becomes.
//
// Order: the address filter (most packets end here), the flow table (both directions), and for
// packets of no known flow the frontends and the Maglev table. What is for an address that has a
// frontend goes to a backend, or nowhere: the kernel would route it, and perhaps back to where it
// came from. Everything else is passed. No packet is touched here.
#pragma once

#include "bpf/lib/admission.h"
#include "bpf/lib/counters.h"
#include "bpf/lib/flow.h"
#include "bpf/lib/fragments.h"
#include "bpf/lib/maglev.h"
#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"

enum verdict {
  VERDICT_PASS,     // not ours
  VERDICT_REWRITE,  // ours: rewrite as told
  VERDICT_LEAVE,    // ours, but only the tc program can do it; nothing was changed
  VERDICT_DROP,     // ours, and cannot be served; counted
  VERDICT_REFUSE,   // the same, and the sender is to be told
  VERDICT_ECHO,     // ours: to be answered
};

struct rewrite {
  __be32 saddr[4];  // IPv4: word 0
  __be32 daddr[4];
  __be16 sport;
  __be16 dport;
  bool snat;     // the source is this node: the kernel would take the packet for a martian
  bool reverse;  // backend to client
};

#define PORT_TRIES 16
#define EEXIST 17

// May this packet concern us at all? No false negatives.
static __always_inline bool is_candidate(const union flow_key* key, const bool v6) {
  __u32 zero = 0;
  struct portolan_address_filter* filter = bpf_map_lookup_elem(&address_filter, &zero);
  if (!filter) return false;
  __u32 to = v6 ? portolan_filter_index6(key->v6.daddr) : portolan_filter_index4(key->v4.daddr);
  if (filter->bits[to & 0xffff] & PORTOLAN_FILTER_FRONTEND) return true;
  __u32 from = v6 ? portolan_filter_index6(key->v6.saddr) : portolan_filter_index4(key->v4.saddr);
  return filter->bits[from & 0xffff] & PORTOLAN_FILTER_BACKEND;
}

static __always_inline void fill_rewrite(const union flow_value* value, struct rewrite* out,
                                         const bool v6) {
  if (v6) {
    __builtin_memcpy(out->saddr, value->v6.saddr, sizeof(out->saddr));
    __builtin_memcpy(out->daddr, value->v6.daddr, sizeof(out->daddr));
  } else {
    out->saddr[0] = value->v4.saddr;
    out->daddr[0] = value->v4.daddr;
  }
  out->sport = value->flow.sport;
  out->dport = value->flow.dport;
  out->snat = value->flow.flags & PORTOLAN_FLOW_SNAT;
  out->reverse = value->flow.flags & PORTOLAN_FLOW_REVERSE;
}

// Writes the reverse entry under a source port that nobody else uses towards this backend, and
// sets that port in `value`. The client's own port is the first choice unless the address changes.
static __always_inline int claim_reverse(const union flow_key* key, union flow_value* value,
                                         const struct portolan_settings* settings, __u32 hash,
                                         __u32 now, const bool v6) {
  const bool snat = value->flow.flags & PORTOLAN_FLOW_SNAT;
  const __u8 protocol = v6 ? key->v6.protocol : key->v4.protocol;
  const __u32 count = settings->port_count;
  for (__u32 i = 0; i < PORT_TRIES; i++) {
    if (snat || i > 0) {
      if (count == 0) break;
      value->flow.sport = bpf_htons(settings->port_first + (hash + i) % count);
    }
    union flow_key reverse_key;
    union flow_value reverse;
    peer_key(key, value, &reverse_key, v6);
    peer_value(key, value, &reverse, v6);
    long error = bpf_map_update_elem(flow_map(v6), &reverse_key, &reverse, BPF_NOEXIST);
    if (error == -EEXIST) {
      union flow_value* found = bpf_map_lookup_elem(flow_map(v6), &reverse_key);
      if (found && !is_peer(found, key, v6) && living_flow(&found->flow, protocol, settings, now)) {
        continue;
      }
      error = bpf_map_update_elem(flow_map(v6), &reverse_key, &reverse, BPF_ANY);
    }
    return error ? PORTOLAN_DROP_NO_MEMORY : -1;
  }
  return PORTOLAN_DROP_NO_PORT;
}

// The first two fields of a backend, which change together when it is retired: read as one word, so
// that an epoch is never taken together with another life's flags.
struct backend_life {
  __u16 epoch;
  __u16 flags;
};

static __always_inline struct backend_life life_of(const struct portolan_backend* backend) {
  union {
    __u32 word;
    struct backend_life life;
  } both;
  both.word = *(const volatile __u32*)backend;
  return both.life;
}

// The entry of a new flow to `backend`, but for its source port.
static __always_inline void new_flow(const union flow_key* key,
                                     const struct portolan_frontend* frontend,
                                     const struct portolan_backend* backend,
                                     struct backend_life life, __u32 backend_id, __u32 now,
                                     union flow_value* value, const bool v6) {
  const bool snat = life.flags & PORTOLAN_BACKEND_SNAT;
  value->flow.frontend = frontend->id;
  value->flow.backend = backend_id;
  value->flow.frontend_epoch = frontend->epoch;
  value->flow.backend_epoch = life.epoch;
  value->flow.last = now;
  value->flow.flags = snat ? PORTOLAN_FLOW_SNAT : 0;
  value->flow.dport = backend->port;
  if (v6) {
    value->flow.sport = key->v6.sport;
    __builtin_memcpy(value->v6.saddr, snat ? backend->source : key->v6.saddr,
                     sizeof(value->v6.saddr));
    __builtin_memcpy(value->v6.daddr, backend->address, sizeof(value->v6.daddr));
  } else {
    value->flow.sport = key->v4.sport;
    value->v4.saddr = snat ? backend->source[0] : key->v4.saddr;
    value->v4.daddr = backend->address[0];
  }
}

static __always_inline struct portolan_frontend* find_frontend(const union flow_key* key,
                                                               const bool v6) {
  struct portolan_frontend_key frontend = {};
  if (v6) {
    __builtin_memcpy(frontend.address, key->v6.daddr, sizeof(frontend.address));
    frontend.port = key->v6.dport;
    frontend.protocol = key->v6.protocol;
    frontend.family = PORTOLAN_FAMILY_IPV6;
  } else {
    frontend.address[0] = key->v4.daddr;
    frontend.port = key->v4.dport;
    frontend.protocol = key->v4.protocol;
    frontend.family = PORTOLAN_FAMILY_IPV4;
  }
  return bpf_map_lookup_elem(&frontends, &frontend);
}

// Does a frontend live at the address that the packet is for?
static __always_inline bool is_owned(const union flow_key* key, const bool v6) {
  struct portolan_address_key address = {};
  if (v6) {
    __builtin_memcpy(address.address, key->v6.daddr, sizeof(address.address));
    address.family = PORTOLAN_FAMILY_IPV6;
  } else {
    address.address[0] = key->v4.daddr;
    address.family = PORTOLAN_FAMILY_IPV4;
  }
  return bpf_map_lookup_elem(&addresses, &address) != NULL;
}

static __always_inline enum verdict drop_as(enum portolan_drop reason, __u32 length) {
  count_drop(reason, length);
  return VERDICT_DROP;
}

// The end of a packet that nothing serves: passed when it is for somebody else.
static __always_inline enum verdict unserved(const struct packet* packet, enum packet_kind kind,
                                             __u32 length, const struct portolan_settings* settings,
                                             enum portolan_drop reason, const bool v6,
                                             const bool can_send) {
  if (!is_owned(&packet->key, v6)) return VERDICT_PASS;
  if (kind == PACKET_ECHO && (settings->flags & PORTOLAN_SETTING_ECHO)) {
    return can_send ? VERDICT_ECHO : VERDICT_LEAVE;
  }
  const bool tell = kind == PACKET_FLOW && (settings->flags & PORTOLAN_SETTING_REFUSE);
  if (tell && !can_send) return VERDICT_LEAVE;
  count_drop(reason, length);
  return tell ? VERDICT_REFUSE : VERDICT_DROP;
}

// Id of the backend for a new flow, or 0.
static __always_inline __u32 choose_backend(const union flow_key* key,
                                            const struct portolan_frontend* frontend,
                                            const struct portolan_settings* settings, __u32 hash,
                                            __u32 now, const bool v6) {
  if (frontend->table_size == 0) return 0;
  if (frontend->affinity_s != 0) {
    const __u32 known = known_backend(key, frontend, settings, now, v6);
    if (known != 0) return known;
  }
  return maglev_lookup(frontend, hash);
}

static __always_inline enum verdict start_flow(const struct packet* packet, __u32 length,
                                               const struct portolan_settings* settings, __u32 now,
                                               struct rewrite* out, const bool v6,
                                               const bool can_send) {
  const union flow_key* key = &packet->key;
  struct portolan_frontend* frontend = find_frontend(key, v6);
  if (!frontend) {
    return unserved(packet, PACKET_FLOW, length, settings, PORTOLAN_DROP_UNSERVED, v6, can_send);
  }
  if ((frontend->flags & PORTOLAN_FRONTEND_SOURCES) && !source_allowed(key, frontend->group, v6)) {
    return drop_as(PORTOLAN_DROP_SOURCE, length);
  }
  const __u32 hash = flow_hash(key, settings->hash_seed, v6);
  __u32 id = choose_backend(key, frontend, settings, hash, now, v6);
  struct portolan_backend* backend = id == 0 ? NULL : bpf_map_lookup_elem(&backends, &id);
  struct backend_life life = {};
  if (backend) life = life_of(backend);
  if (!backend || !(life.flags & PORTOLAN_BACKEND_ALIVE)) {
    return unserved(packet, PACKET_FLOW, length, settings, PORTOLAN_DROP_NO_BACKEND, v6, can_send);
  }
  if ((life.flags & PORTOLAN_BACKEND_SNAT) && !can_send) return VERDICT_LEAVE;

  union flow_value value;
  new_flow(key, frontend, backend, life, id, now, &value, v6);
  if (packet->tcp_flags & TCP_FIN) value.flow.flags |= PORTOLAN_FLOW_FIN_FORWARD;
  if (packet->tcp_flags & TCP_RST) value.flow.flags |= PORTOLAN_FLOW_RST;
  int drop = claim_reverse(key, &value, settings, hash, now, v6);
  if (drop < 0 && bpf_map_update_elem(flow_map(v6), key, &value, BPF_ANY)) {
    drop = PORTOLAN_DROP_NO_MEMORY;
  }
  if (drop >= 0) return drop_as(drop, length);
  if (frontend->affinity_s != 0) remember_backend(key, frontend->group, id, life.epoch, now, v6);
  count_frontend(value.flow.frontend, length);
  fill_rewrite(&value, out, v6);
  return VERDICT_REWRITE;
}

// A packet of a living flow. VERDICT_PASS: it is none after all.
static __always_inline enum verdict carry(const struct packet* packet, __u32 length,
                                          union flow_value* value,
                                          const struct portolan_frontend_info* frontend, __u32 now,
                                          struct rewrite* out, const bool v6, const bool can_send) {
  const union flow_key* key = &packet->key;
  __u32 flags = value->flow.flags;
  const bool reverse = flags & PORTOLAN_FLOW_REVERSE;
  const bool opens = (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
  if (opens && !reverse && (flags & FLOW_CLOSING)) return VERDICT_PASS;
  if ((flags & PORTOLAN_FLOW_SNAT) && !can_send) return VERDICT_LEAVE;
  if (!reverse && (frontend->flags & PORTOLAN_FRONTEND_SOURCES) &&
      !source_allowed(key, frontend->group, v6)) {
    return drop_as(PORTOLAN_DROP_SOURCE, length);
  }
  if (packet->tcp_flags & TCP_FIN) {
    flags |= reverse ? PORTOLAN_FLOW_FIN_REVERSE : PORTOLAN_FLOW_FIN_FORWARD;
  }
  if (packet->tcp_flags & TCP_RST) flags |= PORTOLAN_FLOW_RST;
  if (!refresh_flow(key, value, flags, now, v6)) return VERDICT_PASS;
  if (!reverse) count_frontend(value->flow.frontend, length);
  fill_rewrite(value, out, v6);
  return VERDICT_REWRITE;
}

// `can_send`: the caller can send packets itself: those whose source becomes this node, and
// answers. When it cannot, such packets are left alone, without any trace in the maps.
static __always_inline enum verdict decide(struct packet* packet, enum packet_kind kind,
                                           __u32 length, struct rewrite* out, const bool v6,
                                           const bool can_send) {
  __u32 zero = 0;
  struct portolan_settings* settings = bpf_map_lookup_elem(&settings_map, &zero);
  if (!settings) return VERDICT_PASS;
  const __u32 now = current_tick(settings);
  if (kind == PACKET_ECHO || kind == PACKET_OTHER) {
    return unserved(packet, kind, length, settings, PORTOLAN_DROP_UNSERVED, v6, can_send);
  }
  const bool later = kind == PACKET_LATER;
  if (later && !recall_ports(packet, now, v6)) {
    // The first one may be on its way from one program to the other.
    if (!can_send) return VERDICT_LEAVE;
    return unserved(packet, kind, length, settings, PORTOLAN_DROP_FRAGMENT, v6, can_send);
  }
  const union flow_key* key = &packet->key;
  const __u8 protocol = v6 ? key->v6.protocol : key->v4.protocol;
  union flow_value* value = bpf_map_lookup_elem(flow_map(v6), key);
  const struct portolan_frontend_info* frontend =
      value ? living_flow(&value->flow, protocol, settings, now) : NULL;
  if (kind == PACKET_ERROR) {
    if (!frontend) {
      return unserved(packet, kind, length, settings, PORTOLAN_DROP_STRAY, v6, can_send);
    }
    // What anybody can send keeps no flow alive and is not counted.
    fill_rewrite(value, out, v6);
    return out->snat && !can_send ? VERDICT_LEAVE : VERDICT_REWRITE;
  }
  enum verdict verdict = VERDICT_PASS;
  if (frontend) verdict = carry(packet, length, value, frontend, now, out, v6, can_send);
  if (verdict == VERDICT_PASS) {
    verdict = later ? unserved(packet, kind, length, settings, PORTOLAN_DROP_FRAGMENT, v6, can_send)
                    : start_flow(packet, length, settings, now, out, v6, can_send);
  }
  if (verdict == VERDICT_REWRITE && packet->is_fragment && !later) {
    remember_ports(packet, now, v6);
  }
  return verdict;
}
