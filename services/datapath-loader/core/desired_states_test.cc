// Generations, pruning and refusals of what owners apply.
#include "services/datapath-loader/core/desired_states.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

const absl::Time kLater = absl::UnixEpoch() + absl::Seconds(9);

Submission Of(uint64_t generation, std::map<std::string, SubmittedService> services,
              const std::string& owner = "edge") {
  return {.owner = owner, .generation = generation, .services = std::move(services)};
}

class DesiredStatesTest : public testing::Test {
 protected:
  SubmissionPlan Do(const Submission& submission, absl::Time now = absl::UnixEpoch()) {
    auto plan = states_.Plan(submission, now);
    EXPECT_TRUE(plan.ok()) << plan.status();
    if (!plan.ok()) return {};
    states_.Set(submission.owner, plan->next);
    return *plan;
  }
  absl::Status Refusal(const Submission& submission) const {
    return states_.Plan(submission, kLater).status();
  }

  DesiredStates states_;
};

TEST_F(DesiredStatesTest, TheSameGenerationWithTheSameContentChangesNothing) {
  const Submission first = Of(1, {{"web", {"x", {"192.0.2.1"}}}});
  EXPECT_TRUE(Do(first).changed);
  const SubmissionPlan again = Do(first, kLater);
  EXPECT_FALSE(again.changed);
  EXPECT_EQ(again.next, states_.owners().at("edge"));
}

TEST_F(DesiredStatesTest, AGenerationThatDoesNotGrowIsRefusedWithTheOneInForce) {
  Do(Of(7, {{"web", {"x", {}}}}));
  for (const uint64_t generation : {7, 6}) {
    const absl::Status status = Refusal(Of(generation, {{"web", {"y", {}}}}));
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
    EXPECT_TRUE(absl::StrContains(status.message(), "not higher than 7, which owner edge"))
        << status;
  }
  EXPECT_EQ(Refusal(Of(6, {{"web", {"x", {}}}})).code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Refusal(Of(8, {{"web", {"y", {}}}})).ok());
}

TEST_F(DesiredStatesTest, GenerationsOfOwnersAreTheirOwn) {
  Do(Of(7, {{"web", {"x", {}}}}));
  EXPECT_TRUE(Do(Of(1, {{"web", {"y", {}}}}, "core")).changed);
  EXPECT_EQ(states_.owners().at("edge").in_force.at("web").content, "x");
}

TEST_F(DesiredStatesTest, WhatIsNotNamedAnyMoreGoesAndNothingOfOthersDoes) {
  Do(Of(1, {{"a", {"x", {}}}, {"b", {"x", {}}}}));
  Do(Of(1, {{"a", {"x", {}}}}, "core"));
  EXPECT_EQ(Do(Of(2, {{"b", {"x", {}}}})).removed, std::set<std::string>{"a"});
  EXPECT_EQ(Do(Of(3, {})).removed, std::set<std::string>{"b"});
  EXPECT_TRUE(states_.owners().at("edge").in_force.empty());
  EXPECT_EQ(states_.owners().at("core").in_force.size(), 1u);
  EXPECT_EQ(Refusal(Of(3, {{"b", {"x", {}}}})).code(), absl::StatusCode::kAborted)
      << "a generation outlives its services";
}

TEST_F(DesiredStatesTest, ARefusedServiceLeavesWhatWasInForceAndTheOthersChange) {
  Do(Of(1, {{"a", {"x", {}}}, {"b", {"x", {}}}}));
  const SubmissionPlan plan =
      Do(Of(2, {{"a", {"bad", {}, true}}, {"b", {"y", {}}}, {"new", {"bad", {}, true}}}));
  EXPECT_TRUE(plan.removed.empty());
  EXPECT_EQ(plan.next.in_force.at("a").content, "x");
  EXPECT_EQ(plan.next.in_force.at("b").content, "y");
  EXPECT_FALSE(plan.next.in_force.contains("new"));
  EXPECT_EQ(plan.next.sent.at("new"), "bad");
}

TEST_F(DesiredStatesTest, AnAddressCountsFromWhenItsServiceFirstHadIt) {
  Do(Of(1, {{"web", {"x", {"192.0.2.1"}}}}));
  const auto since =
      Do(Of(2, {{"web", {"y", {"192.0.2.1", "192.0.2.2"}}}}), kLater).next.in_force.at("web");
  EXPECT_EQ(since.since_unix_ms.at("192.0.2.1"), 0);
  EXPECT_EQ(since.since_unix_ms.at("192.0.2.2"), 9000);
}

TEST_F(DesiredStatesTest, NamesAndGenerationsThatThereAreNotAreRefusedWithTheField) {
  for (const std::string& owner : {std::string(), std::string("a/b"), std::string(64, 'a')}) {
    const absl::Status status = Refusal(Of(1, {}, owner));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StartsWith(status.message(), "owner: ")) << status;
  }
  EXPECT_TRUE(absl::StartsWith(Refusal(Of(0, {})).message(), "generation: "));
  EXPECT_TRUE(Refusal(Of(1, {}, std::string(63, 'a'))).ok());
}

}  // namespace
}  // namespace portolan::datapath
