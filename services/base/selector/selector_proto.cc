#include "services/base/selector/selector_proto.h"

#include <utility>
#include <vector>

namespace portolan {
namespace {

// An operator that this version does not know is met by nothing: In without values.
LabelSelector::Expression FromProto(const config::v1alpha1::MatchExpression& proto) {
  LabelSelector::Expression expression{.key = proto.key(),
                                       .values = {proto.values().begin(), proto.values().end()}};
  switch (proto.operator_()) {
    case config::v1alpha1::SELECTOR_OPERATOR_IN:
      expression.op = LabelSelector::Operator::kIn;
      break;
    case config::v1alpha1::SELECTOR_OPERATOR_NOT_IN:
      expression.op = LabelSelector::Operator::kNotIn;
      break;
    case config::v1alpha1::SELECTOR_OPERATOR_EXISTS:
      expression.op = LabelSelector::Operator::kExists;
      break;
    case config::v1alpha1::SELECTOR_OPERATOR_DOES_NOT_EXIST:
      expression.op = LabelSelector::Operator::kDoesNotExist;
      break;
    default:
      expression.op = LabelSelector::Operator::kIn;
      expression.values.clear();
      break;
  }
  return expression;
}

}  // namespace

LabelSelector FromProto(const config::v1alpha1::LabelSelector& proto) {
  std::vector<LabelSelector::Expression> expressions;
  for (const auto& [key, value] : FromProto(proto.match_labels())) {
    expressions.push_back({key, LabelSelector::Operator::kIn, {value}});
  }
  for (const auto& expression : proto.match_expressions()) {
    expressions.push_back(FromProto(expression));
  }
  return LabelSelector(std::move(expressions));
}

Labels FromProto(const google::protobuf::Map<std::string, std::string>& labels) {
  return Labels(labels.begin(), labels.end());
}

}  // namespace portolan
