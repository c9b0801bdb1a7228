// What would happen to the addresses in use under another configuration: on tables of its own, so
// that nothing changes. O(addresses held).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/ipam-service/core/ledger.h"
#include "services/ipam-service/core/namespace_table.h"
#include "services/ipam-service/core/picker_table.h"
#include "services/ipam-service/core/pool_table.h"
#include "services/ipam-service/core/release_table.h"
#include "services/ipam-service/core/rules.h"
#include "services/ipam-service/core/service_record.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

class Planner {
 public:
  // What is true now. Nothing is owned; all of it stays as it is while the planner lives.
  struct Now {
    const PoolSelectors& selectors;
    const NamespaceTable& namespaces;
    const Ledger& ledger;
    const QuotaTable& quotas;
    const PickerTable& pickers;
    const ReleaseTable& releases;
    const Rules& rules;  // of the configuration that is in force
    absl::Time time;     // steady
    uint64_t seed = 0;
    const std::map<std::string, int64_t>& first_seen;  // of pools
  };

  Planner(const Now& now, const std::vector<PoolConfig>& pools, const Settings& settings);

  // What one Service would lose. In the order of their keys, since what one gets another cannot.
  void Add(const ServiceRecord& service, std::vector<AddressMove>& moves);

 private:
  void Replace(const ServiceRecord& service, AddressMove& move);
  bool PickFrom(Pool& pool, const ServiceRecord& service, AddressMove& move);

  const Now now_;
  const Settings settings_;
  PickerTable pickers_;  // with the proposed default
  PoolTable pools_;
  const Rules rules_;                               // of the proposed configuration
  std::map<net::IpAddress, AddressMove> replaced_;  // so that those who share stay together
};

}  // namespace portolan::ipam
