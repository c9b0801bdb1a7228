// The decision, shared by the XDP and the tc program: what a parsed packet becomes.
//
// Order: the address filter (most packets end here), the flow table (both directions), and for
// packets of no known flow the frontends, the Maglev table and a way to the backend. What is for an
// address that has a frontend goes to a backend, or nowhere: the kernel would route it, and perhaps
// back to where it came from. Everything else is passed. No packet is touched here.
//
// The program that includes this first says what it is: its context_t, IS_TC, and STAGE: how a
// stage on the way of every packet is compiled. Functions of their own cost a call and are checked
// by the verifier only once; they also have a stack of their own, of which a chain has 512 bytes.
#pragma once

#include "bpf/lib/admission.h"
#include "bpf/lib/counters.h"
#include "bpf/lib/events.h"
#include "bpf/lib/flow.h"
#include "bpf/lib/fragments.h"
#include "bpf/lib/frontends.h"
#include "bpf/lib/maglev.h"
#include "bpf/lib/maps.h"
#include "bpf/lib/packet.h"
#include "bpf/lib/route.h"

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

// What the packets of a flow become; for a flow without a way back here, how they travel.
static __always_inline void fill_rewrite(const union flow_value* value,
                                         const struct portolan_backend* backend,
                                         struct rewrite* out, const bool v6) {
  const __u32 flags = value->flow.flags;
  out->snat = flags & PORTOLAN_FLOW_SNAT;
  out->reverse = flags & PORTOLAN_FLOW_REVERSE;
  out->sport = value->flow.sport;
  out->dport = value->flow.dport;
  out->outer_v6 = backend->family == PORTOLAN_FAMILY_IPV6;
  if (flags & PORTOLAN_FLOW_ONE_WAY) {
    out->delivery = backend->flags & PORTOLAN_BACKEND_TUNNEL ? DELIVER_TUNNEL : DELIVER_ON_LINK;
    __builtin_memcpy(out->saddr, backend->source, sizeof(out->saddr));
    __builtin_memcpy(out->daddr, backend->address, sizeof(out->daddr));
    return;
  }
  out->delivery = DELIVER_TRANSLATED;
  if (v6) {
    __builtin_memcpy(out->saddr, value->v6.saddr, sizeof(out->saddr));
    __builtin_memcpy(out->daddr, value->v6.daddr, sizeof(out->daddr));
  } else {
    out->saddr[0] = value->v4.saddr;
    out->daddr[0] = value->v4.daddr;
  }
}

#define CLAIMED -1
#define CLAIM_TAKEN -2

// Writes the reverse entry of the flow at work, under the source port that it has now: CLAIMED, or
// CLAIM_TAKEN by a living flow, or the reason to drop.
static __always_inline int claim_port(const bool v6) {
  __u32 zero = 0;
  struct scratch* know = get_scratch();
  const struct portolan_settings* settings = bpf_map_lookup_elem(&settings_map, &zero);
  if (!know || !settings) return PORTOLAN_DROP_NO_MEMORY;
  struct flow_work* work = &know->work;
  const union flow_key* key = &know->packet.key;
  peer_key(key, &work->value, &work->other_key, v6);
  peer_value(key, &work->value, &work->other, v6);
  long error = bpf_map_update_elem(flow_map(v6), &work->other_key, &work->other, BPF_NOEXIST);
  if (error == -EEXIST) {
    const union flow_value* found = bpf_map_lookup_elem(flow_map(v6), &work->other_key);
    struct flow_life life;
    if (found && !is_peer(found, key, v6) &&
        living_flow(&found->flow, know->packet.protocol, settings, current_tick(settings), &life)) {
      return CLAIM_TAKEN;
    }
    error = bpf_map_update_elem(flow_map(v6), &work->other_key, &work->other, BPF_ANY);
  }
  return error ? PORTOLAN_DROP_NO_MEMORY : CLAIMED;
}

// Functions of their own for the verifier.
__attribute__((noinline)) int portolan_claim4(void) { return claim_port(false); }
__attribute__((noinline)) int portolan_claim6(void) { return claim_port(true); }

