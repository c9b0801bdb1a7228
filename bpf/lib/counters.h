// Counting: what is carried, by frontend, and what is dropped, by reason. Per CPU, so without
// locks.
#pragma once

#include "bpf/lib/maps.h"

static __always_inline void count_drop(enum portolan_drop reason, __u32 length) {
  __u32 index = reason;
  struct portolan_counter* counter = bpf_map_lookup_elem(&drops, &index);
  if (!counter) return;
  counter->packets += 1;
  counter->bytes += length;
}

static __always_inline void count_frontend(__u32 id, __u32 length) {
  struct portolan_counter* counter = bpf_map_lookup_elem(&counters, &id);
  if (!counter) return;
  counter->packets += 1;
  counter->bytes += length;
}
