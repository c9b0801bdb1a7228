// The values that ipam's events, effects and engine share. No behaviour, no invariants beyond what
// the comments say; all of them are regular value types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/base/selector/label_selector.h"
#include "services/base/selector/label_set.h"
#include "services/ipam-service/core/rare.h"

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
  // A namespace passes when it is listed or any selector matches its labels. Both empty: all pass.
  std::vector<std::string> namespaces;
  std::vector<LabelSelector> namespace_selectors;
  std::string address_picker;    // empty: the default of the settings
  std::vector<Block> excluded;   // never handed out anew; what is held there stays
  bool avoid_buggy_ips = false;  // IPv4 addresses that end in .0 or .255 are not handed out
  friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
};

// At most `max_addresses` for each namespace that it is for.
struct QuotaConfig {
  std::string name;
  std::vector<std::string> namespaces;  // as in PoolConfig
  std::vector<LabelSelector> namespace_selectors;
  std::vector<std::string> pools;  // counted together; empty: every address
  uint32_t max_addresses = 0;
  friend bool operator==(const QuotaConfig&, const QuotaConfig&) = default;
};

struct Settings {
  std::string address_picker;  // default stage; empty: "lowest-free"
  // How long an address that a Service leaves works beside the new one.
  absl::Duration drain_time = absl::ZeroDuration();
  // Addresses that their pool no longer allows may be moved. Otherwise they stay and are reported.
  bool allow_renumber = false;
  friend bool operator==(const Settings&, const Settings&) = default;
};

enum class TrafficPolicy : uint8_t { kCluster, kLocal };

struct Port {
  uint8_t protocol = 0;  // IANA number
  uint16_t number = 0;
  friend auto operator<=>(const Port&, const Port&) = default;
};

// The terms on which a Service shares its addresses with others of the same key.
struct SharingTerms {
  std::string key;                      // not empty
  std::vector<std::string> namespaces;  // that may share besides its own; "*": all
  std::vector<Port> ports;              // sorted
  TrafficPolicy traffic_policy = TrafficPolicy::kCluster;
  std::string backend_selector;  // canonical text; only compared
  bool different_backends = false;
  friend bool operator==(const SharingTerms&, const SharingTerms&) = default;
};

enum class FamilyPolicy : uint8_t { kSingleStack, kPreferDualStack, kRequireDualStack };

struct ServiceRequest {
  std::string key;  // "NAMESPACE/NAME"
  uint64_t generation = 0;
  LabelSet labels;
  std::vector<net::Family> families;  // order matters; empty: the default
  FamilyPolicy family_policy = FamilyPolicy::kSingleStack;
  uint8_t addresses_per_family = 1;              // when none is requested by its text
  std::vector<std::string> requested_addresses;  // text, as the user wrote them
  std::string requested_pool;
  Rare<SharingTerms> sharing;
  // Found in use when the Service was first seen, as text: to be taken over as they are.
  Rare<std::vector<std::string>> addresses_in_use;
  friend bool operator==(const ServiceRequest&, const ServiceRequest&) = default;
};

struct Grant {
  net::IpAddress address;
  std::string pool;  // empty: none covers it
  int64_t since_unix_ms = 0;
  int64_t draining_until_unix_ms = 0;  // 0: it stays
  bool adopted = false;                // it was found in use, not chosen by us
  friend bool operator==(const Grant&, const Grant&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Grant& v) {
    return H::combine(std::move(h), v.address, v.pool, v.since_unix_ms, v.draining_until_unix_ms,
                      v.adopted);
  }
};

// A Service on an address, as the journal knows it.
struct RowMember {
  std::string service;
  uint64_t generation = 0;  // of the intent that it answered
  int64_t since_unix_ms = 0;
  int64_t draining_until_unix_ms = 0;  // 0: it stays
  bool adopted = false;                // it was found in use, not chosen by us
  friend bool operator==(const RowMember&, const RowMember&) = default;
};

