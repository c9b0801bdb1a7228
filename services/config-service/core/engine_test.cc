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

Snapshot WithServices(const std::vector<Service>& services) {
  Snapshot snapshot;
  for (const Service& service : services) {
    snapshot.services[service.name_space + "/" + service.name] = service;
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

// Proposes; when ipam-service is asked, it has nothing against it.
std::vector<Effect> Propose(Engine* engine, EditProposed edit) {
  const uint64_t id = edit.id;
  std::vector<Effect> effects = engine->Handle(std::move(edit), kNow);
  if (std::holds_alternative<AskPlan>(effects.at(0))) {
    effects = engine->Handle(Planned{id, {}, ""}, kNow);
  }
  return effects;
}

// Proposes and reports success; answers what was published.
std::vector<Change> Commit(Engine* engine, Snapshot candidate, uint64_t id = 1,
                           bool allow_renumber = false) {
  Only<WriteJournal>(Propose(engine, {id, std::move(candidate), false, allow_renumber}));
  const std::vector<Effect> effects = engine->Handle(JournalWritten{id}, kNow);
  EXPECT_THAT(std::get<Answer>(effects.back()).problems, IsEmpty());
  return effects.size() == 2 ? std::get<Publish>(effects[0]).changes : std::vector<Change>();
}

TEST(Engine, PublishesNothingBeforeTheJournalHasIt) {
  Engine engine;
  engine.Handle(Started{}, kNow);
  const auto effects = Propose(&engine, {7, WithPool("20.0.10.0/24")});
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
  Propose(&engine, {3, WithPool("20.0.10.0/24")});
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
  EXPECT_THAT(Only<Answer>(Propose(&engine, {1, WithPool("1.0.0.0/24"), true})).problems,
              IsEmpty());
  EXPECT_THAT(Only<Answer>(Propose(&engine, {1, WithPool("1.0.0.1/24"), true})).problems,
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
  Service service = *changed.services["default/b"];
  service.ports[0].port = 81;
  changed.services["default/b"] = service;
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

// ---- edits that move addresses ----

const AddressMove kMove{"default/web",
                        "20.0.10.5",
                        "p",
                        "20.0.20.1",
                        "q",
                        "not-in-pool",
                        "pool p does not hold it any more"};

// As YANG gives it: with its settings.
Snapshot Configured(const std::string& cidr) {
  Snapshot snapshot = WithPool(cidr);
  snapshot.ipam_settings["settings"] = {.address_picker = "lowest-free", .drain_time_s = 30};
  return snapshot;
}

class Planning : public ::testing::Test {
 protected:
  Planning() {
    engine_.Handle(Restored{Configured("20.0.10.0/24"), 4, {}}, kNow);
    engine_.Handle(Started{}, kNow);
  }
  std::vector<Effect> Propose(Snapshot candidate, bool allow_renumber = false,
                              bool dry_run = false) {
    return engine_.Handle(EditProposed{++id_, std::move(candidate), dry_run, allow_renumber}, kNow);
  }
  std::vector<Effect> Plan(std::vector<AddressMove> moves, const std::string& unasked = "") {
    return engine_.Handle(Planned{id_, std::move(moves), unasked}, kNow);
  }
  bool running_allows() const {
    return engine_.running().ipam_settings.at("settings").allow_renumber;
  }

  Engine engine_;
  uint64_t id_ = 0;
};

TEST_F(Planning, AsksWithTheWholeProposalBeforeTheJournal) {
  Snapshot candidate = Configured("20.0.20.0/24");
  candidate.quotas["one"] = {.name = "one", .max_addresses = 1};
  const auto effects = Propose(candidate);
  const AskPlan& ask = Only<AskPlan>(effects);
  EXPECT_EQ(ask.id, id_);
  EXPECT_EQ(ask.pools, candidate.pools);
  EXPECT_EQ(ask.quotas, candidate.quotas);
  EXPECT_EQ(ask.settings.drain_time_s, 30u);
  EXPECT_EQ(engine_.running(), Configured("20.0.10.0/24"));
}

TEST_F(Planning, AsksForEachTableOfAddressesAndForNothingElse) {
  const Snapshot running = engine_.running();
  Snapshot pools = running, settings = running, quotas = running, services = running;
  pools.pools.clear();
  settings.ipam_settings["settings"].drain_time_s = 1;
  quotas.quotas["one"] = {.name = "one"};
  services.services["default/a"] = MakeService("a");
  services.namespaces["default"] = {.name = "default"};
  for (const Snapshot& candidate : {pools, settings, quotas}) {
    Only<AskPlan>(Propose(candidate, false, true));
  }
  Only<Answer>(Propose(services, false, true));
  Only<Answer>(Propose(running, false, true));
  // With the permission it is asked what the permission alone would do.
  EXPECT_TRUE(Only<AskPlan>(Propose(running, true, true)).settings.allow_renumber);
}

TEST_F(Planning, RefusesWhatWouldMoveAnAddressAndChangesNothing) {
  Propose(Configured("20.0.20.0/24"));
  const auto effects = Plan({kMove});
  const Answer& answer = Only<Answer>(effects);
  EXPECT_THAT(answer.moves, ElementsAre(kMove));
  ASSERT_THAT(answer.problems, SizeIs(1));
  EXPECT_EQ(answer.problems[0].rule, "address-in-use");
  EXPECT_EQ(answer.problems[0].path, "/portolan-ipam:ipam/pools/pool[name='p']");
  EXPECT_EQ(answer.problems[0].message,
            "service default/web would lose 20.0.10.5 of pool p and get 20.0.20.1 of pool q "
            "instead: pool p does not hold it any more");
  EXPECT_EQ(answer.problems[0].remedy, "commit with allow-renumber, or keep the block");
  EXPECT_EQ(engine_.running(), Configured("20.0.10.0/24"));
  EXPECT_EQ(answer.revision, 4u);
  // The next edit goes on.
  Only<AskPlan>(Propose(Configured("20.0.10.0/23")));
  Only<WriteJournal>(Plan({}));
}

TEST_F(Planning, DryRunSaysTheSameAndDisturbsNoCommit) {
  Propose(Configured("20.0.20.0/24"), false, true);
  EXPECT_THAT(Only<Answer>(Plan({kMove})).problems, SizeIs(1));
  Propose(Configured("20.0.20.0/24"), true, true);
  const auto allowed = Plan({kMove});
  EXPECT_THAT(Only<Answer>(allowed).problems, IsEmpty());
  EXPECT_THAT(Only<Answer>(allowed).moves, SizeIs(1));

  Only<AskPlan>(Propose(Configured("20.0.11.0/24")));  // a commit
  const uint64_t commit = id_;
  Only<AskPlan>(Propose(Configured("20.0.12.0/24"), false, true));
  EXPECT_THAT(Only<Answer>(Plan({})).problems, IsEmpty());
  Only<WriteJournal>(engine_.Handle(Planned{commit, {}, ""}, kNow));
  engine_.Handle(JournalWritten{commit, ""}, kNow);
  EXPECT_EQ(engine_.running(), Configured("20.0.11.0/24"));
}

TEST_F(Planning, WhileACommitIsPlannedThereIsNoOther) {
  Only<AskPlan>(Propose(Configured("20.0.20.0/24")));
  const uint64_t commit = id_;
  EXPECT_EQ(Only<Answer>(Propose(WithServices({}))).problems.at(0).rule, "busy");
  EXPECT_THAT(engine_.Handle(Planned{id_, {}, ""}, kNow), IsEmpty());
  Only<WriteJournal>(engine_.Handle(Planned{commit, {}, ""}, kNow));
  EXPECT_THAT(engine_.Handle(Planned{commit, {kMove}, ""}, kNow), IsEmpty());
}

TEST_F(Planning, WithThePermissionTheEditGoesOnAndSaysWhatItMoves) {
  Propose(Configured("20.0.20.0/24"), true);
  EXPECT_TRUE(Only<WriteJournal>(Plan({kMove})).allow_renumber);
  const auto effects = engine_.Handle(JournalWritten{id_}, kNow);
  const auto& changes = std::get<Publish>(effects.at(0)).changes;
  ASSERT_THAT(changes, SizeIs(2));
  EXPECT_TRUE(std::get<IpamSettings>(changes[0].object).allow_renumber);
  EXPECT_THAT(std::get<Answer>(effects.at(1)).moves, ElementsAre(kMove));
}

TEST_F(Planning, PermissionEndsWithTheNextCommitWhateverItEdits) {
  Commit(&engine_, Configured("20.0.20.0/24"), ++id_, true);
  ASSERT_TRUE(running_allows());
  Snapshot candidate = Configured("20.0.20.0/24");  // as YANG has it
  candidate.services["default/a"] = MakeService("a");
  const auto effects = Propose(candidate);
  EXPECT_FALSE(Only<WriteJournal>(effects).allow_renumber);
  const auto done = engine_.Handle(JournalWritten{id_}, kNow);
  const auto& changes = std::get<Publish>(done.at(0)).changes;
  ASSERT_THAT(changes, SizeIs(2));
  EXPECT_FALSE(std::get<IpamSettings>(changes[0].object).allow_renumber);
}

TEST_F(Planning, RefusedOrFailedEditLeavesThePermissionAsItWas) {
  Commit(&engine_, Configured("20.0.20.0/24"), ++id_, true);
  Propose(Configured("20.0.30.0/24"));
  Plan({kMove});
  EXPECT_TRUE(running_allows());
  Propose(Configured("20.0.30.0/24"));
  Plan({});
  engine_.Handle(JournalWritten{id_, "No space left on device"}, kNow);
  EXPECT_TRUE(running_allows());
}

TEST_F(Planning, WithoutAnAnswerTheCommitGoesOnWithAWarning) {
  Propose(Configured("20.0.20.0/24"));
  EXPECT_FALSE(Only<WriteJournal>(Plan({}, "it is away")).allow_renumber);
  const auto effects = engine_.Handle(JournalWritten{id_}, kNow);
  EXPECT_THAT(std::get<Answer>(effects.back()).warnings,
              ElementsAre("ipam-service could not be asked what the edit does to addresses in use "
                          "(it is away); addresses that the edit makes illegal stay until a commit "
                          "with allow-renumber"));
  Propose(Configured("20.0.30.0/24"), true);
  Plan({}, "it is away");
  const auto allowed = engine_.Handle(JournalWritten{id_}, kNow);
  EXPECT_THAT(std::get<Answer>(allowed.back()).warnings,
              ElementsAre(::testing::HasSubstr("are moved once it has the edit")));
}

TEST(Engine, BeforeTheStartNobodyIsAsked) {
  Engine engine;
  engine.Handle(Restored{Configured("20.0.10.0/24"), 4, {}, true}, kNow);
  EXPECT_TRUE(engine.running().ipam_settings.at("settings").allow_renumber);
  Only<WriteJournal>(engine.Handle(EditProposed{1, Configured("20.0.20.0/24")}, kNow));
}

TEST(Engine, WarnsOfAPoolThatGivesNothing) {
  Snapshot candidate = WithPool("20.0.10.0/24");
  candidate.pools["p"].excluded = {{.id = "x", .cidr = "20.0.10.0/24"}};
  Engine engine;
  engine.Handle(EditProposed{1, candidate}, kNow);
  const auto effects = engine.Handle(JournalWritten{1}, kNow);
  EXPECT_THAT(std::get<Answer>(effects.back()).warnings, SizeIs(1));
}

TEST(RefusalOf, NamesTwentyMovesAndCountsTheRest) {
  std::vector<AddressMove> moves(20, kMove);
  EXPECT_THAT(RefusalOf(moves), SizeIs(20));
  moves.push_back(kMove);
  moves.back().reason = "not-requested";
  EXPECT_THAT(RefusalOf(moves), SizeIs(20));
  moves.pop_back();
  moves.insert(moves.end(), 7, kMove);
  const auto problems = RefusalOf(moves);
  ASSERT_THAT(problems, SizeIs(21));
  EXPECT_EQ(problems[20].rule, "address-in-use");
  EXPECT_EQ(problems[20].path, "/portolan-ipam:ipam/pools");
  EXPECT_EQ(problems[20].message, "and 7 more addresses in use would be lost");
  EXPECT_THAT(RefusalOf({}), IsEmpty());
}

TEST(RefusalOf, SaysWhenThereIsNoPoolOrNoOtherAddress) {
  const auto problems = RefusalOf({{.service = "a/b", .address = "20.0.0.1"}});
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].path, "/portolan-ipam:ipam/pools");
  EXPECT_EQ(problems[0].message,
            "service a/b would lose 20.0.0.1 of no pool and get none in its place, or one that is "
            "not known yet");
}

TEST(Diff, RemovesFirstThenReferentsBeforeReferrers) {
  Snapshot from = WithPool("1.0.0.0/24", WithServices({MakeService("gone")}));
  Snapshot to = WithServices({MakeService("new")});
  to.pools["q"] = Pool{.name = "q"};
  to.nodes["n"] = Node{.name = "n"};
  to.quotas["few"] = Quota{.name = "few", .pools = {"q"}};
  to.namespaces["default"] = Namespace{.name = "default"};
  std::vector<std::string> order;
  for (const Change& change : Diff(from, to)) {
    order.push_back((change.action == Change::Action::kRemove ? "-" : "+") + change.key);
  }
  EXPECT_THAT(order,
              ElementsAre("-p", "-default/gone", "+n", "+q", "+few", "+default", "+default/new"));
}

TEST(Diff, OfEqualsIsEmpty) {
  const Snapshot snapshot = WithPool("1.0.0.0/24", WithServices({MakeService("a")}));
  EXPECT_THAT(Diff(snapshot, snapshot), IsEmpty());
}

}  // namespace
}  // namespace portolan::config
