#include "services/base/selector/label_set.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/hash/hash.h"

namespace portolan {
namespace {

TEST(LabelSet, GivesBackWhatItWasMadeOf) {
  const std::string long_value(70'000, 'x');
  const std::string odd("a\0b", 3);
  for (const Labels& labels : {Labels{}, Labels{{"", ""}}, Labels{{"app", "web"}, {"tier", ""}},
                               Labels{{odd, odd}, {"long", long_value}}}) {
    const LabelSet set(labels);
    EXPECT_EQ(set.ToLabels(), labels);
    EXPECT_EQ(set.empty(), labels.empty());
    for (const auto& [key, value] : labels) EXPECT_EQ(set.Find(key), value);
    EXPECT_FALSE(set.Find("missing").has_value());
  }
}

TEST(LabelSet, EqualSetsAreEqualAndHashAlike) {
  const LabelSet a(Labels{{"a", "1"}, {"b", "2"}});
  const LabelSet b(Labels{{"b", "2"}, {"a", "1"}});
  EXPECT_EQ(a, b);
  EXPECT_EQ(absl::HashOf(a), absl::HashOf(b));
  EXPECT_NE(a, LabelSet(Labels{{"a", "12"}}));
  EXPECT_NE(LabelSet(Labels{{"a", "bc"}}), LabelSet(Labels{{"ab", "c"}}));
}

TEST(LabelSet, SelectorsMatchItAsTheyMatchAMap) {
  using Operator = LabelSelector::Operator;
  const Labels labels = {{"color", "red"}, {"tier", "gold"}};
  const LabelSelector selectors[] = {
      LabelSelector({{"color", Operator::kIn, {"blue", "red"}}}),
      LabelSelector({{"color", Operator::kNotIn, {"red"}}}),
      LabelSelector({{"zone", Operator::kDoesNotExist, {}}, {"tier", Operator::kExists, {}}}),
      LabelSelector({{std::string(LabelSelector::kNamespaceKey), Operator::kIn, {"ns"}}}),
      LabelSelector({{std::string(LabelSelector::kNameKey), Operator::kIn, {"ns"}}}),
  };
  for (const LabelSelector& selector : selectors) {
    EXPECT_EQ(selector.FirstMismatch("ns/web", LabelSet(labels)),
              selector.FirstMismatch("ns/web", labels))
        << selector.ToString();
  }
}

}  // namespace
}  // namespace portolan
