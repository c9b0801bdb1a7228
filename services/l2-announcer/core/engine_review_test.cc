// What an edit would do to the addresses that a node answers for, before it is done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/l2-announcer/core/testing_world.h"

namespace portolan::l2 {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReviewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.StartAll({"a", "b"});
    world_.Allocate("shop/web", {"172.18.255.200"});
    world_.RunFor(absl::Seconds(10));
    owner_ = world_.Ask("172.18.255.200").at(0);
    as_configured_.policies["all"] = Policy{};
    for (const char* node : {"a", "b"}) as_configured_.nodes[node] = Labels{{"name", node}};
  }
  std::vector<ReviewFinding> Review(const ProposedConfig& proposed) {
    const auto findings = world_[owner_].engine->Review(proposed);
    EXPECT_TRUE(findings.has_value());
    return findings.value_or(std::vector<ReviewFinding>());
  }

  static LabelSelector Only(const std::string& node) {
    return LabelSelector({{"name", LabelSelector::Operator::kIn, {node}}});
  }

  World world_;
  std::string owner_;
  ProposedConfig as_configured_;
};

TEST_F(ReviewTest, WhatChangesNothingIsNotWorthAWord) {
  EXPECT_THAT(Review(as_configured_), IsEmpty());
  as_configured_.policies["lan"] = Policy{.interfaces = {"lan"}};
  EXPECT_THAT(Review(as_configured_), IsEmpty());
}

TEST_F(ReviewTest, NamesTheInterfaceThatIsNotThere) {
  as_configured_.policies["dmz"] = Policy{.interfaces = {"lan", "eth7"}};
  const std::vector<ReviewFinding> findings = Review(as_configured_);
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].path, "/portolan-l2:l2/policies/policy[name='dmz']");
  EXPECT_EQ(findings[0].rule, "interface-missing");
  EXPECT_EQ(findings[0].message,
            absl::StrCat("node ", owner_,
                         " has no interface \"eth7\", so policy \"dmz\" announces nothing there "
                         "until it comes"));
}

TEST_F(ReviewTest, AnInterfaceThatWasMissingBeforeIsNotToldAgain) {
  const Policy missing{.interfaces = {"eth7"}};
  world_.TellAll(PolicyChanged{"dmz", missing});
  as_configured_.policies["dmz"] = missing;
  EXPECT_THAT(Review(as_configured_), IsEmpty());
}

TEST_F(ReviewTest, AnInterfaceOfAPolicyForOtherNodesIsTheirMatter) {
  Policy elsewhere{.interfaces = {"eth7"}};
  elsewhere.nodes = Only("nobody");
  as_configured_.policies["dmz"] = elsewhere;
  EXPECT_THAT(Review(as_configured_), IsEmpty());
}

TEST_F(ReviewTest, SaysWhyAnInterfaceCannotBeUsed) {
  world_.Tell(owner_, InterfaceChanged{"eth1", Interface{.index = 9, .ethernet = true}});
  as_configured_.policies["dmz"] = Policy{.interfaces = {"eth1"}};
  const std::vector<ReviewFinding> findings = Review(as_configured_);
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].rule, "interface-unfit");
  EXPECT_THAT(findings[0].message, HasSubstr("it is down or has no carrier"));
}

TEST_F(ReviewTest, NamesTheAddressThatLosesItsAnnouncer) {
  as_configured_.policies.clear();
  std::vector<ReviewFinding> findings = Review(as_configured_);
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].rule, "address-unanswered");
  EXPECT_EQ(findings[0].message,
            absl::StrCat("node ", owner_,
                         " would no longer answer for 172.18.255.200 of service shop/web on lan, "
                         "and no policy leaves it to another node"));
  // To another node of the same policy.
  as_configured_.policies["all"].nodes = Only(owner_ == "a" ? "b" : "a");
  findings = Review(as_configured_);
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_THAT(findings[0].message, HasSubstr("; other nodes may, where a policy lets them"));
}

TEST_F(ReviewTest, TheEndOfTheStageTakesEveryAddress) {
  std::vector<std::string> addresses;
  for (int i = 1; i <= 30; ++i) addresses.push_back(absl::StrCat("172.18.254.", i));
  world_.Allocate("shop/web", addresses);
  world_.RunFor(absl::Seconds(10));
  ProposedConfig ended = as_configured_;
  ended.ends = true;
  const std::vector<ReviewFinding> findings = Review(ended);
  ASSERT_FALSE(findings.empty());
  EXPECT_LE(findings.size(), 21u);
  for (const ReviewFinding& finding : findings) EXPECT_EQ(finding.rule, "address-unanswered");
}

TEST(Review, NothingIsSaidBeforeEverythingIsKnown) {
  World world;
  world.Start("a");
  EXPECT_FALSE(world["a"].engine->Review({}).has_value());
}

}  // namespace
}  // namespace portolan::l2
