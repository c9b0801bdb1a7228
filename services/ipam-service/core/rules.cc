#include "services/ipam-service/core/rules.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/sharing.h"
#include "services/ipam-service/core/shown.h"

namespace portolan::ipam {
namespace {

std::string SubjectOf(const net::IpAddress& address) {
  return absl::StrCat("address/", address.ToString());
}

std::string CoolingText(const Pool& pool, const net::IpAddress& address, const Release& release) {
  const absl::Time until =
      absl::FromUnixMillis(release.released_unix_ms) + pool.history(address.family())->cool_down();
  return absl::StrCat(address.ToString(), " was given up by Service ", release.service,
                      " and cools down until ",
                      absl::FormatTime(absl::RFC3339_sec, until, absl::UTCTimeZone()));
}

bool Counts(const QuotaConfig& quota, const std::string& pool) {
  return quota.pools.empty() ||
         std::find(quota.pools.begin(), quota.pools.end(), pool) != quota.pools.end();
}

// Whether somebody of the namespace is on the address to stay.
bool HasNamespace(const Holding& holding, absl::string_view name) {
  return std::any_of(holding.members.begin(), holding.members.end(), [&](const Member& member) {
    return member.stays() && NamespaceOf(member.owner->request.key) == name;
  });
}

}  // namespace

Finding About(const Pool& pool, std::string reason, absl::string_view message) {
  return {absl::StrCat("pool/", pool.name()), std::move(reason),
          absl::StrCat("pool \"", pool.name(), "\": ", message)};
}

const Pool* Rules::HomeOf(const ServiceRequest& request, const net::IpAddress& address,
                          const std::string& named) const {
  const auto legal = [&](const Pool& pool) {
    return (request.requested_pool.empty() || request.requested_pool == pool.name()) &&
           !pools_.Refuses(pool, request).has_value();
  };
  const Pool* first = pools_.Find(named);
  if (first != nullptr && first->Covers(address) && legal(*first)) return first;
  for (const Pool* pool : pools_.Covering(address)) {
    if (pool != first && legal(*pool)) return pool;
  }
  return nullptr;
}

Finding Rules::WhyIllegal(const ServiceRequest& request, const net::IpAddress& address) const {
  const std::vector<Pool*> covering = pools_.Covering(address);
  if (covering.empty()) {
    return {SubjectOf(address), "not-in-pool", absl::StrCat("no pool covers ", address.ToString())};
  }
  const Pool& pool = *covering.front();
  Finding finding =
      About(pool, "not-in-requested-pool",
            absl::StrCat("requested-pool is \"", Shown(request.requested_pool), "\""));
  auto refusal = pools_.Refuses(pool, request);
  if (refusal.has_value()) finding = About(pool, std::move(refusal->reason), refusal->message);
  finding.subject = SubjectOf(address);
  return finding;
}

std::optional<Finding> Rules::Objection(const Pool& pool, const ServiceRequest& request,
                                        net::Family family) const {
  if (!pool.active()) {
    return About(pool, "pool-conflict", absl::StrCat("it ", pool.conflict().message));
  }
  if (pool.config().disabled) return About(pool, "pool-disabled", "it is disabled");
  if (!request.requested_pool.empty() && request.requested_pool != pool.name()) {
    return About(pool, "not-in-requested-pool",
                 absl::StrCat("requested-pool is \"", Shown(request.requested_pool), "\""));
  }
  if (!pool.config().auto_assign && request.requested_pool.empty() &&
      request.requested_addresses.empty()) {
    return About(pool, "auto-assign-off", "it serves only Services that request it");
  }
  if (!pool.HasFamily(family)) {
    return About(pool, "family-missing",
                 absl::StrCat("it has no ", net::FamilyName(family), " block"));
  }
  auto refusal = pools_.Refuses(pool, request);
  if (refusal.has_value()) return About(pool, std::move(refusal->reason), refusal->message);
  return std::nullopt;
}

std::optional<Finding> Rules::QuotaObjection(const ServiceRequest& request, const Pool& pool,
                                             absl::Span<const net::IpAddress> given_up) const {
  if (quotas_.empty()) return std::nullopt;
  const absl::string_view name = NamespaceOf(request.key);
  for (const QuotaConfig* quota : quotas_.For(name)) {
    if (!Counts(*quota, pool.name())) continue;
    uint64_t held = 0;
    if (quota->pools.empty()) held = ledger_.HeldByNamespace(name, nullptr);
    for (const std::string& counted : quota->pools) held += ledger_.HeldByNamespace(name, &counted);
    const auto freed =
        std::count_if(given_up.begin(), given_up.end(), [&](const net::IpAddress& address) {
          const Holding* holding = ledger_.Find(address);
          return holding != nullptr && holding->members.size() == 1 &&
                 Counts(*quota, *holding->pool);
        });
    if (held - std::min<uint64_t>(held, static_cast<uint64_t>(freed)) < quota->max_addresses) {
      continue;
    }
    return About(pool, "over-quota",
                 absl::StrCat("namespace \"", name, "\" holds ", held, " addresses, and quota \"",
                              quota->name, "\" allows ", quota->max_addresses));
  }
  return std::nullopt;
}

std::optional<Finding> Rules::JoinObjection(const ServiceRecord& service,
                                            const net::IpAddress& address,
                                            const Holding& holding) const {
  for (const Member& member : holding.members) {
    if (member.owner == &service) continue;
    auto disagreement = WhyNotTogether(service.request, member.owner->request);
    if (!disagreement.has_value()) continue;
    return Finding{SubjectOf(address), std::move(disagreement->reason),
                   absl::StrCat(address.ToString(), ": ", disagreement->message)};
  }
  return std::nullopt;
}

std::optional<Finding> Rules::ExactObjection(const ServiceRecord& service,
                                             const net::IpAddress& address,
                                             absl::Span<const net::IpAddress> given_up) const {
  const std::vector<Pool*> covering = pools_.Covering(address);
  if (covering.empty()) return WhyIllegal(service.request, address);
  const Pool& pool = *covering.front();
  std::optional<Finding> objection = Objection(pool, service.request, address.family());
  const Holding* holding = ledger_.Find(address);
  const bool counted =
      holding != nullptr && HasNamespace(*holding, NamespaceOf(service.request.key));
  if (!objection.has_value() && holding != nullptr) {
    if (holding->members.empty()) {
      const bool foreign = holding->state == Holding::State::kForeign;
      return Finding{SubjectOf(address), "address-held",
                     absl::StrCat(address.ToString(), ": ",
                                  foreign ? "the store has a record of it that is not ours"
                                          : "its former owner's record is being erased")};
    }
    objection = JoinObjection(service, address, *holding);
  }
  if (!objection.has_value() && !pool.MayHandOut(address)) {
    objection = Finding{"", "address-reserved",
                        absl::StrCat(address.ToString(), " is reserved in pool \"", pool.name(),
                                     "\": the first or last address of a block, excluded, or "
                                     "avoided by avoid-buggy-ips")};
  }
  const Release* cooling = pool.Cooling(address);
  if (!objection.has_value() && cooling != nullptr && cooling->service != service.request.key) {
    objection = Finding{"", "cooling-down", CoolingText(pool, address, *cooling)};
  }
  if (!objection.has_value() && !counted) {
    objection = QuotaObjection(service.request, pool, given_up);
  }
  if (objection.has_value()) objection->subject = SubjectOf(address);
  return objection;
}

}  // namespace portolan::ipam
