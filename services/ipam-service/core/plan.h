// What an edit of pools, settings and quotas would do to addresses: it is done to a twin of the
// engine, whose writes succeed at once and whose clock runs ahead until everything that moves has
// moved and drained, and what Services have then is compared with what they have now. So a plan
// knows no rule of its own, and the engine that is asked stays as it is.
//
// What is not foreseen: answers of pickers in other processes, cool-downs that end later, edits of
// Services. Pools come in the order in which config-service publishes them: first those that are
// removed, then those that are changed, by name. Settings and quotas are streams of their own, so
// they may come before, between or after; the plan has them before. That matters only to those who
// wait when one edit gives room and takes away the right to it: they may get more than was
// foreseen.
//
// Cost: O(addresses held), plus what the engine's own work costs for those who lose or wait.
#pragma once

#include <memory>
#include <vector>

#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/ledger.h"
#include "services/ipam-service/core/pool_table.h"
#include "services/ipam-service/core/quota_table.h"
#include "services/ipam-service/core/rules.h"
#include "services/ipam-service/core/service_record.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

class Planner {
 public:
  // `live` has started and stays as it is while the planner lives.
  Planner(const Engine& live, const Proposal& proposal);

  AddressPlan Make();

 private:
  // Whether the edit leaves the Service alone, and it does not matter to others who it is.
  bool IsIdle(const ServiceRecord& service) const;
  bool HasQuota(const ServiceRecord& service) const;
  void Edit();
  // Until what the edit moves has moved and drained.
  void LetItHappen();
  void Send(const Event& event);
  bool StrandsAny() const;
  AddressPlan Compare() const;
  void Compare(const ServiceRecord& before, AddressPlan& plan) const;
  Finding WhyLost(const ServiceRecord& before, const net::IpAddress& address) const;

  const Engine& live_;
  const Proposal& proposal_;
  // The proposal's tables, without what is free, for a look at everybody.
  const Ledger nothing_held_{nullptr};
  QuotaTable quotas_;
  PoolTable pools_;
  const Rules rules_;
  std::vector<const ServiceRecord*> concerned_;  // by key
  std::unique_ptr<Engine> twin_;
  Moment now_;
};

}  // namespace portolan::ipam
