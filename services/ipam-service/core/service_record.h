// One Service as the engine knows it. Owned by the engine; single-threaded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

// What remote pickers were asked for one family of one Service, and what they said.
struct Asking {
  struct Answer {
    std::string pool;
    std::string reason;  // "picker-declined", "picker-failed"
    std::string message;
  };
  net::Family family = net::Family::kIpv4;
  uint64_t ask = 0;  // outstanding; 0: none
  std::string pool;  // that the outstanding ask is about
  int stale_answers = 0;
  std::vector<Answer> answers;
};

struct ServiceRecord {
  ServiceRequest request;
  // Addresses of holdings whose owner this is and that are not being erased, oldest first.
  absl::InlinedVector<net::IpAddress, 2> held;
  uint64_t place = 0;             // in the queue of the waiting; 0: does not wait
  uint64_t status_print = 0;      // fingerprint of the last published status; 0: none
  uint64_t allocation_print = 0;  // fingerprint of the last published allocation; 0: none
  std::vector<Asking> asking;     // at most one per family
};

}  // namespace portolan::ipam
