// Commits on trial: what the engine says when they are confirmed, extended, cancelled or forgotten.
#include "services/config-service/core/trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/config-service/core/engine.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

Snapshot With(const std::string& pool) {
  Snapshot snapshot;
  snapshot.pools[pool] = Pool{.name = pool};
  return snapshot;
}

template <typename T>
std::optional<T> Find(const std::vector<Effect>& effects) {
  for (const Effect& effect : effects) {
    if (const T* found = std::get_if<T>(&effect); found != nullptr) return *found;
  }
  return std::nullopt;
}

// Runs edits to their end: the disk works and ipam-service says `moves`.
class TrialTest : public ::testing::Test {
 protected:
  TrialTest() {
    engine_.Handle(Restored{.running = With("old"), .revision = 5}, now_);
    engine_.Handle(Started(), now_);
  }

  Answer Do(EditProposed edit) {
    edit.id = ++id_;
    std::vector<Effect> effects = engine_.Handle(std::move(edit), now_);
    if (Find<AskPlan>(effects).has_value()) {
      effects = engine_.Handle(Planned{id_, moves_, ""}, now_);
    }
    written_ = Find<WriteJournal>(effects);
    if (written_.has_value()) effects = engine_.Handle(JournalWritten{id_}, now_);
    wake_ = Find<WakeAt>(effects);
    return *Find<Answer>(effects);
  }
  Answer Try(const std::string& pool, absl::Duration timeout, Claim claim = {},
             const std::string& persist_id = "") {
    return Do({.candidate = With(pool),
               .claim = std::move(claim),
               .trial = TrialRequest{timeout, persist_id}});
  }
  Answer End(Purpose purpose, Claim claim = {}) {
    const bool keep = purpose == Purpose::kConfirm;
    return Do({.candidate = keep ? engine_.running() : With("old"),
               .purpose = purpose,
               .claim = std::move(claim)});
  }
  // The edit that a GoBack asks for.
  Answer Follow(const GoBack& back) {
    return Do({.candidate = With("old"),
               .purpose = Purpose::kGoBack,
               .trial_revision = back.trial_revision});
  }
  std::string RuleOf(const Answer& answer) {
    return answer.problems.empty() ? "" : answer.problems[0].rule;
  }

  Engine engine_;
  absl::Time now_ = kStart;
  uint64_t id_ = 0;
  std::vector<AddressMove> moves_;
  std::optional<WriteJournal> written_;
  std::optional<WakeAt> wake_;
};

TEST_F(TrialTest, EditOfAnOlderRevisionIsRefused) {
  EXPECT_EQ(RuleOf(Do({.candidate = With("a"), .base_revision = 5})), "");
  const Answer answer = Do({.candidate = With("b"), .base_revision = 5});
  EXPECT_EQ(RuleOf(answer), "running-changed");
  EXPECT_THAT(answer.problems[0].message, HasSubstr("revision 6"));
}

TEST_F(TrialTest, JournalHasTheDeadlineAndTheWayBack) {
  EXPECT_EQ(RuleOf(Try("new", absl::Seconds(60))), "");
  ASSERT_TRUE(written_.has_value() && written_->trial.has_value());
  EXPECT_EQ(written_->trial->base_revision, 5u);
  EXPECT_EQ(written_->trial->revision, 6u);
  EXPECT_EQ(written_->trial->deadline, kStart + absl::Seconds(60));
  ASSERT_TRUE(wake_.has_value());
  EXPECT_EQ(wake_->time, kStart + absl::Seconds(60));
}

TEST_F(TrialTest, GoesBackWhenNobodyConfirmsInTime) {
  Try("new", absl::Seconds(60));
  now_ += absl::Seconds(59);
  EXPECT_FALSE(Find<GoBack>(engine_.Handle(TimePassed(), now_)).has_value());
  now_ += absl::Seconds(1);
  const auto back = Find<GoBack>(engine_.Handle(TimePassed(), now_));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->base_revision, 5u);
  EXPECT_THAT(Follow(*back).problems, IsEmpty());
  EXPECT_EQ(engine_.running(), With("old"));
  EXPECT_EQ(engine_.revision(), 7u);
  EXPECT_FALSE(engine_.trial().has_value());
}

