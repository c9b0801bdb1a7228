#include "services/config-service/core/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Time kNow = absl::UnixEpoch();

Service MakeService(const std::string& name, uint32_t port = 80) {
  return Service{.name_space = "default", .name = name, .ports = {{.name = "http", .port = port}}};
}

Snapshot WithServices(std::vector<Service> services) {
  Snapshot snapshot;
  for (Service& service : services) {
    snapshot.services[service.name_space + "/" + service.name] = std::move(service);
  }
  return snapshot;
}

Snapshot WithPool(const std::string& cidr, Snapshot snapshot = {}) {
  snapshot.pools["p"] = Pool{.name = "p", .blocks = {{.id = "a", .cidr = cidr}}};
  return snapshot;
}

template <typename T>
const T& Only(const std::vector<Effect>& effects) {
  EXPECT_THAT(effects, SizeIs(1));
  return std::get<T>(effects.at(0));
}

// Proposes and reports success; answers what was published.
std::vector<Change> Commit(Engine* engine, Snapshot candidate, uint64_t id = 1) {
  Only<WriteJournal>(engine->Handle(EditProposed{id, std::move(candidate)}, kNow));
  const std::vector<Effect> effects = engine->Handle(JournalWritten{id}, kNow);
  EXPECT_THAT(std::get<Answer>(effects.back()).problems, IsEmpty());
  return effects.size() == 2 ? std::get<Publish>(effects[0]).changes : std::vector<Change>();
}

TEST(Engine, PublishesNothingBeforeTheJournalHasIt) {
  Engine engine;
  engine.Handle(Started{}, kNow);
  const auto effects = engine.Handle(EditProposed{7, WithPool("20.0.10.0/24")}, kNow);
  EXPECT_EQ(Only<WriteJournal>(effects).id, 7u);
  EXPECT_EQ(Only<WriteJournal>(effects).revision, 1u);
  EXPECT_EQ(engine.revision(), 0u);
  EXPECT_EQ(engine.running(), Snapshot());

  const auto done = engine.Handle(JournalWritten{7}, kNow);
  ASSERT_THAT(done, SizeIs(2));
  EXPECT_THAT(std::get<Publish>(done[0]).changes, SizeIs(1));
  EXPECT_EQ(std::get<Answer>(done[1]).revision, 1u);
  EXPECT_EQ(engine.running(), WithPool("20.0.10.0/24"));
}

TEST(Engine, RefusesWithAllProblemsAndChangesNothing) {
  Engine engine;
  engine.Handle(Started{}, kNow);
  Commit(&engine, WithPool("20.0.10.0/24"));
  const auto effects = engine.Handle(EditProposed{2, WithPool("20.0.10.1/24")}, kNow);
  const Answer& answer = Only<Answer>(effects);
  ASSERT_THAT(answer.problems, SizeIs(1));
  EXPECT_EQ(answer.problems[0].rule, "cidr");
  EXPECT_EQ(answer.revision, 1u);
  EXPECT_EQ(engine.running(), WithPool("20.0.10.0/24"));
}

TEST(Engine, FailedJournalLeavesRunningAndNamesTheReason) {
  Engine engine;
  engine.Handle(Started{}, kNow);
  engine.Handle(EditProposed{3, WithPool("20.0.10.0/24")}, kNow);
  const auto effects = engine.Handle(JournalWritten{3, "No space left on device"}, kNow);
  const Answer& answer = Only<Answer>(effects);
  ASSERT_THAT(answer.problems, SizeIs(1));
  EXPECT_EQ(answer.problems[0].rule, "journal");
  EXPECT_THAT(answer.problems[0].message, ::testing::HasSubstr("No space left on device"));
  EXPECT_EQ(engine.running(), Snapshot());
  EXPECT_EQ(engine.revision(), 0u);
  // And the next edit goes on as if nothing had been.
  EXPECT_THAT(Commit(&engine, WithPool("20.0.10.0/24"), 4), SizeIs(1));
  EXPECT_EQ(engine.revision(), 1u);
}

TEST(Engine, DryRunOnlyAnswers) {
  Engine engine;
  engine.Handle(Started{}, kNow);
  EXPECT_THAT(
      Only<Answer>(engine.Handle(EditProposed{1, WithPool("1.0.0.0/24"), true}, kNow)).problems,
      IsEmpty());
  EXPECT_THAT(
      Only<Answer>(engine.Handle(EditProposed{1, WithPool("1.0.0.1/24"), true}, kNow)).problems,
      SizeIs(1));
  EXPECT_EQ(engine.running(), Snapshot());
}

