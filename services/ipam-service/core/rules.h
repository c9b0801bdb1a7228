// What may be given to whom, and what may be kept: the rules that assignment, plans and
// explanations share. Pure questions about tables that somebody else owns; no state of its own.
//
// Keeping is lenient: an address is legal while some pool covers it and selects the Service. Giving
// is strict: disabled, auto-assign, conflicts, reserved addresses and quotas matter too.
#pragma once

#include <optional>
#include <string>

#include "absl/types/span.h"
#include "services/base/net/ip_address.h"
#include "services/ipam-service/core/ledger.h"
#include "services/ipam-service/core/pool_table.h"
#include "services/ipam-service/core/quota_table.h"
#include "services/ipam-service/core/service_record.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

// "pool "NAME": MESSAGE", about that pool.
Finding About(const Pool& pool, std::string reason, absl::string_view message);

class Rules {
 public:
  // All of them outlive this.
  Rules(const PoolTable* pools, const Ledger* ledger, const QuotaTable* quotas)
      : pools_(*pools), ledger_(*ledger), quotas_(*quotas) {}

  // The pool that makes the address legal for the Service, `named` if it does; null: none.
  const Pool* HomeOf(const ServiceRequest& request, const net::IpAddress& address,
                     const std::string& named) const;
  // Why HomeOf() is null.
  Finding WhyIllegal(const ServiceRequest& request, const net::IpAddress& address) const;

  // The first reason why a pool, full or not, gives nothing new of the family to the Service.
  std::optional<Finding> Objection(const Pool& pool, const ServiceRequest& request,
                                   net::Family family) const;
  // A quota that one more address of the pool would exceed. `given_up` are addresses that the
  // Service holds and will leave for it.
  std::optional<Finding> QuotaObjection(const ServiceRequest& request, const Pool& pool,
                                        absl::Span<const net::IpAddress> given_up) const;
  // The first reason why exactly this address cannot be given to the Service, alone or shared.
  std::optional<Finding> ExactObjection(const ServiceRecord& service, const net::IpAddress& address,
                                        absl::Span<const net::IpAddress> given_up) const;
  // The first reason why the Service cannot be on the address with those who are; nothing: it can.
  std::optional<Finding> JoinObjection(const ServiceRecord& service, const net::IpAddress& address,
                                       const Holding& holding) const;

 private:
  const PoolTable& pools_;
  const Ledger& ledger_;
  const QuotaTable& quotas_;
};

}  // namespace portolan::ipam