// The disk was full, say.
TEST_F(TrialTest, AsksAgainToGoBackUntilItIsDone) {
  Try("new", absl::Seconds(60));
  now_ += absl::Minutes(2);
  const auto wake = Find<WakeAt>(engine_.Handle(TimePassed(), now_));
  ASSERT_TRUE(wake.has_value());
  EXPECT_GT(wake->time, now_);
  now_ = wake->time;
  EXPECT_TRUE(Find<GoBack>(engine_.Handle(TimePassed(), now_)).has_value());
}

TEST_F(TrialTest, ConfirmKeepsTheConfigurationAsANewRevision) {
  Try("new", absl::Seconds(60));
  EXPECT_EQ(RuleOf(End(Purpose::kConfirm)), "");
  EXPECT_FALSE(written_->trial.has_value());
  EXPECT_EQ(engine_.running(), With("new"));
  EXPECT_EQ(engine_.revision(), 7u);
  now_ += absl::Minutes(2);
  EXPECT_THAT(engine_.Handle(TimePassed(), now_), IsEmpty());
}

TEST_F(TrialTest, CancelBringsBackWhatWasBefore) {
  Try("new", absl::Seconds(60));
  EXPECT_EQ(RuleOf(End(Purpose::kCancel)), "");
  EXPECT_EQ(engine_.running(), With("old"));
  EXPECT_FALSE(engine_.trial().has_value());
}

TEST_F(TrialTest, WithoutATrialThereIsNothingToConfirmOrCancel) {
  EXPECT_EQ(RuleOf(End(Purpose::kConfirm)), "nothing-to-confirm");
  EXPECT_EQ(RuleOf(End(Purpose::kCancel)), "nothing-to-confirm");
  EXPECT_EQ(RuleOf(Do({.candidate = With("x"), .claim = {0, "token"}})), "persist-id");
}

TEST_F(TrialTest, AnotherTrialExtendsAndTheWayBackStays) {
  Try("new", absl::Seconds(60));
  now_ += absl::Seconds(50);
  EXPECT_EQ(RuleOf(Try("newer", absl::Seconds(60))), "");
  EXPECT_EQ(engine_.trial()->base_revision, 5u);
  EXPECT_EQ(engine_.trial()->deadline, kStart + absl::Seconds(110));
}

// The wake-up of the first was under way when the second was committed.
TEST_F(TrialTest, GoBackOfAnExtendedTrialIsRefused) {
  Try("new", absl::Seconds(60));
  now_ += absl::Seconds(60);
  const auto back = Find<GoBack>(engine_.Handle(TimePassed(), now_));
  Try("newer", absl::Seconds(60));
  EXPECT_EQ(RuleOf(Follow(*back)), "nothing-to-confirm");
  EXPECT_EQ(engine_.running(), With("newer"));
}

TEST_F(TrialTest, OtherEditsWaitUntilItIsOver) {
  Try("new", absl::Seconds(60));
  const Answer answer = Do({.candidate = With("other")});
  EXPECT_EQ(RuleOf(answer), "confirm-pending");
  EXPECT_THAT(answer.problems[0].message, HasSubstr("revision 6"));
  EXPECT_THAT(answer.problems[0].remedy, HasSubstr("portolan config confirm"));
  EXPECT_EQ(RuleOf(Do({.candidate = With("other"), .dry_run = true})), "");
}

TEST_F(TrialTest, OnlyItsSessionConfirmsATrialWithoutPersistId) {
  Do({.candidate = With("new"),
      .purpose = Purpose::kCommit,
      .claim = {.session = 7},
      .trial = TrialRequest{absl::Seconds(60), ""}});
  const Answer other =
      Do({.candidate = With("new"), .purpose = Purpose::kCommit, .claim = {.session = 8}});
  EXPECT_EQ(RuleOf(other), "confirm-pending");
  EXPECT_THAT(other.problems[0].message, HasSubstr("session 7"));
  EXPECT_EQ(RuleOf(End(Purpose::kConfirm)), "confirm-pending");
  EXPECT_EQ(
      RuleOf(Do({.candidate = With("new"), .purpose = Purpose::kCommit, .claim = {.session = 7}})),
      "");
  EXPECT_FALSE(engine_.trial().has_value());
}

