// The labels of one object, packed into one string: a tenth of the memory of a map, made to be
// kept by the hundred thousand. A regular value type, immutable but for assignment.
//
// Views that it hands out live as long as the set is neither changed nor destroyed.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "services/base/selector/label_selector.h"

namespace portolan {

class LabelSet {
 public:
  LabelSet() = default;
  LabelSet(const Labels& labels);  // NOLINT(google-explicit-constructor): the same value

  // Nothing: there is no such label. Linear, as the sets are small.
  std::optional<absl::string_view> Find(absl::string_view key) const;
  // Calls visit(key, value) with string_views, in the order of keys.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t at = 0; at < packed_.size();) {
      const absl::string_view key = Next(at);
      visit(key, Next(at));
    }
  }
  Labels ToLabels() const;
  bool empty() const { return packed_.empty(); }

  friend bool operator==(const LabelSet&, const LabelSet&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const LabelSet& set) {
    return H::combine(std::move(h), set.packed_);
  }

 private:
  // The text at `at`, which moves behind it.
  absl::string_view Next(size_t& at) const;

  std::string packed_;  // length, key, length, value, ...; lengths in groups of 7 bits, low first
};

}  // namespace portolan
