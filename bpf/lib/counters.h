// Counting: what is carried, by frontend and by backend, what is dropped, by reason, and what is
// said. Per CPU, so without locks.
#pragma once

#include "bpf/lib/maps.h"

static __always_inline void count_drop(enum portolan_drop reason, __u32 length) {
  __u32 index = reason;
  struct portolan_counter* counter = bpf_map_lookup_elem(&drops, &index);
  if (!counter) return;
  counter->packets += 1;
  counter->bytes += length;
}

static __always_inline void count_answer(enum portolan_answer answer, __u32 length) {
  __u32 index = answer;
  struct portolan_counter* counter = bpf_map_lookup_elem(&answers, &index);
  if (!counter) return;
  counter->packets += 1;
  counter->bytes += length;
}

// A packet from client to backend; `flows`: 1 when it is a new flow's.
static __always_inline void count_carried(__u32 frontend, __u32 backend, __u32 length,
                                          __u32 flows) {
  struct portolan_counter* counter = bpf_map_lookup_elem(&counters, &frontend);
  if (counter) {
    counter->packets += 1;
    counter->bytes += length;
    if (flows) counter->flows += flows;
  }
  counter = bpf_map_lookup_elem(&backend_counters, &backend);
  if (!counter) return;
  counter->packets += 1;
  counter->bytes += length;
  if (flows) counter->flows += flows;
}
