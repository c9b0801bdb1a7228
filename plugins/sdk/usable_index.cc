#include "plugins/sdk/usable_index.h"

#include <algorithm>

namespace portolan::plugin {

UsableIndex::UsableIndex(absl::Span<const net::Range> ranges) : ranges_(ranges) {
  lasts_.reserve(ranges.size());
  for (const net::Range& range : ranges) {
    lasts_.push_back(lasts_.empty() ? range.SizeMinusOne()
                                    : lasts_.back() + range.SizeMinusOne() + 1);
  }
}

net::IpAddress UsableIndex::At(absl::uint128 number) const {
  const auto found = std::lower_bound(lasts_.begin(), lasts_.end(), number);
  const net::Range& range = ranges_[static_cast<size_t>(found - lasts_.begin())];
  return net::IpAddress::FromValue(range.family(), range.last().value() - (*found - number));
}

}  // namespace portolan::plugin
