#include "services/base/selector/selector_proto.h"

#include <utility>
#include <vector>

namespace portolan {
namespace {

LabelSelector::Operator FromProto(config::v1alpha1::SelectorOperator op) {
  switch (op) {
    case config::v1alpha1::SELECTOR_OPERATOR_IN:
      return LabelSelector::Operator::kIn;
    case config::v1alpha1::SELECTOR_OPERATOR_NOT_IN:
      return LabelSelector::Operator::kNotIn;
    case config::v1alpha1::SELECTOR_OPERATOR_DOES_NOT_EXIST:
      return LabelSelector::Operator::kDoesNotExist;
    default:
      return LabelSelector::Operator::kExists;
  }
}

}  // namespace

LabelSelector FromProto(const config::v1alpha1::LabelSelector& proto) {
  std::vector<LabelSelector::Expression> expressions;
  for (const auto& [key, value] : FromProto(proto.match_labels())) {
    expressions.push_back({key, LabelSelector::Operator::kIn, {value}});
  }
  for (const auto& expression : proto.match_expressions()) {
    expressions.push_back({expression.key(),
                           FromProto(expression.operator_()),
                           {expression.values().begin(), expression.values().end()}});
  }
  return LabelSelector(std::move(expressions));
}

Labels FromProto(const google::protobuf::Map<std::string, std::string>& labels) {
  return Labels(labels.begin(), labels.end());
}

}  // namespace portolan
