#include "services/ipam-service/core/pool.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace portolan::ipam {
namespace {

// What a CIDR may hand out when its edges are reserved. /31, /32, /127 and /128 have none to spare.
net::Range WithoutEdges(const Block& block) {
  const int host_bits = net::FamilyBits(block.range.family()) - block.prefix_length;
  if (block.prefix_length == 0 || host_bits < 2) return block.range;
  return net::Range::Of(*block.range.first().Next(), *block.range.last().Previous()).value();
}

std::vector<net::Range> All(const FreeRanges& ranges) {
  return ranges.Lowest(std::numeric_limits<size_t>::max());
}

// `from` without `cuts`; both lowest first, disjoint, of one family.
std::vector<net::Range> Without(const std::vector<net::Range>& from,
                                const std::vector<net::Range>& cuts) {
  std::vector<net::Range> left;
  auto cut = cuts.begin();
  for (const net::Range& range : from) {
    std::optional<net::IpAddress> start = range.first();
    while (cut != cuts.end() && cut->last() < range.first()) ++cut;
    for (auto it = cut; it != cuts.end() && it->first() <= range.last() && start.has_value();
         ++it) {
      if (it->first() > *start) {
        left.push_back(net::Range::Of(*start, *it->first().Previous()).value());
      }
      start = it->last().Next();
    }
    if (start.has_value() && *start <= range.last()) {
      left.push_back(net::Range::Of(*start, range.last()).value());
    }
  }
  return left;
}

// The addresses of IPv4 ranges that end in .0 or .255.
void InsertBuggy(const std::vector<net::Range>& ranges, FreeRanges& buggy) {
  const auto insert = [&](const net::Range& range, uint64_t value) {
    const net::IpAddress address = net::IpAddress::FromValue(net::Family::kIpv4, value);
    if (range.Contains(address)) buggy.Insert(address);
  };
  for (const net::Range& range : ranges) {
    const auto last = static_cast<uint64_t>(range.last().value());
    for (auto net = static_cast<uint64_t>(range.first().value()) & ~uint64_t{0xff}; net <= last;
         net += 0x100) {
      insert(range, net);
      insert(range, net + 0xff);
    }
  }
}

bool AnyContains(const std::vector<net::Range>& ranges, const net::IpAddress& address) {
  auto above = std::upper_bound(
      ranges.begin(), ranges.end(), address,
      [](const net::IpAddress& a, const net::Range& range) { return a < range.first(); });
  return above != ranges.begin() && std::prev(above)->Contains(address);
}

}  // namespace

Pool::Pool(PoolConfig config) { Configure(std::move(config)); }

void Pool::Configure(PoolConfig config) {
  config_ = std::move(config);
  for (net::Family family : kFamilies) {
    FreeRanges covered(family);
    FreeRanges usable(family);
    FreeRanges cuts(family);
    for (const Block& block : config_.blocks) {
      if (block.range.family() != family) continue;
      covered.Insert(block.range);
      usable.Insert(config_.allow_first_last ? block.range : WithoutEdges(block));
    }
    for (const Block& block : config_.excluded) {
      if (block.range.family() == family) cuts.Insert(block.range);
    }
    if (config_.avoid_buggy_ips && family == net::Family::kIpv4) InsertBuggy(All(covered), cuts);
    std::vector<net::Range> left = Without(All(usable), All(cuts));
    if (All(covered) == this->covered(family) && left == this->usable(family)) continue;
    covered_[FamilyIndex(family)] = All(covered);
    usable_[FamilyIndex(family)] = std::move(left);
    DropFree();
  }
}

bool Pool::Covers(const net::IpAddress& address) const {
  return AnyContains(covered(address.family()), address);
}

bool Pool::MayHandOut(const net::IpAddress& address) const {
  return AnyContains(usable(address.family()), address);
}

void Pool::ResetFree(const plugin::History& history, const ReleaseTable* releases) {
  DropFree();
  kept_history_ = history;
  for (net::Family family : kFamilies) {
    std::unique_ptr<PoolHistory>& past = history_[FamilyIndex(family)];
    if (history.kept) past = std::make_unique<PoolHistory>(family, releases, history.cool_down);
    for (const net::Range& range : usable(family)) {
      free(family).Insert(range);
      if (past != nullptr) past->AddFree(range);
    }
  }
  held_reserved_ = {0, 0};
  free_is_kept_ = true;
}

void Pool::AddPast(absl::Time now) {
  for (net::Family family : kFamilies) {
    PoolHistory* past = history_[FamilyIndex(family)].get();
    if (past == nullptr) continue;
    for (const net::Range& range : usable(family)) {
      for (const net::IpAddress& address : past->AddPast(range, now)) free(family).Erase(address);
    }
  }
}

void Pool::TakeFree(const net::IpAddress& address) {
  const net::Family family = address.family();
  PoolHistory* past = history_[FamilyIndex(family)].get();
  const bool cooled = past != nullptr && past->Take(address);
  if (!cooled && !free(family).Erase(address)) ++held_reserved_[FamilyIndex(family)];
}

void Pool::GiveFree(const net::IpAddress& address, absl::Time now) {
  const net::Family family = address.family();
  if (!MayHandOut(address)) {
    --held_reserved_[FamilyIndex(family)];
    return;
  }
  PoolHistory* past = history_[FamilyIndex(family)].get();
  const bool cools = past != nullptr && past->Give(address, now);
  if (!cools) free(family).Insert(address);
}

const Release* Pool::Cooling(const net::IpAddress& address) const {
  const PoolHistory* past = history(address.family());
  return past == nullptr ? nullptr : past->Cooling(address);
}

bool Pool::EndCoolDowns(net::Family family, absl::Time now) {
  PoolHistory* past = history_[FamilyIndex(family)].get();
  if (past == nullptr) return false;
  const std::vector<net::IpAddress> ended = past->EndCoolDowns(now);
  for (const net::IpAddress& address : ended) free(family).Insert(address);
  return !ended.empty();
}

void Pool::ForgetPast(const net::IpAddress& address) {
  PoolHistory* past = history_[FamilyIndex(address.family())].get();
  if (past != nullptr && past->Forget(address)) free(address.family()).Insert(address);
}

Pool::Counts Pool::CountsOf(net::Family family) const {
  Counts counts;
  AddressCount handed;
  for (const net::Range& range : covered(family)) counts.total.Add(range);
  for (const net::Range& range : usable(family)) handed.Add(range);
  counts.available = free(family).count();
  counts.used = handed.Minus(counts.available).Minus(AddressCount(cooling(family)));
  counts.used.Add(held_reserved_[FamilyIndex(family)]);
  counts.reserved = counts.total.Minus(counts.used).Minus(counts.available);
  return counts;
}

void Pool::DropFree() {
  for (net::Family family : kFamilies) {
    free(family).Clear();
    history_[FamilyIndex(family)].reset();
  }
  kept_history_ = {};
  free_is_kept_ = false;
}

}  // namespace portolan::ipam
