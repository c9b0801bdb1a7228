// Counting: what is carried, by frontend and by backend, and what is said. Per CPU, so without
// locks. What is dropped: drops.h.
#pragma once

#include "bpf/lib/maps.h"

// `flows`: how many the packet begins.
static __always_inline void count(void* map, __u32 index, __u32 length, __u32 flows) {
  struct portolan_counter* counter = bpf_map_lookup_elem(map, &index);
  if (!counter) return;
  counter->packets += 1;
  counter->bytes += length;
  if (flows) counter->flows += flows;
}

static __always_inline void count_answer(enum portolan_answer answer, __u32 length) {
  count(&answers, answer, length, 0);
}

// A packet from client to backend; `flows`: 1 when it is a new flow's.
static __always_inline void count_carried(__u32 frontend, __u32 backend, __u32 length,
                                          __u32 flows) {
  count(&counters, frontend, length, flows);
  count(&backend_counters, backend, length, flows);
}
