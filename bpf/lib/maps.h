// The maps, as each program object declares them. The sizes here are floors for tests and tools:
// the loader sets the real ones, and makes both objects share one set of maps.
#pragma once

#include "bpf/lib/kernel_types.h"
// Needs the types of kernel_types.h.
#include <bpf/bpf_helpers.h>

#include "bpf/include/datapath_maps.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);  // so that a reader sees an old or a new value, never a mix
  __uint(max_entries, 1024);
  __type(key, struct portolan_frontend_key);
  __type(value, struct portolan_frontend);
} frontends SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1025);
  __type(key, __u32);
  __type(value, struct portolan_frontend_info);
} frontend_info SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1024);
  __type(key, struct portolan_address_key);
  __type(value, struct portolan_address);
} addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);  // the kernel makes it in no other way
  __uint(max_entries, 1024);
  __type(key, struct portolan_source_key);
  __type(value, struct portolan_source);
} sources SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1025);
  __type(key, __u32);
  __type(value, struct portolan_backend);
} backends SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 16384);
  __type(key, __u32);
  __type(value, struct portolan_table_chunk);
} maglev SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct portolan_flow_key4);
  __type(value, struct portolan_flow4);
} flows4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct portolan_flow_key6);
  __type(value, struct portolan_flow6);
} flows6 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct portolan_affinity_key);
  __type(value, struct portolan_affinity);
} affinity SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, PORTOLAN_FRAGMENTS);
  __type(key, struct portolan_fragment_key);
  __type(value, struct portolan_fragment);
} fragments SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PORTOLAN_INTERFACES);
  __type(key, __u32);
  __type(value, struct portolan_interface);
} interfaces SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, PORTOLAN_NEIGHBOUR_BUCKETS);
  __type(key, __u32);
  __type(value, struct portolan_neighbours);
} neighbours SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct portolan_refusals);
} refusals SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct portolan_settings);
} settings_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct portolan_address_filter);
} address_filter SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1025);
  __type(key, __u32);
  __type(value, struct portolan_counter);
} counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, PORTOLAN_DROP_REASONS);
  __type(key, __u32);
  __type(value, struct portolan_counter);
} drops SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
  __uint(max_entries, PORTOLAN_SERVICE_DROPS);
  __type(key, struct portolan_service_drop_key);
  __type(value, struct portolan_counter);
} service_drops SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1025);
  __type(key, __u32);
  __type(value, struct portolan_counter);
} backend_counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, PORTOLAN_ANSWERS);
  __type(key, __u32);
  __type(value, struct portolan_counter);
} answers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, PORTOLAN_EVENT_BYTES);
} events SEC(".maps");
