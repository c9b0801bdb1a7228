// Kubernetes label selectors over Services and nodes: all expressions must hold.
// A regular value type; matching is pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace portolan {

using Labels = std::map<std::string, std::string>;
class LabelSet;

class LabelSelector {
 public:
  enum class Operator { kIn, kNotIn, kExists, kDoesNotExist };
  struct Expression {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values;
    friend bool operator==(const Expression&, const Expression&) = default;
  };

  // Answered from the object's key, so that a tenant cannot forge them with a label.
  static constexpr absl::string_view kNamespaceKey = "io.kubernetes.service.namespace";
  static constexpr absl::string_view kNameKey = "io.kubernetes.service.name";

  // Matches everything.
  LabelSelector() = default;
  explicit LabelSelector(std::vector<Expression> expressions)
      : expressions_(std::move(expressions)) {}

  // All expressions hold. `key` is "NAMESPACE/NAME"; for a node, its plain name.
  // NotIn holds when the label is absent, as in Kubernetes.
  bool Matches(absl::string_view key, const Labels& labels) const {
    return FirstMismatch(key, labels).empty();
  }
  // The first expression that does not hold, as text: "color In [yellow, red]"; empty: all hold.
  std::string FirstMismatch(absl::string_view key, const Labels& labels) const;
  std::string FirstMismatch(absl::string_view key, const LabelSet& labels) const;

  const std::vector<Expression>& expressions() const { return expressions_; }
  bool matches_everything() const { return expressions_.empty(); }
  std::string ToString() const;
  friend bool operator==(const LabelSelector&, const LabelSelector&) = default;

 private:
  std::vector<Expression> expressions_;
};

}  // namespace portolan
