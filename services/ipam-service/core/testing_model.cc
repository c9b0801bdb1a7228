#include "services/ipam-service/core/testing_model.h"

#include <algorithm>

namespace portolan::ipam {
namespace {

bool Has(const auto& list, const auto& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool Consents(const ServiceRequest& service, const ServiceRequest& other) {
  return NamespaceIn(service.key) == NamespaceIn(other.key) ||
         Has(service.sharing->namespaces, "*") ||
         Has(service.sharing->namespaces, NamespaceIn(other.key));
}

bool IsEdge(const Block& block, const net::IpAddress& address) {
  const int bits = net::FamilyBits(block.range.family());
  return block.prefix_length > 0 && block.prefix_length < bits - 1 &&
         (address == block.range.first() || address == block.range.last());
}

bool IsBuggy(const net::IpAddress& address) {
  const auto end = static_cast<unsigned>(absl::Uint128Low64(address.value()) & 0xff);
  return address.is_ipv4() && (end == 0 || end == 255);
}

}  // namespace

std::string NamespaceIn(const std::string& key) { return key.substr(0, key.find('/')); }

std::vector<RowMember> MembersOf(const JournalRow& row) {
  std::vector<RowMember> members = {
      {row.service, row.generation, row.since_unix_ms, row.draining_until_unix_ms, row.adopted}};
  members.insert(members.end(), row.others.begin(), row.others.end());
  return members;
}

void Model::FindConflicts() {
  conflicts_.clear();
  std::vector<const PoolConfig*> by_age;
  for (const auto& [name, pool] : pools) by_age.push_back(&pool);
  std::stable_sort(by_age.begin(), by_age.end(), [&](const PoolConfig* a, const PoolConfig* b) {
    return first_seen.at(a->name) < first_seen.at(b->name);
  });
  for (auto pool = by_age.begin(); pool != by_age.end(); ++pool) {
    // Of several, the one with the lowest common address is named, IPv4 first.
    net::IpAddress lowest;
    for (auto older = by_age.begin(); older != pool; ++older) {
      if (Conflicts((*older)->name)) continue;
      for (const Block& a : (*pool)->blocks) {
        for (const Block& b : (*older)->blocks) {
          if (!a.range.Overlaps(b.range)) continue;
          const net::IpAddress common = std::max(a.range.first(), b.range.first());
          if (Conflicts((*pool)->name) && lowest < common) continue;
          lowest = common;
          conflicts_[(*pool)->name] = (*older)->name;
        }
      }
    }
  }
}

bool Model::Covers(const PoolConfig& pool, const net::IpAddress& address) {
  return std::any_of(pool.blocks.begin(), pool.blocks.end(),
                     [&](const Block& block) { return block.range.Contains(address); });
}

bool Model::Usable(const PoolConfig& pool, const net::IpAddress& address) {
  if (pool.avoid_buggy_ips && IsBuggy(address)) return false;
  for (const Block& block : pool.excluded) {
    if (block.range.Contains(address)) return false;
  }
  return std::any_of(pool.blocks.begin(), pool.blocks.end(), [&](const Block& block) {
    return block.range.Contains(address) && (pool.allow_first_last || !IsEdge(block, address));
  });
}

Model::Addresses Model::AddressesOf(const PoolConfig& pool, net::Family family) {
  Addresses addresses;
  for (const Block& block : pool.blocks) {
    if (block.range.family() != family) continue;
    for (absl::uint128 i = 0; i <= block.range.SizeMinusOne(); ++i) {
      addresses.insert(net::IpAddress::FromValue(family, block.range.first().value() + i));
    }
  }
  return addresses;
}

Model::Addresses Model::Free(const PoolConfig& pool, net::Family family) const {
  Addresses free;
  for (const net::IpAddress& address : AddressesOf(pool, family)) {
    if (Usable(pool, address) && !rows.contains(address)) free.insert(address);
  }
  return free;
}

Model::Counts Model::CountsOf(const PoolConfig& pool, net::Family family) const {
  Counts counts;
  for (const net::IpAddress& address : AddressesOf(pool, family)) {
    ++counts.total;
    if (Conflicts(pool.name)) continue;
    if (rows.contains(address)) {
      ++counts.used;
    } else if (Usable(pool, address)) {
      ++counts.available;
    } else {
      ++counts.reserved;
    }
  }
  if (!Conflicts(pool.name)) return counts;
  for (const auto& [address, row] : rows) {
    if (row.pool == pool.name && address.family() == family) ++counts.used;
  }
  return counts;
}

std::vector<const PoolConfig*> Model::Order() const {
  std::vector<const PoolConfig*> order;
  for (const auto& [name, pool] : pools) order.push_back(&pool);
  std::stable_sort(order.begin(), order.end(), [](const PoolConfig* a, const PoolConfig* b) {
    return a->priority < b->priority;
  });
  return order;
}

Model::Addresses Model::HeldBy(const std::string& service) const {
  Addresses held;
  for (const auto& [address, row] : rows) {
    for (const RowMember& member : MembersOf(row)) {
      if (member.service == service && member.draining_until_unix_ms == 0) held.insert(address);
    }
  }
  return held;
}

Model::Addresses Model::LeftBy(const std::string& service) const {
  Addresses left;
  for (const auto& [address, row] : rows) {
    for (const RowMember& member : MembersOf(row)) {
      if (member.service == service && member.draining_until_unix_ms != 0) left.insert(address);
    }
  }
  return left;
}

bool Model::PassesNamespace(const std::vector<std::string>& names,
                            const std::vector<LabelSelector>& selectors,
                            const std::string& key) const {
  if (names.empty() && selectors.empty()) return true;
  if (Has(names, NamespaceIn(key))) return true;
  const auto known = namespaces.find(NamespaceIn(key));
  const Labels labels = known == namespaces.end() ? Labels() : known->second;
  return std::any_of(selectors.begin(), selectors.end(),
                     [&](const LabelSelector& selector) { return selector.Matches(key, labels); });
}

std::string Model::Refusal(const PoolConfig& pool, const ServiceRequest& service) const {
  if (!PassesNamespace(pool.namespaces, pool.namespace_selectors, service.key)) {
    return "namespace-mismatch";
  }
  const bool selected = pool.service_selector.FirstMismatch(service.key, service.labels).empty();
  return selected ? "" : "selector-mismatch";
}

bool Model::Legal(const ServiceRequest& service, const net::IpAddress& address) const {
  return std::any_of(pools.begin(), pools.end(), [&](const auto& entry) {
    const PoolConfig& pool = entry.second;
    const bool named = service.requested_pool.empty() || service.requested_pool == pool.name;
    return named && Covers(pool, address) && Refusal(pool, service).empty();
  });
}

std::pair<Model::Addresses, bool> Model::Requested(const ServiceRequest& service) {
  Addresses addresses;
  for (const std::string& text : service.requested_addresses) {
    const auto address = net::IpAddress::Parse(text);
    if (!address.ok()) continue;
    if (service.families.empty() || Has(service.families, address->family())) {
      addresses.insert(*address);
    }
  }
  return {addresses, !service.requested_addresses.empty()};
}

int Model::Wanted(const ServiceRequest& service, net::Family family, net::Family lead) {
  if (!service.families.empty()) lead = service.families.front();
  bool wanted = family == lead;
  if (service.family_policy == FamilyPolicy::kRequireDualStack) wanted = true;
  if (service.family_policy == FamilyPolicy::kPreferDualStack) {
    wanted = wanted || service.families.empty() || Has(service.families, family);
  }
  return wanted ? service.addresses_per_family : 0;
}

net::Family Model::Lead() const {
  bool any_ipv4 = false, any_ipv6 = false;
  for (const auto& [name, pool] : pools) {
    for (const Block& block : pool.blocks) {
      (block.range.family() == net::Family::kIpv4 ? any_ipv4 : any_ipv6) = true;
    }
  }
  return any_ipv6 && !any_ipv4 ? net::Family::kIpv6 : net::Family::kIpv4;
}

std::string Model::Objection(const PoolConfig& pool, const ServiceRequest& service,
                             net::Family family) const {
  if (Conflicts(pool.name)) return "pool-conflict";
  if (pool.disabled) return "pool-disabled";
  if (!service.requested_pool.empty() && service.requested_pool != pool.name) {
    return "not-in-requested-pool";
  }
  const bool asks = !service.requested_pool.empty() || !service.requested_addresses.empty();
  if (!pool.auto_assign && !asks) return "auto-assign-off";
  if (AddressesOf(pool, family).empty()) return "family-missing";
  return Refusal(pool, service);
}

bool Model::OverQuota(const PoolConfig& pool, const ServiceRequest& service,
                      const Addresses& leaving) const {
  const std::string name = NamespaceIn(service.key);
  for (const auto& [quota_name, quota] : quotas) {
    if (!PassesNamespace(quota.namespaces, quota.namespace_selectors, name + "/")) continue;
    if (!quota.pools.empty() && !Has(quota.pools, pool.name)) continue;
    uint32_t held = 0;
    for (const auto& [address, row] : rows) {
      if (!quota.pools.empty() && !Has(quota.pools, row.pool)) continue;
      const std::vector<RowMember> members = MembersOf(row);
      if (leaving.contains(address) && members.size() == 1) continue;
      held += std::any_of(members.begin(), members.end(), [&](const RowMember& member) {
        return member.draining_until_unix_ms == 0 && NamespaceIn(member.service) == name;
      });
    }
    if (held >= quota.max_addresses) return true;
  }
  return false;
}

std::string Model::WhyNotPool(const ServiceRequest& service, const PoolConfig& pool,
                              net::Family family, const Addresses& leaving) const {
  std::string reason = Objection(pool, service, family);
  if (reason.empty() && OverQuota(pool, service, leaving)) reason = "over-quota";
  if (reason.empty() && Free(pool, family).empty()) reason = "pool-exhausted";
  return reason;
}

const PoolConfig* Model::Answering(const net::IpAddress& address) const {
  const PoolConfig* found = nullptr;
  for (const auto& [name, pool] : pools) {
    if (!Covers(pool, address)) continue;
    if (!Conflicts(name)) return &pool;
    if (found == nullptr || first_seen.at(name) < first_seen.at(found->name)) found = &pool;
  }
  return found;
}

std::string Model::WhyNotAddress(const ServiceRequest& service, const net::IpAddress& address,
                                 const Addresses& leaving) const {
  const PoolConfig* pool = Answering(address);
  if (pool == nullptr) return "not-in-pool";
  std::string reason = Objection(*pool, service, address.family());
  if (!reason.empty()) return reason;
  bool counted = false;
  if (const auto row = rows.find(address); row != rows.end()) {
    for (const RowMember& member : MembersOf(row->second)) {
      counted = counted || (member.draining_until_unix_ms == 0 &&
                            NamespaceIn(member.service) == NamespaceIn(service.key));
      if (member.service == service.key) continue;
      reason = WhyNotTogether(service, services.at(member.service));
      if (!reason.empty()) return reason;
    }
  }
  if (!Usable(*pool, address)) return "address-reserved";
  return !counted && OverQuota(*pool, service, leaving) ? "over-quota" : "";
}

const net::IpAddress* Model::Shareable(const ServiceRequest& service, net::Family family,
                                       const Addresses& leaving) const {
  if (!service.sharing.has_value()) return nullptr;
  for (const auto& [address, row] : rows) {
    if (address.family() != family) continue;
    const std::vector<RowMember> members = MembersOf(row);
    const bool on_it = std::any_of(members.begin(), members.end(), [&](const RowMember& member) {
      return member.service == service.key;
    });
    if (!on_it && WhyNotAddress(service, address, leaving).empty()) return &address;
  }
  return nullptr;
}

std::string Model::WhyNotTogether(const ServiceRequest& a, const ServiceRequest& b) {
  if (!a.sharing.has_value() || !b.sharing.has_value()) return "address-held";
  const SharingTerms &mine = *a.sharing, &theirs = *b.sharing;
  if (mine.key != theirs.key) return "address-held";
  if (!Consents(a, b) || !Consents(b, a)) return "sharing-namespace";
  if (mine.traffic_policy != theirs.traffic_policy) return "sharing-traffic-policy";
  const bool same = mine.backend_selector == theirs.backend_selector;
  const bool alike = (same && !mine.backend_selector.empty()) ||
                     (mine.different_backends && theirs.different_backends);
  if (mine.traffic_policy == TrafficPolicy::kLocal && !alike) return "sharing-backends";
  for (const Port& port : mine.ports) {
    if (Has(theirs.ports, port)) return "sharing-port-clash";
  }
  return "";
}

}  // namespace portolan::ipam
