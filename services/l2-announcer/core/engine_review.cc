// What an edit would do to what this node owns.
#include "services/l2-announcer/core/engine.h"

namespace portolan::l2 {

std::optional<std::vector<ReviewFinding>> Engine::Review(const ProposedConfig& proposed) const {
  if (!synced_) return std::nullopt;
  std::vector<Owned> owned;
  for (const auto& [interface, lan] : lans_) {
    for (const auto& [address, claim] : lan->claims()) {
      if (claim.phase != Claim::Phase::kOwner) continue;
      const auto service = services_.find(claim.wanted.service);
      if (service == services_.end()) continue;
      owned.push_back({service->first, address, interface, service->second.allocation});
    }
  }
  return l2::Review(config_, proposed, around_.node, owned);
}

}  // namespace portolan::l2
