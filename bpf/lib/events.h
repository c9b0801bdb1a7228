// Telling user space of single packets, for as long as somebody there listens: all packets of the
// frontends whose `frontend_info` says TRACE, and of other drops one in `drop_sample`. Where nobody
// listens a packet costs one test of a flag that was read anyway, and a drop one call, which counts
// too. A full ring loses events, never packets. What is told stands in the scratch, so that the
// telling is checked by the verifier once.
#pragma once

#include "bpf/lib/counters.h"
#include "bpf/lib/frontends.h"
#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"

static __always_inline void emit_event(const struct scratch* know, enum portolan_event_kind kind,
                                       __u8 reason, __u32 backend, bool v6) {
  struct portolan_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) return;
  const union flow_key* key = &know->packet.key;
  put_address(event->saddr, key->v6.saddr, key->v4.saddr, v6);
  put_address(event->daddr, key->v6.daddr, key->v4.daddr, v6);
  event->time_ns = bpf_ktime_get_ns();
  event->sport = v6 ? key->v6.sport : key->v4.sport;
  event->dport = v6 ? key->v6.dport : key->v4.dport;
  event->protocol = v6 ? key->v6.protocol : key->v4.protocol;
  event->family = v6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  event->kind = kind;
  event->reason = reason;
  event->frontend = know->frontend;
  event->backend = backend;
  event->length = know->arrival.length;
  event->ifindex = know->arrival.ifindex;
  bpf_ringbuf_submit(event, 0);
}

// By the frontend, else by the address, when it has any; see map "service_drops".
static __always_inline void count_service_drop(struct scratch* know, __u16 epoch, const bool v6) {
  struct portolan_service_drop_key* key = &know->keys.drop;
  __builtin_memset(key, 0, sizeof(*key));
  key->reason = know->reason;
  key->frontend = know->frontend;
  key->epoch = epoch;
  if (know->frontend == 0) {
    if (!find_address(know, v6)) return;
    __builtin_memcpy(key->address, know->keys.address.address, sizeof(key->address));
    key->family = know->keys.address.family;
  }
  struct portolan_counter* counter = bpf_map_lookup_elem(&service_drops, key);
  if (counter) {
    counter->packets += 1;
    counter->bytes += know->arrival.length;
    return;
  }
  know->keys.dropped = (struct portolan_counter){.packets = 1, .bytes = know->arrival.length};
  bpf_map_update_elem(&service_drops, key, &know->keys.dropped, BPF_ANY);
}

// Functions of their own, with next to no stack: their callers have used most of it.

// Of a packet that is carried.
__attribute__((noinline)) int portolan_tell(bool v6) {
  const struct scratch* know = get_scratch();
  if (!know) return 0;
  const enum portolan_event_kind kind = know->begins ? PORTOLAN_EVENT_NEW : PORTOLAN_EVENT_CARRIED;
  emit_event(know, kind, 0, know->backend, v6);
  return 0;
}

// Counts the packet at hand as dropped for the reason that the scratch has, and tells of it while
// somebody listens.
__attribute__((noinline)) int portolan_drop(bool v6) {
  __u32 zero = 0;
  struct scratch* know = get_scratch();
  const struct portolan_settings* settings = bpf_map_lookup_elem(&settings_map, &zero);
  if (!know || !settings) return 0;
  __u32 frontend = know->frontend;
  const struct portolan_frontend_info* info =
      frontend == 0 ? NULL : bpf_map_lookup_elem(&frontend_info, &frontend);
  count(&drops, know->reason, know->arrival.length, 0);
  count_service_drop(know, info ? info->epoch : 0, v6);
  if (settings->drop_sample == 0) return 0;
  const bool sampled = bpf_get_prandom_u32() % settings->drop_sample == 0;
  const bool traced = info && (info->flags & PORTOLAN_FRONTEND_TRACE);
  if (sampled || traced) emit_event(know, PORTOLAN_EVENT_DROP, know->reason, 0, v6);
  return 0;
}

// The packet at hand goes nowhere.
static __always_inline void drop_packet(struct scratch* know, enum portolan_drop reason,
                                        const bool v6) {
  know->reason = reason;
  portolan_drop(v6);
}
