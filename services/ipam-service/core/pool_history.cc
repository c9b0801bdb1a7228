#include "services/ipam-service/core/pool_history.h"

namespace portolan::ipam {

void PoolHistory::AddFree(const net::Range& range) { unused_.Insert(range); }

std::vector<net::IpAddress> PoolHistory::AddPast(const net::Range& range, absl::Time now) {
  std::vector<net::IpAddress> cooling;
  releases_->ForEachIn(range, [&](const net::IpAddress& address, const Release& release) {
    if (!unused_.Erase(address)) return;  // somebody holds it, or it is not handed out
    const bool cools = EndOf(release) > now;
    (cools ? cooling_ : released_).emplace(release.released_unix_ms, address);
    if (cools) cooling.push_back(address);
  });
  return cooling;
}

bool PoolHistory::Take(const net::IpAddress& address) {
  if (unused_.Erase(address)) return false;
  const Release* release = releases_->Find(address);
  if (release == nullptr) return false;
  if (released_.erase({release->released_unix_ms, address}) > 0) return false;
  return cooling_.erase({release->released_unix_ms, address}) > 0;
}

bool PoolHistory::Give(const net::IpAddress& address, absl::Time now) {
  const Release* release = releases_->Find(address);
  if (release == nullptr) {
    unused_.Insert(address);
    return false;
  }
  const bool cools = EndOf(*release) > now;
  (cools ? cooling_ : released_).emplace(release->released_unix_ms, address);
  return cools;
}

bool PoolHistory::Forget(const net::IpAddress& address) {
  const Release* release = releases_->Find(address);
  if (release == nullptr) return false;
  const bool cooled = cooling_.erase({release->released_unix_ms, address}) > 0;
  if (cooled || released_.erase({release->released_unix_ms, address}) > 0) unused_.Insert(address);
  return cooled;
}

std::vector<net::IpAddress> PoolHistory::EndCoolDowns(absl::Time now) {
  std::vector<net::IpAddress> free;
  while (!cooling_.empty() && *next_end() <= now) {
    free.push_back(cooling_.begin()->second);
    released_.insert(*cooling_.begin());
    cooling_.erase(cooling_.begin());
  }
  return free;
}

std::optional<net::IpAddress> PoolHistory::LowestUnused() const {
  const std::vector<net::Range> lowest = unused_.Lowest(1);
  if (lowest.empty()) return std::nullopt;
  return lowest.front().first();
}

std::optional<net::IpAddress> PoolHistory::LongestReleased() const {
  if (released_.empty()) return std::nullopt;
  return released_.begin()->second;
}

const Release* PoolHistory::Cooling(const net::IpAddress& address) const {
  const Release* release = releases_->Find(address);
  if (release == nullptr || !cooling_.contains({release->released_unix_ms, address})) {
    return nullptr;
  }
  return release;
}

std::optional<absl::Time> PoolHistory::next_end() const {
  if (cooling_.empty()) return std::nullopt;
  return EndOf(*releases_->Find(cooling_.begin()->second));
}

}  // namespace portolan::ipam