// Who is on an address, as the journal knows it. The address is the key.
struct JournalRow {
  net::IpAddress address;
  // The one that came first.
  std::string service;
  uint64_t generation = 0;
  std::string pool;  // empty: none covered it
  int64_t since_unix_ms = 0;
  int64_t draining_until_unix_ms = 0;
  bool adopted = false;
  std::vector<RowMember> others;  // those that share it, in the order of their coming
  friend bool operator==(const JournalRow&, const JournalRow&) = default;
};

// When a pool was first seen: of two that overlap the older works, also after a restart.
struct PoolRow {
  std::string name;
  int64_t first_seen_unix_ms = 0;
  friend bool operator==(const PoolRow&, const PoolRow&) = default;
};

// When an address was given up last. The address is the key; the row stays while others hold it.
struct ReleaseRow {
  net::IpAddress address;
  std::string service;  // that held it
  int64_t released_unix_ms = 0;
  friend bool operator==(const ReleaseRow&, const ReleaseRow&) = default;
};

struct Allocation {
  std::string key;
  uint64_t generation = 0;
  std::vector<Grant> grants;
  LabelSet labels;
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
  std::string reserved;        // neither used nor available
  int64_t exhausted_in_s = 0;  // at the rate of the last hour; 0: not foreseeable
  friend bool operator==(const FamilyCount&, const FamilyCount&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const FamilyCount& v) {
    return H::combine(std::move(h), v.family, v.total, v.used, v.available, v.reserved,
                      v.exhausted_in_s);
  }
};

struct PoolState {
  std::string name;
  std::string state;    // "active", "disabled", "conflicting"
  std::string message;  // why, when not active
  std::string conflicts_with;
  std::vector<FamilyCount> counts;
  friend bool operator==(const PoolState&, const PoolState&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const PoolState& v) {
    return H::combine(std::move(h), v.name, v.state, v.message, v.conflicts_with, v.counts);
  }
};

enum class State : uint8_t { kPending, kReady, kDegraded, kRejected, kFailed };
inline constexpr State kStates[] = {State::kPending, State::kReady, State::kDegraded,
                                    State::kRejected, State::kFailed};

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

// An address that a Service would lose under another configuration. Reason "not-requested": the
// Service itself asked for another one, which it would get; that needs nobody's permission.
struct AddressMove {
  std::string service;
  net::IpAddress address;
  std::string pool;                           // that it is from
  std::optional<net::IpAddress> new_address;  // nothing: none, or a remote picker would decide
  std::string new_pool;
  Finding why;
  friend bool operator==(const AddressMove&, const AddressMove&) = default;
};

// A Service that waits would get an address under another configuration.
struct AddressGain {
  std::string service;
  net::IpAddress address;
  std::string pool;
  friend bool operator==(const AddressGain&, const AddressGain&) = default;
};

// The whole configuration of addresses, as it would be.
struct Proposal {
  std::vector<PoolConfig> pools;
  Settings settings;
  std::vector<QuotaConfig> quotas;
};

// Both by Service; moves then by address.
struct AddressPlan {
  std::vector<AddressMove> moves;
  std::vector<AddressGain> gains;
  friend bool operator==(const AddressPlan&, const AddressPlan&) = default;
};

// One address that a Service wants, or has without wanting it any more.
struct SlotExplanation {
  std::string wish;                       // "an ipv4 address", "address 10.0.0.7"
  std::optional<net::IpAddress> address;  // held
  std::string outcome;  // "granted", "draining", "stranded", "recording", "waiting"
  int64_t since_unix_ms = 0;
  std::vector<std::string> shared_with;  // keys of the other Services
  std::vector<Finding> considered;       // in the order of serving; reason "serves": from there
};

struct Explanation {
  std::vector<SlotExplanation> slots;
  StatusReport status;
};

}  // namespace portolan::ipam