TEST(Engine, TakesOneEditAtATime) {
  Engine engine;
  engine.Handle(EditProposed{1, WithPool("1.0.0.0/24")}, kNow);
  const auto second = engine.Handle(EditProposed{2, WithPool("2.0.0.0/24")}, kNow);
  EXPECT_EQ(Only<Answer>(second).problems.at(0).rule, "busy");
  EXPECT_THAT(engine.Handle(JournalWritten{2}, kNow), IsEmpty());
  engine.Handle(JournalWritten{1}, kNow);
  EXPECT_EQ(engine.running(), WithPool("1.0.0.0/24"));
}

TEST(Engine, GenerationIsTheRevisionOfTheServicesLastChange) {
  Engine engine;
  engine.Handle(Started{}, kNow);
  const auto first = Commit(&engine, WithServices({MakeService("a"), MakeService("b")}));
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(first[0].generation, 1u);

  // A change elsewhere moves no generation; one of b moves only that of b.
  EXPECT_EQ(Commit(&engine, WithPool("1.0.0.0/24", engine.running()))[0].generation, 0u);
  Snapshot changed = engine.running();
  changed.services["default/b"].ports[0].port = 81;
  const auto second = Commit(&engine, changed);
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(second[0].key, "default/b");
  EXPECT_EQ(second[0].generation, 3u);
}

TEST(Engine, GenerationOfARecreatedServiceIsHigherThanBefore) {
  Engine engine;
  engine.Handle(Started{}, kNow);
  Commit(&engine, WithServices({MakeService("a")}));
  const auto removed = Commit(&engine, Snapshot());
  EXPECT_EQ(removed.at(0).action, Change::Action::kRemove);
  EXPECT_EQ(Commit(&engine, WithServices({MakeService("a")})).at(0).generation, 3u);
}

TEST(Engine, RestoredStateIsPublishedOnceWithItsGenerations) {
  Engine engine;
  EXPECT_THAT(engine.Handle(Restored{WithServices({MakeService("a"), MakeService("b")}),
                                     9,
                                     {{"default/a", 4}, {"default/b", 9}}},
                            kNow),
              IsEmpty());
  // An edit before the start (the file of the command line) is part of the first picture.
  EXPECT_THAT(Commit(&engine, WithServices({MakeService("a"), MakeService("c")})), IsEmpty());
  const auto effects = engine.Handle(Started{}, kNow);
  const Publish& publish = Only<Publish>(effects);
  EXPECT_EQ(publish.revision, 10u);
  ASSERT_THAT(publish.changes, SizeIs(2));
  EXPECT_EQ(publish.changes[0].key, "default/a");
  EXPECT_EQ(publish.changes[0].generation, 4u);
  EXPECT_EQ(publish.changes[1].generation, 10u);
}

TEST(Engine, EditThatChangesNoEntryPublishesNothingButCounts) {
  Engine engine;
  engine.Handle(Started{}, kNow);
  Commit(&engine, WithPool("1.0.0.0/24"));
  EXPECT_THAT(Commit(&engine, WithPool("1.0.0.0/24")), IsEmpty());
  EXPECT_EQ(engine.revision(), 2u);
}

TEST(Diff, RemovesFirstThenReferentsBeforeReferrers) {
  Snapshot from = WithPool("1.0.0.0/24", WithServices({MakeService("gone")}));
  Snapshot to = WithServices({MakeService("new")});
  to.pools["q"] = Pool{.name = "q"};
  to.nodes["n"] = Node{.name = "n"};
  std::vector<std::string> order;
  for (const Change& change : Diff(from, to)) {
    order.push_back((change.action == Change::Action::kRemove ? "-" : "+") + change.key);
  }
  EXPECT_THAT(order, ElementsAre("-p", "-default/gone", "+n", "+q", "+default/new"));
}

TEST(Diff, OfEqualsIsEmpty) {
  const Snapshot snapshot = WithPool("1.0.0.0/24", WithServices({MakeService("a")}));
  EXPECT_THAT(Diff(snapshot, snapshot), IsEmpty());
}

}  // namespace
}  // namespace portolan::config
