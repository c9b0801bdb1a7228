// A configuration of addresses that is edited and committed as a whole, in a world
// (testing_world.h). For tests of plans: the edit can be planned before it is committed.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {

class Site {
 public:
  Site() : world_(&disk_) {
    world_.settings = settings;
    world_.Start();
  }

  void Pool(const std::string& name, const std::vector<std::string>& blocks) {
    pools[name] = PoolOf(name, blocks);
  }
  void Quota(const std::string& name, uint32_t max_addresses) {
    quotas[name] = {.name = name, .max_addresses = max_addresses};
  }
  // Puts in force what was edited since. Each stream comes in the order in which config-service
  // publishes; which stream comes first is not said.
  void Commit(bool allow_renumber, bool pools_first = false) {
    settings.allow_renumber = allow_renumber;
    if (pools_first) SendPools();
    for (const auto& [name, quota] : committed_quotas_) {
      if (!quotas.contains(name)) world_.Send(QuotaRemoved{name});
    }
    for (const auto& [name, quota] : quotas) world_.Send(QuotaChanged{quota});
    world_.Send(SettingsChanged{settings});
    if (!pools_first) SendPools();
    committed_pools_ = pools;
    committed_quotas_ = quotas;
    world_.Advance(kRenumberDelay);
    world_.Advance(9 * settings.drain_time);  // who waits for who drains for who drains, ...
  }
  void Add(const ServiceRequest& service) { world_.Add(service); }
  void Add(const std::string& key, const Labels& labels = {}) { Add(ServiceOf(key, labels)); }
  void AddExact(const std::string& key, const std::vector<std::string>& addresses) {
    ServiceRequest service = ServiceOf(key);
    service.requested_addresses = addresses;
    Add(service);
  }
  void AddSharing(const std::string& key, uint16_t port) {
    ServiceRequest service = ServiceOf(key);
    service.sharing = SharingTerms{.key = "together", .ports = {{6, port}}};
    Add(service);
  }
  void AddDualStack(const std::string& key) {
    ServiceRequest service = ServiceOf(key);
    service.family_policy = FamilyPolicy::kRequireDualStack;
    Add(service);
  }
  World& world() { return world_; }

  AddressPlan Plan(bool allow_renumber) const {
    Proposal proposal{.settings = settings};
    proposal.settings.allow_renumber = allow_renumber;
    for (const auto& [name, pool] : pools) proposal.pools.push_back(pool);
    for (const auto& [name, quota] : quotas) proposal.quotas.push_back(quota);
    return *world_.engine().Plan(proposal);
  }
  using Held = std::map<std::string, std::set<std::string>>;
  // Who has what and is not leaving it.
  Held HeldNow() const {
    Held held;
    for (const auto& [service, allocation] : world_.allocations()) {
      for (const Grant& grant : allocation.grants) {
        if (grant.draining_until_unix_ms == 0) held[service].insert(grant.address.ToString());
      }
    }
    return held;
  }
  // As published; empty: the Service does not have it.
  std::string PoolOfAddress(const std::string& service, const net::IpAddress& address) const {
    const auto allocation = world_.allocations().find(service);
    if (allocation == world_.allocations().end()) return "";
    for (const Grant& grant : allocation->second.grants) {
      if (grant.address == address) return grant.pool;
    }
    return "";
  }

  std::map<std::string, PoolConfig> pools;
  std::map<std::string, QuotaConfig> quotas;
  Settings settings;

 private:
  void SendPools() {
    for (const auto& [name, pool] : committed_pools_) {
      if (!pools.contains(name)) world_.Send(PoolRemoved{name});
    }
    for (const auto& [name, pool] : pools) world_.Send(PoolChanged{pool});
  }

  Disk disk_;
  World world_;
  std::map<std::string, PoolConfig> committed_pools_;
  std::map<std::string, QuotaConfig> committed_quotas_;
};

}  // namespace portolan::ipam
