#include "services/base/selector/label_selector.h"

#include <gtest/gtest.h>

#include "services/base/selector/selector_proto.h"

namespace portolan {
namespace {

using Operator = LabelSelector::Operator;

struct Case {
  const char* claim;
  LabelSelector::Expression expression;
  Labels labels;
  bool matches;
};

TEST(LabelSelectorTest, EachOperatorMeansWhatKubernetesSays) {
  const Case cases[] = {
      {"In, listed", {"color", Operator::kIn, {"red", "blue"}}, {{"color", "red"}}, true},
      {"In, not listed", {"color", Operator::kIn, {"red"}}, {{"color", "green"}}, false},
      {"In, absent", {"color", Operator::kIn, {"red"}}, {}, false},
      {"NotIn, listed", {"color", Operator::kNotIn, {"red"}}, {{"color", "red"}}, false},
      {"NotIn, absent", {"color", Operator::kNotIn, {"red"}}, {}, true},
      {"Exists, there", {"color", Operator::kExists, {}}, {{"color", ""}}, true},
      {"Exists, absent", {"color", Operator::kExists, {}}, {}, false},
      {"DoesNotExist, there", {"color", Operator::kDoesNotExist, {}}, {{"color", "x"}}, false},
      {"DoesNotExist, absent", {"color", Operator::kDoesNotExist, {}}, {}, true},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(LabelSelector({c.expression}).Matches("tenant/web", c.labels), c.matches) << c.claim;
  }
}

TEST(LabelSelectorTest, NamespaceAndNameComeFromTheKeyAndCannotBeForged) {
  const LabelSelector selector(
      {{std::string(LabelSelector::kNamespaceKey), Operator::kIn, {"tenant-c"}}});
  EXPECT_TRUE(selector.Matches("tenant-c/yellow", {}));
  EXPECT_FALSE(selector.Matches("tenant-d/yellow",
                                {{std::string(LabelSelector::kNamespaceKey), "tenant-c"}}));
}

TEST(LabelSelectorTest, NamesTheExpressionThatDoesNotHold) {
  const LabelSelector selector(
      {{"tier", Operator::kExists, {}}, {"color", Operator::kIn, {"yellow", "red", "blue"}}});
  EXPECT_EQ(selector.FirstMismatch("b/green", {{"tier", "1"}, {"color", "green"}}),
            "color In [yellow, red, blue]");
}

TEST(LabelSelectorTest, WithoutExpressionsMatchesEverything) {
  EXPECT_TRUE(LabelSelector().Matches("a/b", {}));
}

TEST(SelectorProtoTest, KeepsLabelsAndExpressions) {
  config::v1alpha1::LabelSelector proto;
  (*proto.mutable_match_labels())["color"] = "green";
  auto* expression = proto.add_match_expressions();
  expression->set_key("tier");
  expression->set_operator_(config::v1alpha1::SELECTOR_OPERATOR_NOT_IN);
  expression->add_values("test");
  EXPECT_EQ(FromProto(proto).ToString(), "color In [green], tier NotIn [test]");
}

// Of a publisher that is newer than this. It must not let more in than it was meant to.
TEST(SelectorProtoTest, AnUnknownOperatorIsMetByNothingAndNamesItsKey) {
  for (const int op : {0, 99}) {
    config::v1alpha1::LabelSelector proto;
    auto* expression = proto.add_match_expressions();
    expression->set_key("tier");
    expression->set_operator_(static_cast<config::v1alpha1::SelectorOperator>(op));
    expression->add_values("gold");
    const LabelSelector selector = FromProto(proto);
    EXPECT_FALSE(selector.Matches("a/b", {}));
    EXPECT_FALSE(selector.Matches("a/b", {{"tier", "gold"}}));
    EXPECT_EQ(selector.FirstMismatch("a/b", {{"tier", "gold"}}), "tier In []");
  }
}

}  // namespace
}  // namespace portolan
