// One Service as the engine knows it: its request, what it holds, where it waits. Owned by the
// engine, at a stable address while it is known; single-threaded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
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
  // One is by far the most common.
  using Addresses = absl::InlinedVector<net::IpAddress, 1>;

  ServiceRequest request;
  // Addresses that this is a member of (also those that drain), oldest first.
  Addresses held;
  uint64_t place = 0;             // in the queue of the waiting; 0: does not wait
  uint64_t status_print = 0;      // fingerprint of the last published status; 0: none
  State told = State::kPending;   // by that status
  uint64_t allocation_print = 0;  // fingerprint of the last published allocation; 0: none
  std::vector<Asking> asking;     // at most one per family
  std::vector<Finding> notes;     // what could not be adopted when the Service was first seen
};

// All Services, found by key.
struct ServiceKeyHash {
  using is_transparent = void;
  size_t operator()(absl::string_view key) const { return absl::HashOf(key); }
  size_t operator()(const std::unique_ptr<ServiceRecord>& service) const {
    return absl::HashOf(absl::string_view(service->request.key));
  }
};
struct ServiceKeyEqual {
  using is_transparent = void;
  static absl::string_view KeyOf(absl::string_view key) { return key; }
  static absl::string_view KeyOf(const std::unique_ptr<ServiceRecord>& service) {
    return service->request.key;
  }
  bool operator()(const auto& a, const auto& b) const { return KeyOf(a) == KeyOf(b); }
};
using ServiceTable =
    absl::flat_hash_set<std::unique_ptr<ServiceRecord>, ServiceKeyHash, ServiceKeyEqual>;

}  // namespace portolan::ipam
