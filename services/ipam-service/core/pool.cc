#include "services/ipam-service/core/pool.h"

#include <algorithm>
#include <limits>
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
    for (const Block& block : config_.blocks) {
      if (block.range.family() != family) continue;
      covered.Insert(block.range);
      usable.Insert(config_.allow_first_last ? block.range : WithoutEdges(block));
    }
    if (All(covered) == this->covered(family) && All(usable) == this->usable(family)) continue;
    covered_[FamilyIndex(family)] = All(covered);
    usable_[FamilyIndex(family)] = All(usable);
    DropFree();
  }
}

bool Pool::Covers(const net::IpAddress& address) const {
  return AnyContains(covered(address.family()), address);
}

bool Pool::MayHandOut(const net::IpAddress& address) const {
  return AnyContains(usable(address.family()), address);
}

void Pool::ResetFree() {
  for (net::Family family : kFamilies) {
    free(family).Clear();
    for (const net::Range& range : usable(family)) free(family).Insert(range);
  }
  free_is_kept_ = true;
}

void Pool::DropFree() {
  for (net::Family family : kFamilies) free(family).Clear();
  free_is_kept_ = false;
}

}  // namespace portolan::ipam
