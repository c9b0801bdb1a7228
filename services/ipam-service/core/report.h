// What people are told: statuses of Services and pools, with reasons and remedies. Pure functions.
//
// Reasons are kebab-case and stable; `portolan explain`, alerts and tests use them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
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
  std::vector<Unserved> unserved;
  absl::Status stalled;  // not OK: an address is chosen, but the store refuses to record it
};

StatusReport ReportOnService(const ServiceRequest& request, const Wish& wish,
                             const ServiceOutcome& outcome);

// "store-full" or "store-failed".
Finding StoreFinding(const absl::Status& failure);

// `picker`: what the pool's address-picker leaf resolves to; null: unknown.
StatusReport ReportOnPool(const Pool& pool, const std::string& picker_name,
                          const PickerTable::Picker* picker);
// The ledger says what a conflicting pool still has out.
PoolState StateOfPool(const Pool& pool, const Ledger& ledger);

}  // namespace portolan::ipam
