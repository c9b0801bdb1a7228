#include "services/datapath-loader/core/frontend_owners.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace portolan::datapath {

std::set<std::string> FrontendOwners::SetClaims(const std::string& service, Claims claims) {
  std::set<std::string> concerned;
  std::set<FrontendKey> changed;
  Claims& known = by_service_[service];
  for (const auto& [frontend, claim] : known) {
    if (claims.contains(frontend)) continue;
    changed.insert(frontend);
    const auto entry = claims_.find(frontend);
    entry->second.erase(service);
    if (entry->second.empty()) claims_.erase(entry);
  }
  for (const auto& [frontend, claim] : claims) {
    const auto before = known.find(frontend);
    if (before != known.end() && before->second == claim) continue;
    changed.insert(frontend);
    claims_[frontend][service] = claim;
  }
  known = std::move(claims);
  if (known.empty()) by_service_.erase(service);
  for (const FrontendKey& frontend : changed) Settle(frontend, concerned);
  return concerned;
}

std::set<std::string> FrontendOwners::Begin() {
  begun_ = true;
  std::set<std::string> concerned;
  for (const auto& [frontend, claims] : claims_) Settle(frontend, concerned);
  return concerned;
}

void FrontendOwners::Settle(const FrontendKey& frontend, std::set<std::string>& concerned) {
  if (!begun_) return;
  const auto owner = owners_.find(frontend);
  const auto claims = claims_.find(frontend);
  if (claims == claims_.end()) {
    if (owner == owners_.end()) return;
    concerned.insert(owner->second);
    owners_.erase(owner);
    return;
  }
  const auto rank = [](const auto& claim) {
    return std::tie(claim.second.lingering, claim.second.since_unix_ms, claim.first);
  };
  const auto best =
      std::min_element(claims->second.begin(), claims->second.end(),
                       [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  if (owner != owners_.end()) {
    const auto held = claims->second.find(owner->second);
    const bool keeps =
        held != claims->second.end() && (!held->second.lingering || best->second.lingering);
    if (keeps) return;
    concerned.insert(owner->second);
  }
  owners_[frontend] = best->first;
  for (const auto& [service, claim] : claims->second) concerned.insert(service);
}

const std::string* FrontendOwners::OwnerOf(const FrontendKey& frontend) const {
  const auto owner = owners_.find(frontend);
  return owner == owners_.end() ? nullptr : &owner->second;
}

bool FrontendOwners::ClaimsOn(const std::string& service, const net::IpAddress& address) const {
  const auto claims = by_service_.find(service);
  if (claims == by_service_.end()) return false;
  const auto first = claims->second.lower_bound({address, 0, 0});
  return first != claims->second.end() && first->first.address == address;
}

}  // namespace portolan::datapath