// Gives the flow at work a reverse entry, and a source port that nobody else uses towards this
// backend. The client's own port is the first choice unless the address changes, and the only one
// where the checksum covers it in a way that cannot be kept up (SCTP). CLAIMED, or the reason to
// drop.
static __always_inline int claim_reverse(struct scratch* know,
                                         const struct portolan_settings* settings, const bool v6) {
  struct portolan_flow* flow = &know->work.value.flow;
  const bool sctp = know->packet.protocol == IPPROTO_SCTP;
  const bool keeps_port = sctp || !(flow->flags & PORTOLAN_FLOW_SNAT);
#pragma clang loop unroll(disable)
  for (__u32 i = 0; i < PORT_TRIES; i++) {
    if (!keeps_port || i > 0) {
      const __u32 count = settings->port_count;
      if (sctp || count == 0) break;
      flow->sport = bpf_htons(settings->port_first + (know->hash + i) % count);
    }
    const int claim = v6 ? portolan_claim6() : portolan_claim4();
    if (claim != CLAIM_TAKEN) return claim;
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

// Is the client the very backend that was chosen for it? It would answer itself past us.
static __always_inline bool is_hairpin(const union flow_key* key,
                                       const struct portolan_backend* backend, const bool v6) {
  if (v6) return same_address(key->v6.saddr, backend->address);
  return key->v4.saddr == backend->address[0];
}

static __always_inline __u32 flags_of_new_flow(const struct packet* packet,
                                               const struct portolan_backend* backend,
                                               struct backend_life life, const bool v6) {
  __u32 flags = 0;
  if (packet->tcp_flags & TCP_FIN) flags |= PORTOLAN_FLOW_FIN_FORWARD;
  if (packet->tcp_flags & TCP_RST) flags |= PORTOLAN_FLOW_RST;
  if (life.flags & (PORTOLAN_BACKEND_DSR | PORTOLAN_BACKEND_TUNNEL)) {
    return flags | PORTOLAN_FLOW_ONE_WAY;
  }
  const bool has_source = backend->source[0] != 0 || backend->source[3] != 0;
  const bool snat =
      (life.flags & PORTOLAN_BACKEND_SNAT) || (has_source && is_hairpin(&packet->key, backend, v6));
  return snat ? flags | PORTOLAN_FLOW_SNAT : flags;
}

// The entry of a new flow to `backend`, but for its source port.
static __always_inline void new_flow(const struct packet* packet,
                                     const struct portolan_frontend* frontend,
                                     const struct portolan_backend* backend,
                                     struct backend_life life, __u32 backend_id, __u32 now,
                                     union flow_value* value, const bool v6) {
  const union flow_key* key = &packet->key;
  const __u32 flags = flags_of_new_flow(packet, backend, life, v6);
  const bool snat = flags & PORTOLAN_FLOW_SNAT;
  value->flow.frontend = frontend->id;
  value->flow.backend = backend_id;
  value->flow.frontend_epoch = frontend->epoch;
  value->flow.backend_epoch = life.epoch;
  value->flow.last = now;
  value->flow.flags = flags;
  value->flow.dport =
      packet->protocol == IPPROTO_SCTP ? (v6 ? key->v6.dport : key->v4.dport) : backend->port;
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

// The end of a packet that nothing serves: passed when it is for somebody else.
static __always_inline enum verdict unserved(struct scratch* know, enum packet_kind kind,
                                             const struct portolan_settings* settings,
                                             enum portolan_drop reason, const bool v6) {
  const struct portolan_address* address = find_address(know, v6);
  if (!address) return VERDICT_PASS;
  if (kind == PACKET_ECHO && (settings->flags & PORTOLAN_SETTING_ECHO)) {
    return IS_TC ? VERDICT_ECHO : VERDICT_LEAVE;
  }
  const bool tell = kind == PACKET_FLOW && address->silent == 0;
  if (tell && !IS_TC) return VERDICT_LEAVE;
  const enum verdict drop = drop_as(know, reason);
  return tell ? VERDICT_REFUSE : drop;
}

// Does the packet come from the inside?
static __always_inline bool is_internal(__u32 ifindex) {
  const struct portolan_interface* interface = find_interface(ifindex);
  return interface && (interface->flags & PORTOLAN_INTERFACE_INTERNAL);
}

// Id of the backend for a new flow, or 0.
static __always_inline __u32 choose_backend(struct scratch* know,
                                            const struct portolan_frontend* frontend,
                                            const struct portolan_settings* settings, __u32 hash,
                                            __u32 now, const bool v6) {
  __u32 offset = frontend->table_offset;
  __u32 size = frontend->table_size;
  if (frontend->internal_offset != offset && is_internal(know->arrival.ifindex)) {
    offset = frontend->internal_offset;
    size = frontend->internal_size;
  }
  if (size == 0) return 0;
  if (frontend->affinity_s != 0) {
    const __u32 known = known_backend(know, frontend, settings, now, v6);
    if (known != 0) return known;
  }
  return maglev_lookup(offset, size, hash);
}

// Writes the new flow at work down. KNOWN: it was there. Otherwise REWRITE or DROP.
static __always_inline enum verdict remember_flow(struct scratch* know,
                                                  const struct portolan_settings* settings,
                                                  bool unasked, const bool v6) {
  const union flow_key* key = &know->packet.key;
  union flow_value* value = &know->work.value;
  long error = bpf_map_update_elem(flow_map(v6), key, value, unasked ? BPF_NOEXIST : BPF_ANY);
  if (error == -EEXIST) return VERDICT_KNOWN;
  if (error) return drop_as(know, PORTOLAN_DROP_NO_MEMORY);
  if (value->flow.flags & PORTOLAN_FLOW_ONE_WAY) return VERDICT_REWRITE;
  const __be16 sport = value->flow.sport;
  const int drop = claim_reverse(know, settings, v6);
  if (drop != CLAIMED) {
    bpf_map_delete_elem(flow_map(v6), key);
    return drop_as(know, drop);
  }
  if (value->flow.sport == sport) return VERDICT_REWRITE;
  know->rewrite.sport = value->flow.sport;
  error = bpf_map_update_elem(flow_map(v6), key, value, BPF_ANY);
  return error ? drop_as(know, PORTOLAN_DROP_NO_MEMORY) : VERDICT_REWRITE;
}

// Is there anything in the flow table?
static __always_inline bool is_known(const union flow_key* key, const bool v6) {
  return bpf_map_lookup_elem(flow_map(v6), key) != NULL;
}

static __always_inline bool is_traced(__u32 frontend) {
  const struct portolan_frontend_info* info = bpf_map_lookup_elem(&frontend_info, &frontend);
  return info && (info->flags & PORTOLAN_FRONTEND_TRACE);
}

// Puts a new flow to work, and what becomes of its packets: REWRITE. Otherwise the packet's fate.
static __always_inline enum verdict design_flow(struct scratch* know,
                                                const struct portolan_settings* settings,
                                                bool unasked, const bool v6) {
  const __u32 now = current_tick(settings);
  const union flow_key* key = &know->packet.key;
  const struct portolan_frontend* frontend = find_frontend(know, v6);
  know->frontend = frontend ? frontend->id : 0;
  if (!frontend) return unserved(know, PACKET_FLOW, settings, PORTOLAN_DROP_UNSERVED, v6);
  if ((frontend->flags & PORTOLAN_FRONTEND_SOURCES) && !source_allowed(know, frontend->group, v6)) {
    return drop_as(know, PORTOLAN_DROP_SOURCE);
  }
  know->hash = flow_hash(key, settings->hash_seed, v6);
  know->client_group = frontend->affinity_s != 0 ? frontend->group : 0;
  __u32 id = choose_backend(know, frontend, settings, know->hash, now, v6);
  const struct portolan_backend* backend = id == 0 ? NULL : bpf_map_lookup_elem(&backends, &id);
  struct backend_life life = {};
  if (backend) life = life_of(backend);
  if (!backend || !(life.flags & PORTOLAN_BACKEND_ALIVE)) {
    if (unasked && is_known(key, v6)) return VERDICT_KNOWN;
    return unserved(know, PACKET_FLOW, settings, PORTOLAN_DROP_NO_BACKEND, v6);
  }
  know->backend = id;
  new_flow(&know->packet, frontend, backend, life, id, now, &know->work.value, v6);
  fill_rewrite(&know->work.value, backend, &know->rewrite, v6);
  return VERDICT_REWRITE;
}

// `unasked`: the flow table has not been asked yet; KNOWN says that the flow is there, also when a
// new one could not begin.
static __always_inline enum verdict start_flow(context_t* context, bool unasked, const bool v6) {
  __u32 zero = 0;
  struct scratch* know = get_scratch();
  const struct portolan_settings* settings = bpf_map_lookup_elem(&settings_map, &zero);
  if (!know || !settings) return VERDICT_PASS;
  enum verdict verdict = design_flow(know, settings, unasked, v6);
  STAGE_ENDS(verdict);
  if (verdict != VERDICT_REWRITE) return verdict;
  verdict = find_way(context, know, settings, v6);
  STAGE_ENDS(verdict);
  if (verdict != VERDICT_REWRITE) {
    return unasked && is_known(&know->packet.key, v6) ? VERDICT_KNOWN : verdict;
  }
  verdict = remember_flow(know, settings, unasked, v6);
  STAGE_ENDS(verdict);
  if (verdict != VERDICT_REWRITE) return verdict;
  const struct portolan_flow* flow = &know->work.value.flow;
  if (know->client_group != 0) remember_backend(know, flow, v6);
  count_carried(flow->frontend, flow->backend, know->arrival.length, 1);
  know->begins = true;
  know->traced = is_traced(flow->frontend);
  return VERDICT_REWRITE;
}

// Functions of their own for the verifier.
__attribute__((noinline)) int portolan_start4(context_t* context, __u32 unasked) {
  return start_flow(context, unasked, false);
}

__attribute__((noinline)) int portolan_start6(context_t* context, __u32 unasked) {
  return start_flow(context, unasked, true);
}

// A packet of a living flow. KNOWN: it begins another one in the place of this one.
static __always_inline enum verdict carry(context_t* context, struct scratch* know,
                                          const struct portolan_settings* settings,
                                          union flow_value* value, const struct flow_life* life,
                                          __u32 now, const bool v6) {
  const union flow_key* key = &know->packet.key;
  const __u8 tcp_flags = know->packet.tcp_flags;
  __u32 flags = value->flow.flags;
  const bool reverse = flags & PORTOLAN_FLOW_REVERSE;
  if (is_opening(&know->packet) && !reverse && (flags & FLOW_CLOSING)) return VERDICT_KNOWN;
  if (!reverse && (life->frontend->flags & PORTOLAN_FRONTEND_SOURCES) &&
      !source_allowed(know, life->frontend->group, v6)) {
    return drop_as(know, PORTOLAN_DROP_SOURCE);
  }
  know->traced = life->frontend->flags & PORTOLAN_FRONTEND_TRACE;
  fill_rewrite(value, life->backend, &know->rewrite, v6);
  const enum verdict verdict = find_way(context, know, settings, v6);
  if (verdict != VERDICT_REWRITE) return verdict;
  if (tcp_flags & TCP_FIN) {
    flags |= reverse ? PORTOLAN_FLOW_FIN_REVERSE : PORTOLAN_FLOW_FIN_FORWARD;
  }
  if (tcp_flags & TCP_RST) flags |= PORTOLAN_FLOW_RST;
  if (!refresh_flow(key, value, &know->work, life, flags, now, v6)) return VERDICT_KNOWN;
  if (!reverse) count_carried(know->frontend, know->backend, know->arrival.length, 0);
  return VERDICT_REWRITE;
}

// KNOWN: the packet is of no living flow.
static __always_inline enum verdict carry_known(context_t* context, struct scratch* know,
                                                const struct portolan_settings* settings,
                                                enum packet_kind kind, const bool v6) {
  const __u32 now = current_tick(settings);
  const union flow_key* key = &know->packet.key;
  const __u8 protocol = v6 ? key->v6.protocol : key->v4.protocol;
  union flow_value* value = bpf_map_lookup_elem(flow_map(v6), key);
  struct flow_life life;
  if (!value || !living_flow(&value->flow, protocol, settings, now, &life)) return VERDICT_KNOWN;
  know->frontend = value->flow.frontend;
  know->backend = value->flow.backend;
  know->begins = false;
  if (kind != PACKET_ERROR) return carry(context, know, settings, value, &life, now, v6);
  // What anybody can send keeps no flow alive, is not counted and not told of.
  know->traced = false;
  fill_rewrite(value, life.backend, &know->rewrite, v6);
  return find_way(context, know, settings, v6);
}

// Functions of their own for the verifier, with a stack of their own.
static __always_inline enum verdict carry_apart(context_t* context, enum packet_kind kind,
                                                const bool v6) {
  __u32 zero = 0;
  struct scratch* know = get_scratch();
  const struct portolan_settings* settings = bpf_map_lookup_elem(&settings_map, &zero);
  if (!know || !settings) return VERDICT_PASS;
  return carry_known(context, know, settings, kind, v6);
}

__attribute__((noinline)) int portolan_carry4(context_t* context, __u32 kind) {
  return carry_apart(context, kind, false);
}

__attribute__((noinline)) int portolan_carry6(context_t* context, __u32 kind) {
  return carry_apart(context, kind, true);
}

// A packet that no living flow is known to have: it begins one, or is not served. `unasked`: as
// above.
static __always_inline enum verdict begin(context_t* context, struct scratch* know,
                                          const struct portolan_settings* settings,
                                          enum packet_kind kind, bool unasked, const bool v6) {
  if (kind == PACKET_FLOW) {
    return v6 ? portolan_start6(context, unasked) : portolan_start4(context, unasked);
  }
  const enum portolan_drop reason =
      kind == PACKET_LATER ? PORTOLAN_DROP_FRAGMENT : PORTOLAN_DROP_STRAY;
  return unserved(know, kind, settings, reason, v6);
}

static __always_inline enum verdict judge(context_t* context, struct scratch* know,
                                          enum packet_kind kind, const bool v6) {
  __u32 zero = 0;
  struct portolan_settings* settings = bpf_map_lookup_elem(&settings_map, &zero);
  if (!settings) return VERDICT_PASS;
  struct packet* packet = &know->packet;
  if (kind == PACKET_ECHO || kind == PACKET_OTHER || kind == PACKET_UNREADABLE) {
    return unserved(know, kind, settings,
                    kind == PACKET_UNREADABLE ? PORTOLAN_DROP_HEADERS : PORTOLAN_DROP_UNSERVED, v6);
  }
  const bool later = kind == PACKET_LATER;
  if (later && !recall_ports(know, current_tick(settings), v6)) {
    // The first one may be on its way from one program to the other.
    if (!IS_TC) return VERDICT_LEAVE;
    return unserved(know, kind, settings, PORTOLAN_DROP_FRAGMENT, v6);
  }
  // What opens a flow is seldom of a known one: it is written down unasked, which finds out.
  const bool unasked = kind == PACKET_FLOW && is_opening(packet);
  enum verdict verdict = VERDICT_KNOWN;
  if (!unasked) {
    verdict = IS_INLINE(v6) ? carry_known(context, know, settings, kind, v6)
              : v6          ? portolan_carry6(context, kind)
                            : portolan_carry4(context, kind);
  }
  if (verdict == VERDICT_KNOWN) verdict = begin(context, know, settings, kind, unasked, v6);
  if (verdict == VERDICT_KNOWN) {
    verdict = v6 ? portolan_carry6(context, kind) : portolan_carry4(context, kind);
    if (verdict == VERDICT_KNOWN) verdict = begin(context, know, settings, kind, false, v6);
  }
  if (verdict == VERDICT_REWRITE && packet->is_fragment && !later) {
    remember_ports(know, current_tick(settings), v6);
  }
  // Nobody is told about an error or a later fragment (RFC 1122, section 3.2.2).
  return verdict == VERDICT_TOO_BIG && kind != PACKET_FLOW ? VERDICT_DROP : verdict;
}

// The verdict on the packet at hand. XDP leaves what it cannot send alone, without any trace in the
// maps.
static __always_inline enum verdict decide(context_t* context, struct scratch* know,
                                           enum packet_kind kind, const bool v6) {
  know->frontend = 0;
  enum verdict verdict = judge(context, know, kind, v6);
  STAGE_ENDS(verdict);
  if (verdict == VERDICT_REWRITE) {
    if (know->traced) portolan_tell(v6);
  } else if (verdict == VERDICT_DROP || verdict == VERDICT_REFUSE || verdict == VERDICT_TOO_BIG) {
    portolan_drop(v6);
  }
  return verdict;
}
