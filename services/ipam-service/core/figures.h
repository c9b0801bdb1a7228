// The engine at one moment, in numbers: what a shell exports for one scrape. Value types that
// whoever asked owns; copies, so that a reader may keep them while the engine goes on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/base/metrics/histogram.h"
#include "services/base/net/ip_address.h"
#include "services/ipam-service/core/counters.h"

namespace portolan::ipam {

struct PoolFigures {
  std::string pool;
  net::Family family = net::Family::kIpv4;
  // As in PoolState, rounded to 53 bits.
  double total = 0;
  double used = 0;
  double available = 0;
  double reserved = 0;
  int64_t exhausted_in_s = 0;  // 0: not foreseeable
};

struct EngineFigures {
  bool started = false;
  uint64_t services = 0;
  uint64_t addresses = 0;  // held, being recorded or being erased
  uint64_t draining = 0;   // Services on addresses that they leave
  uint64_t stranded = 0;   // Services with an address that is not allowed any more
  uint64_t waiting = 0;    // length of the queue
  uint64_t asks = 0;       // questions to pickers in other processes without an answer
  uint64_t pools = 0;
  uint64_t conflicting_pools = 0;
  uint64_t disabled_pools = 0;  // and not conflicting
  bool store_refuses = false;
  std::vector<PoolFigures> by_pool;  // in serving order
  Counters counters;
  CountByReason waiting_by_reason;
  metrics::Histogram served_after{metrics::kSeconds};
};

}  // namespace portolan::ipam
