#include "services/ipam-service/core/release_table.h"

#include <algorithm>

namespace portolan::ipam {

void ReleaseTable::Set(const net::IpAddress& address, Release release) {
  Forget(address);
  last_stamp_ = std::max(last_stamp_, release.released_unix_ms);
  by_stamp_.emplace(release.released_unix_ms, address);
  releases_.insert_or_assign(address, std::move(release));
}

void ReleaseTable::Load(const ReleaseRow& row, Moment now) {
  const absl::Duration ago =
      std::max(now.wall - absl::FromUnixMillis(row.released_unix_ms), absl::ZeroDuration());
  Set(row.address, {row.service, row.released_unix_ms, now.steady - ago});
}

void ReleaseTable::Note(const net::IpAddress& address, absl::string_view service, Moment now) {
  const int64_t stamp = std::max(absl::ToUnixMillis(now.wall), last_stamp_ + 1);
  Set(address, {std::string(service), stamp, now.steady});
}

void ReleaseTable::Forget(const net::IpAddress& address) {
  auto it = releases_.find(address);
  if (it == releases_.end()) return;
  by_stamp_.erase({it->second.released_unix_ms, address});
  releases_.erase(it);
}

const Release* ReleaseTable::Find(const net::IpAddress& address) const {
  auto it = releases_.find(address);
  return it == releases_.end() ? nullptr : &it->second;
}

void ReleaseTable::ForEachIn(
    const net::Range& range,
    absl::FunctionRef<void(const net::IpAddress&, const Release&)> visit) const {
  for (auto it = releases_.lower_bound(range.first());
       it != releases_.end() && it->first <= range.last(); ++it) {
    visit(it->first, it->second);
  }
}

ReleaseRow ReleaseTable::RowOf(const net::IpAddress& address) const {
  const Release& release = releases_.at(address);
  return {address, release.service, release.released_unix_ms};
}

std::vector<net::IpAddress> ReleaseTable::Surplus() const {
  std::vector<net::IpAddress> surplus;
  if (releases_.size() <= kMaxReleases) return surplus;
  const size_t count = releases_.size() - kMaxReleases + kForgottenAtOnce - 1;
  for (const auto& [stamp, address] : by_stamp_) {
    if (surplus.size() == count) break;
    surplus.push_back(address);
  }
  return surplus;
}

}  // namespace portolan::ipam
