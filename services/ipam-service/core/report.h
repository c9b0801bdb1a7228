// What people are told: statuses of Services and pools, with reasons and remedies. Pure functions.
//
// Reasons are kebab-case and stable; `portolan explain`, alerts and tests use them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/ipam-service/core/ledger.h"
#include "services/ipam-service/core/picker_table.h"
#include "services/ipam-service/core/pool.h"
#include "services/ipam-service/core/types.h"
#include "services/ipam-service/core/wish.h"

namespace portolan::ipam {

// A slot that nobody serves, and everything that was considered for it.
struct Unserved {
  Slot slot;
  std::vector<Finding> findings;  // not empty
};

struct ServiceOutcome {
  std::vector<net::IpAddress> granted;  // durable, in the order of the wish
  struct Leaving {
    net::IpAddress address;
    absl::Time until;  // infinite: until what is asked for is there
  };
  std::vector<Leaving> leaving;
  std::vector<Unserved> unserved;
  absl::Status stalled;  // not OK: an address is chosen, but the store refuses to record it
};

// `notes`: what could not be adopted.
StatusReport ReportOnService(const ServiceRequest& request, const Wish& wish,
                             const ServiceOutcome& outcome, const std::vector<Finding>& notes);
// "" when the reason needs none.
std::string RemedyFor(const std::string& reason);

// "pending", "ready", "degraded", "rejected", "failed"
const char* StateName(State state);
// "an ipv4 address", "address 10.0.0.7"
std::string NameOf(const Slot& slot);

// An address that the Service was found to use, and that is not taken over.
Finding NotAdopted(const net::IpAddress& address, const std::optional<Finding>& objection);
Finding UnreadableInUse(const std::string& text);

// "store-full" or "store-failed".
Finding StoreFinding(const absl::Status& failure);

// `picker`: what the pool's address-picker leaf resolves to; null: unknown.
StatusReport ReportOnPool(const Pool& pool, const std::string& picker_name,
                          const PickerTable::Picker* picker);
// The stable list that remedies exist for, and "assigned".
bool IsKnownReason(const std::string& reason);

// Of any pool; the ledger says what a conflicting one still has out.
Pool::Counts CountsOf(const Pool& pool, net::Family family, const Ledger& ledger);
// Notes the use in the pool's trend.
PoolState StateOfPool(Pool& pool, const Ledger& ledger, absl::Time now);

}  // namespace portolan::ipam
