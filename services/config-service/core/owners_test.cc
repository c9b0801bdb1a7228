#include "services/config-service/core/owners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/config-service/core/engine.h"

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr absl::Time kNow = absl::UnixEpoch();
const Owners kOwners(std::map<std::string, Writer>{
    {"/a", Writer::kOperator}, {"/f", Writer::kFile}, {"/k", Writer::kKube}});

TEST(Owners, WhoWroteAnEntryMayWriteItAgainAndNobodysIsFree) {
  EXPECT_THAT(RefusalOf(kOwners, {{"/a"}, {"/new"}}, Writer::kOperator), IsEmpty());
  EXPECT_THAT(RefusalOf(kOwners, {{"/f"}}, Writer::kFile), IsEmpty());
  EXPECT_THAT(RefusalOf(kOwners, {{"/k", false}}, Writer::kKube), IsEmpty());
}

TEST(Owners, ARefusalNamesTheOwnerThePathAndTheRemedy) {
  const auto of_file = RefusalOf(kOwners, {{"/f"}}, Writer::kOperator);
  ASSERT_THAT(of_file, SizeIs(1));
  EXPECT_EQ(of_file[0].path, "/f");
  EXPECT_EQ(of_file[0].rule, "owned");
  EXPECT_EQ(of_file[0].message,
            "it belongs to the configuration file that Portolan was started with, and operator may "
            "not change it");
  EXPECT_THAT(of_file[0].remedy, HasSubstr("--take-over"));
  const auto of_operator = RefusalOf(kOwners, {{"/a", false}}, Writer::kKube);
  ASSERT_THAT(of_operator, SizeIs(1));
  EXPECT_THAT(of_operator[0].message, HasSubstr("operators"));
  EXPECT_THAT(of_operator[0].message, HasSubstr("kube may not remove it"));
  EXPECT_THAT(RefusalOf(kOwners, {{"/k"}}, Writer::kFile).at(0).message, HasSubstr("Kubernetes"));
}

TEST(Owners, TwentyAreNamedAndTheOthersCounted) {
  std::map<std::string, Writer> many;
  std::vector<TouchedEntry> touched;
  for (int i = 0; i < 23; ++i) {
    const std::string path = absl::StrCat("/", i);
    many[path] = Writer::kFile;
    touched.push_back({path});
  }
  const auto problems = RefusalOf(Owners(many), touched, Writer::kOperator);
  ASSERT_THAT(problems, SizeIs(21));
  EXPECT_THAT(problems.back().message, HasSubstr("3 more"));
}

TEST(Owners, WhatWasTouchedBelongsToTheWriterAndWhatIsGoneToNobody) {
  const Owners after = OwnersAfter(kOwners, {{"/f"}, {"/new"}, {"/k", false}}, Writer::kOperator);
  EXPECT_THAT(*after, ElementsAre(Pair("/a", Writer::kOperator), Pair("/f", Writer::kOperator),
                                  Pair("/new", Writer::kOperator)));
  EXPECT_EQ(&*OwnersAfter(kOwners, {{"/a"}, {"/gone", false}}, Writer::kOperator), &*kOwners);
}

class OwnedTest : public ::testing::Test {
 protected:
  OwnedTest() {
    Restored restored;
    restored.revision = 4;
    restored.owners = kOwners;
    engine_.Handle(std::move(restored), kNow);
    engine_.Handle(Started{}, kNow);
  }
  std::vector<Effect> Propose(EditProposed edit) {
    edit.id = 1;
    return engine_.Handle(std::move(edit), kNow);
  }
  Engine engine_;
};

TEST_F(OwnedTest, AnEditOfWhatAnotherWroteIsRefusedUnlessItTakesItOver) {
  auto effects = Propose({.writer = Writer::kOperator, .touched = {{"/f"}}});
  EXPECT_THAT(std::get<Answer>(effects.at(0)).problems.at(0).rule, "owned");
  effects = Propose({.writer = Writer::kOperator, .touched = {{"/f"}}, .take_over = true});
  const Owners& owners = std::get<WriteJournal>(effects.at(0)).owners;
  EXPECT_EQ(owners->at("/f"), Writer::kOperator);
  EXPECT_EQ(owners->at("/k"), Writer::kKube);
  engine_.Handle(JournalWritten{1}, kNow);
  effects = Propose({.writer = Writer::kFile, .touched = {{"/f"}}});
  EXPECT_THAT(std::get<Answer>(effects.at(0)).problems.at(0).rule, "owned");
}

TEST_F(OwnedTest, ACommitThatFailsChangesNoOwner) {
  Propose({.writer = Writer::kOperator, .touched = {{"/new"}}});
  engine_.Handle(JournalWritten{1, "disk full"}, kNow);
  const auto effects = Propose({.writer = Writer::kFile, .touched = {{"/new"}}});
  EXPECT_TRUE(std::holds_alternative<WriteJournal>(effects.at(0)));
}

TEST_F(OwnedTest, ADryRunSaysItToo) {
  const auto effects =
      Propose({.dry_run = true, .writer = Writer::kKube, .touched = {{"/a", false}}});
  EXPECT_THAT(std::get<Answer>(effects.at(0)).problems.at(0).rule, "owned");
}

TEST_F(OwnedTest, ARollbackBringsTheOwnersBackWithTheConfiguration) {
  const Owners back(std::map<std::string, Writer>{{"/f", Writer::kOperator}});
  const auto effects = Propose(
      {.writer = Writer::kOperator, .touched = {{"/f"}, {"/k", false}}, .owners_back = back});
  EXPECT_EQ(*std::get<WriteJournal>(effects.at(0)).owners, *back);
}

}  // namespace
}  // namespace portolan::config
