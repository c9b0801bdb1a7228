#include "services/bgp-exporter/core/rib.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/bgp-exporter/core/community.h"

namespace portolan::bgp {
namespace {

std::optional<Mismatch> FindMismatch(const AdvertisementConfig& advertisement,
                                     const AllocationInput& allocation, const Grant& grant,
                                     const PeerConfig& peer) {
  const auto answer = [&](absl::string_view reason, std::string message) {
    return Mismatch{advertisement.key(), std::string(reason), std::move(message)};
  };
  if (!advertisement.problem.empty()) {
    return answer("rejected",
                  absl::StrCat("advertisement ", advertisement.name, ": ", advertisement.problem));
  }
  const std::string failed =
      advertisement.service_selector.FirstMismatch(allocation.key, allocation.labels);
  if (!failed.empty()) {
    return answer("selector-mismatch",
                  absl::StrCat("advertisement ", advertisement.name, ": service-selector \"",
                               failed, "\" does not hold for service ", allocation.key));
  }
  if (!advertisement.pools.empty() && advertisement.pools.count(grant.pool) == 0) {
    return answer("pool-mismatch",
                  absl::StrCat("advertisement ", advertisement.name, ": pool ", grant.pool, " of ",
                               grant.address.ToString(), " is not among its pools [",
                               absl::StrJoin(advertisement.pools, ", "), "]"));
  }
  if (!advertisement.peers.empty() && advertisement.peers.count(peer.name) == 0) {
    return answer("peer-mismatch", absl::StrCat("advertisement ", advertisement.name, ": peer ",
                                                peer.name, " is not among its peers [",
                                                absl::StrJoin(advertisement.peers, ", "), "]"));
  }
  return std::nullopt;
}

}  // namespace

std::optional<Wanted> Advertisements::Select(const AllocationInput& allocation, const Grant& grant,
                                             const PeerConfig& peer,
                                             std::vector<Mismatch>* mismatches) const {
  std::optional<Wanted> wanted;
  const std::string first = peer.instance + "/";
  for (auto it = by_key_.lower_bound(first); it != by_key_.end(); ++it) {
    const AdvertisementConfig& advertisement = it->second;
    if (advertisement.instance != peer.instance) break;
    if (auto mismatch = FindMismatch(advertisement, allocation, grant, peer)) {
      if (mismatches != nullptr) mismatches->push_back(*std::move(mismatch));
      continue;
    }
    if (!wanted.has_value()) wanted.emplace();
    wanted->local_preference = std::max(wanted->local_preference, advertisement.local_preference);
    wanted->communities.insert(wanted->communities.end(), advertisement.communities.begin(),
                               advertisement.communities.end());
  }
  if (!wanted.has_value()) return std::nullopt;
  auto& communities = wanted->communities;
  std::sort(communities.begin(), communities.end());
  communities.erase(std::unique(communities.begin(), communities.end()), communities.end());
  if (communities.size() > kMaxCommunities) communities.resize(kMaxCommunities);
  return wanted;
}

void MarkAsDraining(Wanted& wanted) {
  wanted.local_preference = 0;
  auto& communities = wanted.communities;
  const auto at = std::lower_bound(communities.begin(), communities.end(), kGracefulShutdown);
  if (at != communities.end() && *at == kGracefulShutdown) return;
  communities.insert(at, kGracefulShutdown);
  if (communities.size() <= kMaxCommunities) return;
  communities.erase(communities.front() == kGracefulShutdown ? communities.end() - 1
                                                             : communities.begin());
}

std::string EncodeDiff(const SessionEncoding& encoding, const PathDiff& diff) {
  std::string out;
  std::map<net::Family, std::vector<net::Prefix>> withdrawn;
  for (const net::Prefix& prefix : diff.withdraw) withdrawn[prefix.family()].push_back(prefix);
  for (const auto& [family, prefixes] : withdrawn) AppendWithdrawal(prefixes, out);

  std::map<std::pair<net::Family, RouteAttributes>, std::vector<net::Prefix>> groups;
  for (const auto& [prefix, route] : diff.announce) {
    groups[{prefix.family(), route.attributes}].push_back(prefix);
  }
  for (const auto& [group, prefixes] : groups) {
    AppendAnnouncement(encoding, group.second, prefixes, out);
  }
  return out;
}

void AdjRibOut::SetService(const std::string& service, std::map<net::Prefix, Wanted> routes) {
  std::vector<net::Prefix>& owned = by_service_[service];
  for (const net::Prefix& prefix : owned) {
    if (routes.count(prefix) > 0) continue;
    const auto it = wanted_.find(prefix);
    it->second.erase(service);
    if (it->second.empty()) wanted_.erase(it);
    dirty_.insert(prefix);
  }
  owned.clear();
  for (auto& [prefix, wanted] : routes) {
    owned.push_back(prefix);
    auto& claims = wanted_[prefix];
    const auto it = claims.find(service);
    if (it != claims.end() && it->second == wanted) continue;
    claims[service] = std::move(wanted);
    dirty_.insert(prefix);
  }
  if (owned.empty()) by_service_.erase(service);
}

PathDiff AdjRibOut::Diff(const NextHops& next_hops) {
  PathDiff diff;
  for (const net::Prefix& prefix : dirty_) {
    const auto wanted = wanted_.find(prefix);
    const auto hop = next_hops.find(prefix.family());
    const auto sent = sent_.find(prefix);
    if (wanted == wanted_.end() || hop == next_hops.end()) {
      if (sent == sent_.end()) continue;
      diff.withdraw.push_back(prefix);
      sent_.erase(sent);
      continue;
    }
    const auto& [service, claim] = *wanted->second.begin();
    SentRoute route{service, {hop->second, claim.communities, claim.local_preference}};
    if (sent != sent_.end() && sent->second == route) continue;
    diff.announce[prefix] = route;
    sent_[prefix] = std::move(route);
  }
  dirty_.clear();
  return diff;
}

void AdjRibOut::MarkAllDirty() {
  for (const auto& [prefix, claims] : wanted_) dirty_.insert(prefix);
  for (const auto& [prefix, route] : sent_) dirty_.insert(prefix);
}

}  // namespace portolan::bgp
