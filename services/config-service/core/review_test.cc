// Whom an edit concerns, and what their answers do to it.
#include "services/config-service/core/review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "services/config-service/core/engine.h"

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Time kNow = absl::UnixEpoch();

std::vector<std::string> AskedBy(const Snapshot& from, const Snapshot& to) {
  std::vector<std::string> components;
  for (const ReviewQuestion& question : QuestionsOf(from, to)) {
    components.push_back(question.component + (question.ends ? " ends" : ""));
  }
  return components;
}

TEST(QuestionsOf, OnlyThoseWhosePartDiffersAreAsked) {
  const Snapshot nothing;
  EXPECT_THAT(AskedBy(nothing, nothing), IsEmpty());
  EXPECT_THAT(AskedBy(nothing, {.pools = {{"p", Pool{}}}}), IsEmpty());
  EXPECT_THAT(AskedBy(nothing, {.services = {{"a/b", Service{}}}}), IsEmpty());
  EXPECT_THAT(AskedBy(nothing, {.bgp_peers = {{"i/p", BgpPeer{}}}}), ElementsAre("bgp"));
  EXPECT_THAT(AskedBy(nothing, {.l2_policies = {{"p", L2Policy{}}}}), ElementsAre("l2"));
  EXPECT_THAT(AskedBy(nothing, {.datapath_interfaces = {{"e", DatapathInterface{}}}}),
              ElementsAre("datapath"));
  EXPECT_THAT(AskedBy(nothing, {.nodes = {{"n", Node{}}}}), ElementsAre("bgp", "l2"));
}

TEST(QuestionsOf, AQuestionHasTheWholePartAndNothingElse) {
  const Snapshot to{.pools = {{"p", Pool{}}},
                    .bgp_instances = {{"i", BgpInstance{}}},
                    .bgp_peers = {{"i/p", BgpPeer{}}}};
  const std::vector<ReviewQuestion> questions = QuestionsOf({}, to);
  ASSERT_THAT(questions, SizeIs(1));
  EXPECT_THAT(questions[0].part.pools, IsEmpty());
  EXPECT_THAT(questions[0].part.bgp_instances, SizeIs(1));
  EXPECT_THAT(questions[0].part.bgp_peers, SizeIs(1));
}

TEST(QuestionsOf, AStageThatEndsIsAskedAndOneThatDoesNotRunIsNot) {
  const Snapshot runs{.pipeline_stages = {{"bgp", {"bgp", true}}}};
  Snapshot rests{.pipeline_stages = {{"bgp", {"bgp", false}}}};
  EXPECT_THAT(AskedBy(runs, rests), ElementsAre("bgp ends"));
  EXPECT_THAT(AskedBy(rests, runs), IsEmpty());
  const Snapshot before = rests;
  rests.bgp_peers["i/p"] = BgpPeer{};
  EXPECT_THAT(AskedBy(before, rests), IsEmpty());
}

class ReviewTest : public ::testing::Test {
 protected:
  ReviewTest() {
    engine_.Handle(Started{}, kNow);
    candidate_.bgp_peers["i/p"] = BgpPeer{.instance = "i", .name = "p", .address = "10.0.0.1"};
    candidate_.l2_policies["l"] = L2Policy{.name = "l"};
  }
  // What comes when the services answer this.
  std::vector<Effect> Answered(std::vector<Reviewed> answers, Purpose purpose = Purpose::kEdit) {
    const auto asked =
        engine_.Handle(EditProposed{.id = 1, .candidate = candidate_, .purpose = purpose}, kNow);
    EXPECT_THAT(asked, SizeIs(answers.size()));
    std::vector<Effect> effects;
    for (size_t i = 0; i < answers.size(); ++i) {
      EXPECT_THAT(effects, IsEmpty());  // not before all have answered
      EXPECT_EQ(std::get<AskReview>(asked.at(i)).question.component, answers[i].component);
      answers[i].id = 1;
    }
    for (Reviewed& answer : answers) effects = engine_.Handle(std::move(answer), kNow);
    return effects;
  }

  static ReviewFinding Finding(bool refuse) {
    return {refuse, {.path = "/a", .rule = "r", .message = "it breaks", .remedy = "do not"}};
  }

  Engine engine_;
  Snapshot candidate_;
};

TEST_F(ReviewTest, AServiceThatRefusesMakesTheCommitFailWithItsReason) {
  const auto effects =
      Answered({{.component = "bgp"}, {.component = "l2", .findings = {Finding(true)}}});
  ASSERT_THAT(effects, SizeIs(1));
  const Answer& answer = std::get<Answer>(effects[0]);
  EXPECT_THAT(answer.problems, ElementsAre(Finding(true).problem));
  EXPECT_EQ(answer.revision, 0u);
  EXPECT_EQ(engine_.running(), Snapshot());
  // And the next one goes on.
  EXPECT_TRUE(std::holds_alternative<WriteJournal>(
      Answered({{.component = "bgp"}, {.component = "l2"}}).at(0)));
}

TEST_F(ReviewTest, WhatIsOnlySaidIsAWarningOfTheCommit) {
  auto effects = Answered(
      {{.component = "bgp", .findings = {Finding(false)}}, {.component = "l2", .unasked = "away"}});
  ASSERT_TRUE(std::holds_alternative<WriteJournal>(effects.at(0)));
  effects = engine_.Handle(JournalWritten{1}, kNow);
  const Answer& answer = std::get<Answer>(effects.back());
  EXPECT_THAT(answer.problems, IsEmpty());
  ASSERT_THAT(answer.warnings, SizeIs(2));
  EXPECT_EQ(answer.warnings[0], "it breaks; do not");
  EXPECT_THAT(answer.warnings[1], HasSubstr("l2-announcer of this node could not be asked"));
  EXPECT_THAT(answer.warnings[1], HasSubstr("(away)"));
}

TEST_F(ReviewTest, ADryRunSaysTheSameAndChangesNothing) {
  engine_.Handle(EditProposed{.id = 1, .candidate = candidate_, .dry_run = true}, kNow);
  EXPECT_THAT(engine_.Handle(Reviewed{1, "bgp", {Finding(true)}}, kNow), IsEmpty());
  const auto effects = engine_.Handle(Reviewed{1, "l2", {Finding(false)}}, kNow);
  const Answer& answer = std::get<Answer>(effects.at(0));
  EXPECT_THAT(answer.problems, SizeIs(1));
  EXPECT_THAT(answer.warnings, SizeIs(1));
  EXPECT_EQ(engine_.running(), Snapshot());
}

TEST_F(ReviewTest, GoingBackIsRefusedByNobody) {
  Restored restored{.running = {}, .revision = 2};
  restored.trial = Trial{.base_revision = 1, .revision = 2};
  engine_.Handle(std::move(restored), kNow);
  const auto effects = Answered(
      {{.component = "bgp"}, {.component = "l2", .findings = {Finding(true)}}}, Purpose::kCancel);
  EXPECT_TRUE(std::holds_alternative<WriteJournal>(effects.at(0)));
}

TEST(Review, NobodyIsAskedBeforeTheStart) {
  Engine engine;
  const auto effects = engine.Handle(
      EditProposed{.id = 1, .candidate = {.l2_policies = {{"l", L2Policy{.name = "l"}}}}}, kNow);
  EXPECT_TRUE(std::holds_alternative<WriteJournal>(effects.at(0)));
}

}  // namespace
}  // namespace portolan::config
