// The flow table: two linked entries per flow, keyed by the 5-tuple as a packet of that direction
// arrives. An entry says what to rewrite to, and by that names the other one; so either half can
// restore the other when the LRU has evicted it. A flow whose answers do not pass here has one.
//
// An entry is dead when its frontend or backend has moved on to another epoch, or when neither
// direction saw a packet for the idle time of its frontend or protocol. Dead entries are left to
// the LRU. The time of the last packet is only written when it is a while ago, because both halves
// share it and the other one is seldom in a cache.
//
// LRU values can be recycled under a reader. What is read from one may then belong to another flow
// for the length of one packet; the kernel offers no remedy short of a lock per packet.
#pragma once

#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"

union flow_value {
  struct portolan_flow flow;  // common beginning
  struct portolan_flow4 v4;
  struct portolan_flow6 v6;
};

// Room for a new flow, and for the other half of one; too large for the stack.
struct flow_work {
  union flow_value value;
  union flow_key other_key;
  union flow_value other;
};

#define FLOW_FIN_BOTH (PORTOLAN_FLOW_FIN_FORWARD | PORTOLAN_FLOW_FIN_REVERSE)
#define FLOW_CLOSING (FLOW_FIN_BOTH | PORTOLAN_FLOW_RST)

static __always_inline void* flow_map(const bool v6) {
  return v6 ? (void*)&flows6 : (void*)&flows4;
}

static __always_inline __u32 current_tick(const struct portolan_settings* settings) {
  return (__u32)(bpf_jiffies64() >> (settings->tick_shift & 31));
}

// What a living flow belongs to.
struct flow_life {
  const struct portolan_frontend_info* frontend;
  struct portolan_backend* backend;
  __u32 refresh;  // the time of the last packet may be so many ticks old
};

#define MAX_REFRESH_TICKS 8

static __always_inline __u32 idle_limit(const struct portolan_flow* flow, __u8 protocol,
                                        const struct portolan_frontend_info* frontend,
                                        const struct portolan_settings* settings) {
  if ((flow->flags & PORTOLAN_FLOW_RST) || (flow->flags & FLOW_FIN_BOTH) == FLOW_FIN_BOTH) {
    return settings->closing_idle;
  }
  if (frontend->idle_s != 0) return (__u64)frontend->idle_s * settings->ticks_per_256s >> 8;
  return protocol == IPPROTO_UDP ? settings->udp_idle : settings->tcp_idle;
}

// False when the flow is dead.
static __always_inline bool living_flow(const struct portolan_flow* flow, __u8 protocol,
                                        const struct portolan_settings* settings, __u32 now,
                                        struct flow_life* life) {
  __u32 id = flow->frontend;
  life->frontend = bpf_map_lookup_elem(&frontend_info, &id);
  if (!life->frontend || life->frontend->epoch != flow->frontend_epoch) return false;
  id = flow->backend;
  life->backend = bpf_map_lookup_elem(&backends, &id);
  if (!life->backend || life->backend->epoch != flow->backend_epoch) return false;
  const __u32 limit = idle_limit(flow, protocol, life->frontend, settings);
  const __u32 share = limit / 16;
  life->refresh = share < MAX_REFRESH_TICKS ? share : MAX_REFRESH_TICKS;
  return (__u32)(now - flow->last) <= (__u64)limit + life->refresh;
}

// The key of the other direction of the flow (key, value).
static __always_inline void peer_key(const union flow_key* key, const union flow_value* value,
                                     union flow_key* peer, const bool v6) {
  if (v6) {
    __builtin_memcpy(peer->v6.saddr, value->v6.daddr, sizeof(peer->v6.saddr));
    __builtin_memcpy(peer->v6.daddr, value->v6.saddr, sizeof(peer->v6.daddr));
    peer->v6.sport = value->flow.dport;
    peer->v6.dport = value->flow.sport;
    peer->v6.protocol = key->v6.protocol;
    peer->v6.reserved[0] = peer->v6.reserved[1] = peer->v6.reserved[2] = 0;
  } else {
    peer->v4.saddr = value->v4.daddr;
    peer->v4.daddr = value->v4.saddr;
    peer->v4.sport = value->flow.dport;
    peer->v4.dport = value->flow.sport;
    peer->v4.protocol = key->v4.protocol;
    peer->v4.reserved[0] = peer->v4.reserved[1] = peer->v4.reserved[2] = 0;
  }
}

// The value of the other direction of the flow (key, value).
static __always_inline void peer_value(const union flow_key* key, const union flow_value* value,
                                       union flow_value* peer, const bool v6) {
  peer->flow = value->flow;
  peer->flow.flags ^= PORTOLAN_FLOW_REVERSE;
  if (v6) {
    peer->flow.sport = key->v6.dport;
    peer->flow.dport = key->v6.sport;
    __builtin_memcpy(peer->v6.saddr, key->v6.daddr, sizeof(peer->v6.saddr));
    __builtin_memcpy(peer->v6.daddr, key->v6.saddr, sizeof(peer->v6.daddr));
  } else {
    peer->flow.sport = key->v4.dport;
    peer->flow.dport = key->v4.sport;
    peer->v4.saddr = key->v4.daddr;
    peer->v4.daddr = key->v4.saddr;
  }
}

// Is `value`, found under the peer's key, the other half of the flow that has `key`?
static __always_inline bool is_peer(const union flow_value* value, const union flow_key* key,
                                    const bool v6) {
  if (v6) {
    return value->flow.sport == key->v6.dport && value->flow.dport == key->v6.sport &&
           same_address(value->v6.saddr, key->v6.daddr) &&
           same_address(value->v6.daddr, key->v6.saddr);
  }
  return value->flow.sport == key->v4.dport && value->flow.dport == key->v4.sport &&
         value->v4.saddr == key->v4.daddr && value->v4.daddr == key->v4.saddr;
}

// Keeps both halves young and alike. False: the other half was evicted and its place taken by
// another flow, so this flow has lost its way back.
static __always_inline bool refresh_flow(const union flow_key* key, union flow_value* value,
                                         struct flow_work* work, const struct flow_life* life,
                                         __u32 flags, __u32 now, const bool v6) {
  if (value->flow.flags == flags && (__u32)(now - value->flow.last) <= life->refresh) return true;
  if (flags & PORTOLAN_FLOW_ONE_WAY) {
    value->flow.last = now;
    value->flow.flags = flags;
    return true;
  }
  peer_key(key, value, &work->other_key, v6);
  union flow_value* other = bpf_map_lookup_elem(flow_map(v6), &work->other_key);
  if (other && !is_peer(other, key, v6)) return false;
  value->flow.last = now;
  value->flow.flags = flags;
  if (other) {
    other->flow.last = now;
    other->flow.flags = flags ^ PORTOLAN_FLOW_REVERSE;
    return true;
  }
  peer_value(key, value, &work->other, v6);
  bpf_map_update_elem(flow_map(v6), &work->other_key, &work->other, BPF_NOEXIST);
  return true;
}
