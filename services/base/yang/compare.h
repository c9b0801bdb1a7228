// What differs between two trees, leaf by leaf, for people to read and for the history of commits.
//
// Linear in the trees, which belong to the caller's thread for so long. Defaults that were not
// given count as absent. What a user orders is compared in its order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "services/base/yang/tree.h"

namespace portolan::yang {

// One leaf, one value of a leaf-list, one list entry or one presence container. Below an entry that
// came or went, its leaves follow; its keys, which are in the path, do not.
struct Difference {
  enum class Kind : uint8_t { kAdded, kRemoved, kChanged, kReordered };
  Kind kind = Kind::kAdded;
  std::string path;    // with key predicates; of kReordered: the list
  std::string before;  // value, canonical, "***" of a secret; empty: none, or not a leaf
  std::string after;
  friend bool operator==(const Difference&, const Difference&) = default;
};

struct Comparison {
  std::vector<Difference> differences;
  uint64_t more = 0;  // how many beyond those
  friend bool operator==(const Comparison&, const Comparison&) = default;
};

// One difference as nodes of the two trees. kAdded has no `before`, kRemoved no `after`; kReordered
// names one of the entries that moved.
struct NodeDifference {
  Difference::Kind kind = Difference::Kind::kAdded;
  Node before;
  Node after;
};

// Tells every difference; false from `visit` ends it.
void VisitDifferences(const Tree& from, const Tree& to,
                      const std::function<bool(const NodeDifference&)>& visit);

// Of trees of one context; the first `limit` differences, and how many more there are.
Comparison Compare(const Tree& from, const Tree& to, size_t limit);

// "+ /a:b/c: 1", "- /a:b/c: 1", "~ /a:b/c: 1 -> 2", "^ /a:b/list: order".
std::string ToText(const Difference& difference);

}  // namespace portolan::yang