TEST_F(TrialTest, AnybodyWhoNamesThePersistIdConfirms) {
  Try("new", absl::Seconds(60), {.session = 7}, "token");
  EXPECT_EQ(engine_.trial()->session, 0u);
  EXPECT_EQ(RuleOf(End(Purpose::kConfirm, {.session = 7})), "persist-id");
  EXPECT_EQ(RuleOf(End(Purpose::kCancel, {.persist_id = "other"})), "persist-id");
  EXPECT_EQ(RuleOf(Try("newer", absl::Seconds(9), {.persist_id = "token"})), "");
  EXPECT_EQ(engine_.trial()->persist_id, "token");
  EXPECT_EQ(RuleOf(End(Purpose::kConfirm, {.session = 9, .persist_id = "token"})), "");
}

TEST_F(TrialTest, EndsWithItsSession) {
  Try("new", absl::Seconds(60), {.session = 7});
  EXPECT_THAT(engine_.Handle(SessionEnded{8}, now_), IsEmpty());
  const auto back = Find<GoBack>(engine_.Handle(SessionEnded{7}, now_));
  ASSERT_TRUE(back.has_value());
  EXPECT_THAT(back->reason, HasSubstr("session 7"));
  EXPECT_THAT(Follow(*back).problems, IsEmpty());
}

TEST_F(TrialTest, WithPersistIdItOutlivesItsSession) {
  Try("new", absl::Seconds(60), {.session = 7}, "token");
  EXPECT_THAT(engine_.Handle(SessionEnded{7}, now_), IsEmpty());
}

// An edit that would move addresses is refused, the way back never.
TEST_F(TrialTest, GoingBackIsNotRefusedForAddressesInUse) {
  Try("new", absl::Seconds(60));
  now_ += absl::Minutes(2);
  const auto back = Find<GoBack>(engine_.Handle(TimePassed(), now_));
  moves_ = {{.service = "a/b", .address = "20.0.0.1", .pool = "new"}};
  EXPECT_THAT(Follow(*back).problems, IsEmpty());
  EXPECT_FALSE(written_->allow_renumber);
}

TEST_F(TrialTest, GoingBackMovesAddressesWhenTheTrialWasAllowedTo) {
  Do({.candidate = With("new"),
      .allow_renumber = true,
      .trial = TrialRequest{absl::Seconds(60), ""}});
  now_ += absl::Minutes(2);
  Follow(*Find<GoBack>(engine_.Handle(TimePassed(), now_)));
  EXPECT_TRUE(written_->allow_renumber);
}

TEST_F(TrialTest, RefusedJournalLeavesTheTrialBefore) {
  Try("new", absl::Seconds(60));
  engine_.Handle(EditProposed{.id = 99, .candidate = With("new"), .purpose = Purpose::kConfirm},
                 now_);
  engine_.Handle(JournalWritten{99, "disk full"}, now_);
  EXPECT_TRUE(engine_.trial().has_value());
}

Restored WithTrial(absl::Time deadline, bool over) {
  Restored restored{.running = With("new"), .revision = 6};
  restored.trial = Trial{.base_revision = 5, .revision = 6, .deadline = deadline};
  restored.trial_is_over = over;
  return restored;
}

TEST(TrialOverARestart, GoesOnUntilItsDeadline) {
  Engine engine;
  engine.Handle(WithTrial(kStart + absl::Seconds(9), false), kStart);
  const auto effects = engine.Handle(Started(), kStart);
  EXPECT_FALSE(Find<GoBack>(effects).has_value());
  ASSERT_TRUE(Find<WakeAt>(effects).has_value());
  EXPECT_EQ(Find<WakeAt>(effects)->time, kStart + absl::Seconds(9));
}

TEST(TrialOverARestart, GoesBackAtOnceWhenItsTimePassedMeanwhile) {
  Engine engine;
  engine.Handle(WithTrial(kStart - absl::Seconds(9), false), kStart);
  EXPECT_TRUE(Find<GoBack>(engine.Handle(Started(), kStart)).has_value());
}

TEST(TrialOverARestart, GoesBackAtOnceWhenItCannotGoOn) {
  Engine engine;
  engine.Handle(WithTrial(kStart + absl::Hours(9), true), kStart);
  EXPECT_TRUE(Find<GoBack>(engine.Handle(Started(), kStart)).has_value());
  EXPECT_TRUE(Find<GoBack>(engine.Handle(TimePassed(), kStart)).has_value());
}

}  // namespace
}  // namespace portolan::config
