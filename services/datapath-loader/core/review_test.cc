#include "services/datapath-loader/core/review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace portolan::datapath {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ReviewInput Input() {
  const MapRoom sizes{.flows = 1000, .frontends = 100, .backends = 200};
  return {.node = "a",
          .carries_before = true,
          .names_any = true,
          .loaded = sizes,
          .configured = sizes,
          .proposed = sizes,
          .in_use = {.frontends = 40, .backends = 80}};
}

std::vector<std::string> RulesOf(const std::vector<ReviewFinding>& findings) {
  std::vector<std::string> rules;
  for (const ReviewFinding& finding : findings) rules.push_back(finding.rule);
  return rules;
}

TEST(ReviewTest, WhatFitsIsNotWorthAWord) {
  ReviewInput input = Input();
  input.interfaces = {{"eth0", absl::OkStatus()}};
  EXPECT_THAT(Review(input), IsEmpty());
}

TEST(ReviewTest, AnInterfaceThatIsNotThereIsSaidAndNotRefused) {
  ReviewInput input = Input();
  input.interfaces = {{"eth7", absl::NotFoundError("no")}};
  const std::vector<ReviewFinding> findings = Review(input);
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_FALSE(findings[0].refuse);
  EXPECT_EQ(findings[0].rule, "interface-missing");
  EXPECT_EQ(findings[0].path, "/portolan-datapath:datapath/interfaces/interface[name='eth7']");
  EXPECT_EQ(findings[0].message,
            "node a has no interface \"eth7\", so nothing is carried there until it comes");
}

TEST(ReviewTest, AModeThatTheInterfaceCannotIsRefused) {
  ReviewInput input = Input();
  input.interfaces = {{"lo", absl::FailedPreconditionError("native XDP: driver lo cannot")}};
  const std::vector<ReviewFinding> findings = Review(input);
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_TRUE(findings[0].refuse);
  EXPECT_EQ(findings[0].rule, "interface-unfit");
  EXPECT_THAT(findings[0].message, HasSubstr("native XDP: driver lo cannot"));
  EXPECT_THAT(findings[0].remedy, HasSubstr("mode auto"));
}

TEST(ReviewTest, AMapWithLessRoomThanIsInUseIsRefusedAndSaysWhatWouldDo) {
  ReviewInput input = Input();
  input.proposed.frontends = 39;
  input.proposed.backends = 10;
  const std::vector<ReviewFinding> findings = Review(input);
  EXPECT_THAT(RulesOf(findings), ElementsAre("map-too-small", "map-too-small", "needs-restart"));
  EXPECT_TRUE(findings[0].refuse);
  EXPECT_EQ(findings[0].message,
            "node a carries 40 frontends, and max-frontends 39 has no room for 1 of them");
  EXPECT_EQ(findings[0].remedy, "set max-frontends to 40 or more");
  EXPECT_EQ(findings[1].path, "/portolan-datapath:datapath/settings/max-backends");
}

TEST(ReviewTest, OtherSizesNeedARestartUnlessTheyAreThoseThatAreLoaded) {
  ReviewInput input = Input();
  input.proposed.flows = 5000;
  EXPECT_THAT(RulesOf(Review(input)), ElementsAre("needs-restart"));
  EXPECT_FALSE(Review(input)[0].refuse);
  input.loaded.flows = 5000;
  EXPECT_THAT(Review(input), IsEmpty());
}

TEST(ReviewTest, SizesThatTheEditDoesNotTouchAreNotToldAgain) {
  ReviewInput input = Input();
  input.configured.frontends = input.proposed.frontends = 10;
  EXPECT_THAT(Review(input), IsEmpty());
}

TEST(ReviewTest, SaysThatNothingWouldBeCarriedAnyMore) {
  ReviewInput input = Input();
  input.names_any = false;
  EXPECT_THAT(RulesOf(Review(input)), ElementsAre("not-carried"));
  EXPECT_THAT(Review(input)[0].message, HasSubstr("no interface is left for its 40 frontends"));
  input.in_use = {};
  EXPECT_THAT(Review(input), IsEmpty());
}

TEST(ReviewTest, TheEndOfTheStageLeavesWhatIsInTheKernel) {
  ReviewInput input = Input();
  input.ends = true;
  ASSERT_THAT(Review(input), SizeIs(1));
  EXPECT_THAT(Review(input)[0].message, HasSubstr("what is in the kernel stays"));
}

}  // namespace
}  // namespace portolan::datapath
