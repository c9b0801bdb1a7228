// For tests of pickers: a FreeSpace that is a plain list, and short ways to write addresses.
// Single-threaded; malformed text ends the test.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/sdk/address_picker.h"

namespace portolan::plugin {

inline net::IpAddress TestAddress(const std::string& text) {
  return net::IpAddress::Parse(text).value();
}
inline net::Range TestRange(const std::string& first, const std::string& last) {
  return net::Range::Of(TestAddress(first), TestAddress(last)).value();
}

// Both lists lowest first and disjoint; single-threaded.
class ListFreeSpace : public FreeSpace {
 public:
  ListFreeSpace(std::vector<net::Range> usable, std::vector<net::Range> free)
      : usable_(std::move(usable)), free_(std::move(free)) {}

  absl::Span<const net::Range> usable() const override { return usable_; }
  std::optional<net::Range> FirstFree(const net::IpAddress& from) const override {
    for (const net::Range& range : free_) {
      if (range.last() < from) continue;
      return net::Range::Of(std::max(from, range.first()), range.last()).value();
    }
    return std::nullopt;
  }
  std::optional<net::Range> LastFree(const net::IpAddress& to) const override {
    for (auto range = free_.rbegin(); range != free_.rend(); ++range) {
      if (range->first() > to) continue;
      return net::Range::Of(range->first(), std::min(to, range->last())).value();
    }
    return std::nullopt;
  }

 private:
  std::vector<net::Range> usable_;
  std::vector<net::Range> free_;
};

}  // namespace portolan::plugin
