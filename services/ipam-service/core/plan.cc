#include "services/ipam-service/core/plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "services/ipam-service/core/pool_free_space.h"

namespace portolan::ipam {

Planner::Planner(const Now& now, const std::vector<PoolConfig>& pools, const Settings& settings)
    : now_(now),
      settings_(settings),
      pickers_(now.pickers),
      pools_(now.selectors, &now.namespaces),
      rules_(&pools_, &now.ledger, &now.quotas) {
  pickers_.SetDefault(settings.address_picker);
  for (const PoolConfig& pool : pools) pools_.Upsert(pool);
  pools_.OrderAgesBy([&](const std::string& pool) {
    auto it = now_.first_seen.find(pool);
    return it == now_.first_seen.end() ? std::numeric_limits<int64_t>::max() : it->second;
  });
  pools_.Rebuild(now_.ledger, {now_.releases, pickers_, now_.time});
}

void Planner::Add(const ServiceRecord& service, std::vector<AddressMove>& moves) {
  std::vector<net::IpAddress> held(service.held.begin(), service.held.end());
  std::sort(held.begin(), held.end());
  for (const net::IpAddress& address : held) {
    const Holding& holding = *now_.ledger.Find(address);
    if (!holding.Find(&service)->stays()) continue;
    if (rules_.HomeOf(service.request, address, *holding.pool) != nullptr) continue;
    // What is stranded already moves only with permission, and is not the edit's doing.
    if (!settings_.allow_renumber &&
        now_.rules.HomeOf(service.request, address, *holding.pool) == nullptr) {
      continue;
    }
    AddressMove move{.service = service.request.key, .address = address, .pool = *holding.pool};
    move.why = rules_.WhyIllegal(service.request, address);
    Replace(service, move);
    moves.push_back(std::move(move));
  }
}

void Planner::Replace(const ServiceRecord& service, AddressMove& move) {
  if (!service.request.requested_addresses.empty()) return;  // exactly that one is wanted
  auto with_others = replaced_.find(move.address);
  if (with_others != replaced_.end() && with_others->second.new_address.has_value()) {
    const Pool* pool = pools_.Find(with_others->second.new_pool);
    if (!rules_.Objection(*pool, service.request, move.address.family())) {
      move.new_address = with_others->second.new_address;
      move.new_pool = with_others->second.new_pool;
      return;
    }
  }
  PoolTable::Candidates candidates = pools_.CandidatesFor(service.request);
  for (Pool* pool : candidates) {
    if (pool->free(move.address.family()).empty()) continue;
    if (rules_.Objection(*pool, service.request, move.address.family())) continue;
    if (PickFrom(*pool, service, move)) break;
  }
  replaced_.insert_or_assign(move.address, move);
}

// False: the next pool is tried. As in the engine, but a remote picker is not asked.
bool Planner::PickFrom(Pool& pool, const ServiceRecord& service, AddressMove& move) {
  const PickerTable::Picker* picker = pickers_.Find(pickers_.NameFor(pool.config().address_picker));
  if (picker == nullptr || picker->stage == nullptr) return true;
  const PoolFreeSpace free(pool, move.address.family());
  const plugin::PickResult result = picker->stage->Pick({.service = service.request.key,
                                                         .pool = pool.name(),
                                                         .family = move.address.family(),
                                                         .seed = now_.seed,
                                                         .free = &free});
  if (result.verdict == plugin::PickResult::Verdict::kDeclined) return false;
  const bool usable = result.verdict == plugin::PickResult::Verdict::kAddress &&
                      pool.free(move.address.family()).Contains(result.address);
  if (!usable) return true;
  pools_.Take(result.address, pool.name());
  move.new_address = result.address;
  move.new_pool = pool.name();
  return true;
}

}  // namespace portolan::ipam
