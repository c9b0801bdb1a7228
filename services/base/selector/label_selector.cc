#include "services/base/selector/label_selector.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/selector/label_set.h"

namespace portolan {
namespace {

using Value = std::optional<absl::string_view>;

Value Find(const Labels& labels, const std::string& key) {
  const auto it = labels.find(key);
  return it == labels.end() ? Value() : Value(it->second);
}
Value Find(const LabelSet& labels, const std::string& key) { return labels.Find(key); }

Value ValueOf(absl::string_view object_key, const auto& labels, const std::string& label_key) {
  const size_t slash = object_key.find('/');
  if (label_key == LabelSelector::kNamespaceKey) {
    return slash == absl::string_view::npos ? Value() : object_key.substr(0, slash);
  }
  if (label_key == LabelSelector::kNameKey) {
    return slash == absl::string_view::npos ? object_key : object_key.substr(slash + 1);
  }
  return Find(labels, label_key);
}

bool Holds(const LabelSelector::Expression& expression, const Value& value) {
  const auto listed = [&] {
    return std::find(expression.values.begin(), expression.values.end(), *value) !=
           expression.values.end();
  };
  switch (expression.op) {
    case LabelSelector::Operator::kIn:
      return value.has_value() && listed();
    case LabelSelector::Operator::kNotIn:
      return !value.has_value() || !listed();
    case LabelSelector::Operator::kExists:
      return value.has_value();
    case LabelSelector::Operator::kDoesNotExist:
      return !value.has_value();
  }
  return false;
}

std::string Text(const LabelSelector::Expression& expression) {
  const std::string values = absl::StrCat(" [", absl::StrJoin(expression.values, ", "), "]");
  switch (expression.op) {
    case LabelSelector::Operator::kIn:
      return absl::StrCat(expression.key, " In", values);
    case LabelSelector::Operator::kNotIn:
      return absl::StrCat(expression.key, " NotIn", values);
    case LabelSelector::Operator::kExists:
      return absl::StrCat(expression.key, " Exists");
    case LabelSelector::Operator::kDoesNotExist:
      return absl::StrCat(expression.key, " DoesNotExist");
  }
  return expression.key;
}

std::string MismatchOf(const std::vector<LabelSelector::Expression>& expressions,
                       absl::string_view key, const auto& labels) {
  for (const LabelSelector::Expression& expression : expressions) {
    if (!Holds(expression, ValueOf(key, labels, expression.key))) return Text(expression);
  }
  return "";
}

}  // namespace

std::string LabelSelector::FirstMismatch(absl::string_view key, const Labels& labels) const {
  return MismatchOf(expressions_, key, labels);
}

std::string LabelSelector::FirstMismatch(absl::string_view key, const LabelSet& labels) const {
  return MismatchOf(expressions_, key, labels);
}

std::string LabelSelector::ToString() const {
  return absl::StrJoin(expressions_, ", ", [](std::string* out, const Expression& expression) {
    absl::StrAppend(out, Text(expression));
  });
}

}  // namespace portolan
