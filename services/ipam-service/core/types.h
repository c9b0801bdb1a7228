// The values that ipam's events, effects and engine share. No behaviour, no invariants beyond what
// the comments say; all of them are regular value types.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/base/selector/label_selector.h"

namespace portolan::ipam {

// The two clocks as arguments: `steady` for waiting, `wall` for stamps that people read.
struct Moment {
  absl::Time steady;
  absl::Time wall;
};

struct Block {
  std::string id;
  net::Range range;
  int prefix_length = 0;  // of the CIDR that it was; 0: given as first and last
  friend bool operator==(const Block&, const Block&) = default;
};

// A block that could not be read. The pool's other blocks work.
struct BadBlock {
  std::string id;
  std::string message;
  friend bool operator==(const BadBlock&, const BadBlock&) = default;
};

struct PoolConfig {
  std::string name;
  std::vector<Block> blocks;
  std::vector<BadBlock> bad_blocks;
  bool disabled = false;
  bool auto_assign = true;
  uint32_t priority = 0;  // lower is tried first; ties by name
  bool allow_first_last = false;
  LabelSelector service_selector;
  std::vector<std::string> namespaces;  // empty: all
  std::string address_picker;           // empty: the default of the settings
  friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
};

enum class FamilyPolicy : uint8_t { kSingleStack, kPreferDualStack, kRequireDualStack };

struct ServiceRequest {
  std::string key;  // "NAMESPACE/NAME"
  uint64_t generation = 0;
  Labels labels;
  std::vector<net::Family> families;  // order matters; empty: the default
  FamilyPolicy family_policy = FamilyPolicy::kSingleStack;
  std::vector<std::string> requested_addresses;  // text, as the user wrote them
  std::string requested_pool;
  friend bool operator==(const ServiceRequest&, const ServiceRequest&) = default;
};

struct Grant {
  net::IpAddress address;
  std::string pool;
  int64_t since_unix_ms = 0;
  friend bool operator==(const Grant&, const Grant&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Grant& v) {
    return H::combine(std::move(h), v.address, v.pool, v.since_unix_ms);
  }
};

// Who owns an address, as the journal knows it. The address is the key.
struct JournalRow {
  net::IpAddress address;
  std::string service;
  uint64_t generation = 0;
  std::string pool;
  int64_t since_unix_ms = 0;
  friend bool operator==(const JournalRow&, const JournalRow&) = default;
};

struct Allocation {
  std::string key;
  uint64_t generation = 0;
  std::vector<Grant> grants;
  Labels labels;
  friend bool operator==(const Allocation&, const Allocation&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Allocation& v) {
    return H::combine(std::move(h), v.key, v.generation, v.grants, v.labels);
  }
};

struct FamilyCount {
  net::Family family = net::Family::kIpv4;
  std::string total;  // decimal; may need 129 bits
  std::string used;
  std::string available;
  friend bool operator==(const FamilyCount&, const FamilyCount&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const FamilyCount& v) {
    return H::combine(std::move(h), v.family, v.total, v.used, v.available);
  }
};

struct PoolState {
  std::string name;
  std::string state;    // "active", "disabled", "conflicting"
  std::string message;  // why, when not active
  std::vector<FamilyCount> counts;
  friend bool operator==(const PoolState&, const PoolState&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const PoolState& v) {
    return H::combine(std::move(h), v.name, v.state, v.message, v.counts);
  }
};

enum class State : uint8_t { kPending, kReady, kDegraded, kRejected, kFailed };

// One thing that was considered and why it did not serve (or did).
struct Finding {
  std::string subject;  // "pool/primary", "address/20.0.10.5", "family/ipv6"
  std::string reason;   // kebab-case, stable
  std::string message;
  friend bool operator==(const Finding&, const Finding&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Finding& v) {
    return H::combine(std::move(h), v.subject, v.reason, v.message);
  }
};

enum class ObjectKind : uint8_t { kService, kPool };

struct StatusReport {
  ObjectKind kind = ObjectKind::kService;
  std::string key;
  uint64_t generation = 0;
  State state = State::kPending;
  std::string reason;
  std::string message;
  std::string remedy;
  std::vector<Finding> findings;
  std::vector<net::IpAddress> addresses;
  friend bool operator==(const StatusReport&, const StatusReport&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const StatusReport& v) {
    return H::combine(std::move(h), v.kind, v.key, v.generation, v.state, v.reason, v.message,
                      v.remedy, v.findings, v.addresses);
  }
};

}  // namespace portolan::ipam
