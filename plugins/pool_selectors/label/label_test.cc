#include "plugins/pool_selectors/label/label.h"

#include <gtest/gtest.h>

#include "plugins/sdk/pool_selector.h"

namespace portolan::plugin {
namespace {

using Operator = LabelSelector::Operator;

struct Case {
  const char* claim;
  LabelSelector selector;
  std::vector<std::string> namespaces;
  std::string key;
  Labels labels;
  std::string reason;   // empty: no objection
  std::string message;  // a part of it
  std::vector<LabelSelector> namespace_selectors = {};
  Labels namespace_labels = {};
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"no selector takes everybody", {}, {}, "a/web", {}, "", ""},
      {"a listed namespace", {}, {"b", "a"}, "a/web", {}, "", ""},
      {"a namespace that is not listed",
       {},
       {"b"},
       "a/web",
       {},
       "namespace-mismatch",
       "namespace \"a\" is not in the pool's namespaces [b]"},
      {"the color is listed",
       LabelSelector({{"color", Operator::kIn, {"yellow", "red", "blue"}}}),
       {},
       "a/red",
       {{"color", "red"}},
       "",
       ""},
      {"the expression that failed is named",
       LabelSelector({{"color", Operator::kIn, {"yellow", "red", "blue"}}}),
       {},
       "a/green",
       {{"color", "green"}},
       "selector-mismatch",
       "color In [yellow, red, blue]"},
      {"the namespace cannot be forged with a label",
       LabelSelector({{std::string(LabelSelector::kNamespaceKey), Operator::kIn, {"tenant-a"}}}),
       {},
       "tenant-b/web",
       {{std::string(LabelSelector::kNamespaceKey), "tenant-a"}},
       "selector-mismatch",
       "io.kubernetes.service.namespace In [tenant-a]"},
  };
  return cases;
}

const std::vector<Case>& NamespaceCases() {
  static const std::vector<Case> cases = {
      {"a namespace whose labels match",
       {},
       {},
       "a/web",
       {},
       "",
       "",
       {LabelSelector({{"env", Operator::kIn, {"prod"}}})},
       {{"env", "prod"}}},
      {"a namespace is listed or matches",
       {},
       {"a"},
       "a/web",
       {},
       "",
       "",
       {LabelSelector({{"env", Operator::kIn, {"prod"}}})}},
      {"any of the namespace selectors is enough",
       {},
       {},
       "a/web",
       {},
       "",
       "",
       {LabelSelector({{"env", Operator::kIn, {"prod"}}}),
        LabelSelector({{"team", Operator::kExists, {}}})},
       {{"team", "x"}}},
      {"closed when no namespace matches",
       {},
       {"b"},
       "a/web",
       {{"env", "prod"}},
       "namespace-mismatch",
       "is not in the pool's namespaces [b] and has no labels that meet the pool's namespace "
       "selectors [env In [prod]]",
       {LabelSelector({{"env", Operator::kIn, {"prod"}}})}},
  };
  return cases;
}

TEST(Label, SaysWhichPartDidNotHold) {
  auto stage = NewLabelFactory()->Create("").value();
  const auto& label = dynamic_cast<PoolSelector&>(*stage);
  std::vector<Case> cases = Cases();
  cases.insert(cases.end(), NamespaceCases().begin(), NamespaceCases().end());
  for (const Case& c : cases) {
    auto refusal = label.Consider({"p", c.selector, c.namespaces, c.namespace_selectors},
                                  {c.key, c.labels, c.namespace_labels});
    EXPECT_EQ(refusal.has_value() ? refusal->reason : "", c.reason) << c.claim;
    if (!refusal.has_value()) continue;
    EXPECT_NE(refusal->message.find(c.message), std::string::npos) << refusal->message;
  }
}

TEST(Label, ItsRequirementNeverExcludesAServiceThatPasses) {
  auto stage = NewLabelFactory()->Create("").value();
  const auto& label = dynamic_cast<PoolSelector&>(*stage);
  std::vector<Case> cases = Cases();
  cases.insert(cases.end(), NamespaceCases().begin(), NamespaceCases().end());
  for (const Case& c : cases) {
    if (!c.reason.empty()) continue;
    auto requirement = label.Requires({"p", c.selector, c.namespaces, c.namespace_selectors});
    if (!requirement.has_value()) continue;
    const LabelSelector same({{requirement->key, Operator::kIn, requirement->values}});
    EXPECT_TRUE(same.Matches(c.key, c.labels)) << c.claim;
  }
}

}  // namespace
}  // namespace portolan::plugin
