// The path of a rule of RFC 8341 (node-instance-identifier) as steps: "/" is all data, a list
// without predicates is all its entries. Regular values and a pure function; module names stand for
// prefixes, as libyang prints such a path.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace portolan::config {

struct KeyPredicate {
  std::string key;  // "." is the value of a leaf-list's entry
  std::string value;
  friend bool operator==(const KeyPredicate&, const KeyPredicate&) = default;
};

struct PathStep {
  std::string module;
  std::string name;
  std::vector<KeyPredicate> predicates;  // those that are not there match everything
  friend bool operator==(const PathStep&, const PathStep&) = default;
};

// "/m:a/b[k='v']/n:c". A step without a module is of the one before it. INVALID_ARGUMENT: not such
// a path.
absl::StatusOr<std::vector<PathStep>> ParseNacmPath(absl::string_view text);

}  // namespace portolan::config
