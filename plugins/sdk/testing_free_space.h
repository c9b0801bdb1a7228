// For tests of pickers: a FreeSpace that is a plain list, and short ways to write addresses.
// Single-threaded; malformed text ends the test. Counts how often it is asked.
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

// Both lists lowest first and disjoint; `released` lists free addresses, longest ago first.
class ListFreeSpace : public FreeSpace {
 public:
  ListFreeSpace(std::vector<net::Range> usable, std::vector<net::Range> free,
                std::vector<net::IpAddress> released = {})
      : usable_(std::move(usable)), free_(std::move(free)), released_(std::move(released)) {}

  absl::Span<const net::Range> usable() const override { return usable_; }
  std::optional<net::Range> FirstFree(const net::IpAddress& from) const override {
    ++questions_;
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
  std::optional<net::IpAddress> LowestUnused() const override {
    for (const net::Range& range : free_) {
      for (std::optional<net::IpAddress> at = range.first(); at.has_value() && *at <= range.last();
           at = at->Next()) {
        if (std::find(released_.begin(), released_.end(), *at) == released_.end()) return at;
      }
    }
    return std::nullopt;
  }
  std::optional<net::IpAddress> LongestReleased() const override {
    if (released_.empty()) return std::nullopt;
    return released_.front();
  }
  int questions() const { return questions_; }  // how often FirstFree() was asked

 private:
  std::vector<net::Range> usable_;
  std::vector<net::Range> free_;
  std::vector<net::IpAddress> released_;
  mutable int questions_ = 0;
};

}  // namespace portolan::plugin
