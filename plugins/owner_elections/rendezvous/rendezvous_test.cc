#include "plugins/owner_elections/rendezvous/rendezvous.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/sdk/owner_election.h"

namespace portolan::plugin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::unique_ptr<Stage> NewStage() { return *NewRendezvousFactory()->Create(""); }

std::vector<std::string> Order(absl::string_view key, const std::vector<std::string>& candidates) {
  return dynamic_cast<OwnerElection&>(*NewStage()).Order(key, candidates);
}

TEST(Rendezvous, AnswerIsAPermutationOfTheCandidates) {
  EXPECT_THAT(Order("20.0.10.1", {"a", "b", "c"}), UnorderedElementsAre("a", "b", "c"));
  EXPECT_THAT(Order("20.0.10.1", {}), IsEmpty());
}

// Nodes of different versions must agree: these values never change.
TEST(Rendezvous, OrderIsFixedForEver) {
  EXPECT_THAT(Order("20.0.10.1", {"a", "b", "c"}), ElementsAre("c", "b", "a"));
  EXPECT_THAT(Order("20.0.10.2", {"a", "b", "c"}), ElementsAre("c", "a", "b"));
  EXPECT_THAT(Order("2001:db8::1", {"a", "b", "c"}), ElementsAre("a", "b", "c"));
}

TEST(Rendezvous, OrderOfTheCandidatesInTheCallDoesNotMatter) {
  EXPECT_EQ(Order("20.0.10.1", {"c", "a", "b"}), Order("20.0.10.1", {"a", "b", "c"}));
}

TEST(Rendezvous, OnlyTheKeysOfACandidateThatGoesMove) {
  for (int i = 0; i < 1000; ++i) {
    const std::string key = absl::StrCat("20.0.10.", i);
    const std::string before = Order(key, {"a", "b", "c"}).front();
    const std::string after = Order(key, {"a", "c"}).front();
    EXPECT_TRUE(before == "b" || after == before) << key;
  }
}

TEST(Rendezvous, KeysSpreadEvenly) {
  std::map<std::string, int> owned;
  for (int i = 0; i < 3000; ++i) ++owned[Order(absl::StrCat("20.0.10.", i), {"a", "b", "c"})[0]];
  for (const auto& [node, count] : owned) EXPECT_NEAR(count, 1000, 120) << node;
}

TEST(Rendezvous, RefusesSettingsBecauseItHasNone) {
  auto stage = NewRendezvousFactory()->Create("{\"weight\": 3}");
  ASSERT_FALSE(stage.ok());
  EXPECT_THAT(std::string(stage.status().message()), HasSubstr("rendezvous"));
}

}  // namespace
}  // namespace portolan::plugin
