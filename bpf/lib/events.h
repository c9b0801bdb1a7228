// Telling user space of single packets, for as long as somebody there listens: all packets of the
// frontends whose `frontend_info` says TRACE, and of other drops one in `drop_sample`. Where nobody
// listens a packet of a known flow costs one test of a flag that was read anyway, and a new flow or
// a drop one call. A full ring loses events, never packets. What is told stands in the scratch, so
// that the telling is checked by the verifier once.
#pragma once

#include "bpf/lib/frontends.h"
#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"

static __always_inline bool is_traced(__u32 frontend) {
  const struct portolan_frontend_info* info = bpf_map_lookup_elem(&frontend_info, &frontend);
  return info && (info->flags & PORTOLAN_FRONTEND_TRACE);
}

static __always_inline void emit_event(const struct scratch* know, enum portolan_event_kind kind,
                                       __u8 reason, __u32 frontend, __u32 backend, bool v6) {
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
  event->frontend = frontend;
  event->backend = backend;
  event->length = know->arrival.length;
  event->ifindex = know->arrival.ifindex;
  bpf_ringbuf_submit(event, 0);
}

// Functions of their own, with next to no stack: their callers have used most of it.

// Of a flow, if its frontend is traced.
__attribute__((noinline)) int portolan_tell(__u32 kind, __u32 frontend, __u32 backend, bool v6) {
  const struct scratch* know = get_scratch();
  if (know && is_traced(frontend)) emit_event(know, kind, 0, frontend, backend, v6);
  return 0;
}

// Of a drop, while somebody listens.
__attribute__((noinline)) int portolan_tell_drop(__u32 reason, bool v6) {
  __u32 zero = 0;
  struct scratch* know = get_scratch();
  const struct portolan_settings* settings = bpf_map_lookup_elem(&settings_map, &zero);
  if (!know || !settings || settings->drop_sample == 0) return 0;
  const bool sampled = bpf_get_prandom_u32() % settings->drop_sample == 0;
  // The packet's flow is given up.
  const struct portolan_frontend* frontend = find_frontend(know, v6);
  const __u32 id = frontend ? frontend->id : 0;
  if (sampled || is_traced(id)) emit_event(know, PORTOLAN_EVENT_DROP, reason, id, 0, v6);
  return 0;
}

static __always_inline void tell_new(__u32 frontend, __u32 backend, const bool v6) {
  portolan_tell(PORTOLAN_EVENT_NEW, frontend, backend, v6);
}

// In two steps, because what is known of the flow costs stack when it is kept to the end.
static __always_inline void mark_traced(struct scratch* know,
                                        const struct portolan_frontend_info* info,
                                        const struct portolan_flow* flow) {
  know->traced_frontend = 0;
  if (!(info->flags & PORTOLAN_FRONTEND_TRACE)) return;
  know->traced_frontend = flow->frontend;
  know->traced_backend = flow->backend;
}

static __always_inline void tell_carried(const struct scratch* know, const bool v6) {
  if (know->traced_frontend == 0) return;
  portolan_tell(PORTOLAN_EVENT_CARRIED, know->traced_frontend, know->traced_backend, v6);
}

static __always_inline void tell_drop(enum portolan_drop reason, const bool v6) {
  portolan_tell_drop(reason, v6);
}
