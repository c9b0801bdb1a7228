#include "services/ipam-service/core/free_ranges.h"

#include <algorithm>

namespace portolan::ipam {

net::Range FreeRanges::ToRange(absl::uint128 first, absl::uint128 last) const {
  return net::Range::Of(net::IpAddress::FromValue(family_, first),
                        net::IpAddress::FromValue(family_, last))
      .value();
}

FreeRanges::Map::const_iterator FreeRanges::Before(absl::uint128 value) const {
  auto it = ranges_.upper_bound(value);
  return it == ranges_.begin() ? ranges_.end() : std::prev(it);
}

void FreeRanges::Insert(const net::Range& range) {
  absl::uint128 first = range.first().value();
  absl::uint128 last = range.last().value();
  // Swallow every range that touches [first - 1, last + 1].
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin()) {
    auto before = std::prev(it);
    if (before->second >= first || before->second + 1 == first) it = before;
  }
  while (it != ranges_.end() &&
         (it->first <= last || (last != absl::Uint128Max() && it->first == last + 1))) {
    count_.Subtract(ToRange(it->first, it->second));
    first = std::min(first, it->first);
    last = std::max(last, it->second);
    it = ranges_.erase(it);
  }
  ranges_.emplace(first, last);
  count_.Add(ToRange(first, last));
}

void FreeRanges::Insert(const net::IpAddress& address) {
  Insert(net::Range::Of(address, address).value());
}

bool FreeRanges::Erase(const net::IpAddress& address) {
  const absl::uint128 value = address.value();
  auto found = Before(value);
  if (found == ranges_.end() || found->second < value) return false;
  const absl::uint128 first = found->first;
  const absl::uint128 last = found->second;
  if (first == value) {
    ranges_.erase(found);
  } else {
    ranges_.find(first)->second = value - 1;
  }
  if (last != value) ranges_.emplace(value + 1, last);
  count_.Subtract(1);
  return true;
}

void FreeRanges::Clear() {
  ranges_.clear();
  count_ = AddressCount();
}

bool FreeRanges::Contains(const net::IpAddress& address) const {
  if (address.family() != family_) return false;
  auto found = Before(address.value());
  return found != ranges_.end() && found->second >= address.value();
}

std::optional<net::Range> FreeRanges::FirstFrom(const net::IpAddress& from) const {
  auto found = Before(from.value());
  if (found != ranges_.end() && found->second >= from.value()) {
    return ToRange(from.value(), found->second);
  }
  auto next = ranges_.upper_bound(from.value());
  if (next == ranges_.end()) return std::nullopt;
  return ToRange(next->first, next->second);
}

std::optional<net::Range> FreeRanges::LastUpTo(const net::IpAddress& to) const {
  auto found = Before(to.value());
  if (found == ranges_.end()) return std::nullopt;
  return ToRange(found->first, std::min(found->second, to.value()));
}

std::vector<net::Range> FreeRanges::Lowest(size_t limit) const {
  std::vector<net::Range> lowest;
  for (const auto& [first, last] : ranges_) {
    if (lowest.size() == limit) break;
    lowest.push_back(ToRange(first, last));
  }
  return lowest;
}

}  // namespace portolan::ipam
