// A second engine in the state of a first one, to try things with.
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/plan.h"

namespace portolan::ipam {

// Without Services, addresses and pools.
Engine::Engine(AsTwin, const Engine& live)
    : pickers_(live.pickers_),
      seed_(live.seed_),
      selectors_(live.selectors_),
      namespaces_(live.namespaces_),
      quotas_(live.quotas_, &namespaces_),
      pools_(selectors_, &namespaces_),
      releases_(live.releases_),
      settings_(live.settings_),
      renumber_at_(live.renumber_at_),
      renumber_adopted_(live.renumber_adopted_),
      drains_(live.drains_),
      started_(live.started_),
      first_seen_(live.first_seen_),
      last_seen_(live.last_seen_),
      now_(live.now_) {}

std::unique_ptr<Engine> Engine::TwinOf(const std::vector<const ServiceRecord*>& services) const {
  std::unique_ptr<Engine> twin(new Engine(AsTwin{}, *this));
  absl::flat_hash_map<const ServiceRecord*, ServiceRecord*> twins;
  for (const ServiceRecord* service : services) {
    auto copy = std::make_unique<ServiceRecord>(
        ServiceRecord{.request = service->request, .held = service->held});
    twins.emplace(service, copy.get());
    twin->services_.insert(std::move(copy));
  }
  twin->ledger_.CopyFrom(ledger_, [&](const ServiceRecord* service) {
    auto found = twins.find(service);
    return found == twins.end() ? nullptr : found->second;
  });
  for (const auto& [service, copy] : twins) {
    for (const net::IpAddress& address : copy->held) twin->sharing_.Add(copy->request, address);
  }
  for (const auto& [place, service] : waiting_) twin->UpdatePlace(*twins.at(service), true);
  for (const auto& [key, service] : stranded_) twin->stranded_.emplace(key, twins.at(service));
  for (const Pool* pool : pools_.ordered()) twin->pools_.Upsert(pool->config());
  twin->pools_.OrderAgesBy(
      [&](const std::string& pool) { return static_cast<int64_t>(pools_.Find(pool)->age); });
  twin->pools_.Rebuild(twin->ledger_, twin->Past());
  return twin;
}

std::optional<AddressPlan> Engine::Plan(const Proposal& proposal) const {
  if (!started_) return std::nullopt;
  return Planner(*this, proposal).Make();
}

}  // namespace portolan::ipam
