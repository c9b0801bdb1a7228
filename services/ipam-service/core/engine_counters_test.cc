// What the engine counts: every outcome once, and nothing twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class CountersTest : public testing::Test {
 protected:
  CountersTest() { world_.Start(); }
  ~CountersTest() override { EXPECT_THAT(world_.problems, IsEmpty()); }

  static EngineFigures FiguresOf(const World& world) {
    return world.engine().Figures(absl::UnixEpoch());
  }
  EngineFigures Figures() const { return FiguresOf(world_); }
  AddressCounters Ipv4() const { return Figures().counters.addresses[0]; }

  Disk disk_;
  World world_{&disk_};
};

TEST_F(CountersTest, AnAssignmentIsCountedWhenItIsChosenAndWhenItIsDurable) {
  world_.Add(PoolOf("first", {"20.0.10.0/29"}));
  world_.journal_waits = true;
  world_.Add(ServiceOf("default/web"));
  EXPECT_EQ(Ipv4().chosen, 1u);
  EXPECT_EQ(Ipv4().granted, 0u);
  world_.AnswerJournal();
  EXPECT_EQ(Ipv4().granted, 1u);
  world_.RemoveService("default/web");
  EXPECT_EQ(Ipv4().released, 1u);
  EXPECT_EQ(Figures().counters.addresses[1].chosen, 0u);
}

TEST_F(CountersTest, ThoseWhoWaitAreCountedByTheReasonThatTheyWereTold) {
  world_.Add(ServiceOf("default/a"));
  world_.Add(ServiceOf("default/b"));
  EXPECT_EQ(Figures().waiting, 2u);
  EXPECT_EQ(Figures().waiting_by_reason.at("no-pool"), 2u);
  EXPECT_THAT(Figures().counters.refusals, UnorderedElementsAre(Pair("no-pool", 2)));
  world_.Add(PoolOf("small", {"20.0.10.1/32"}));
  EXPECT_EQ(Figures().waiting, 1u);
  EXPECT_EQ(Figures().waiting_by_reason.at("no-pool"), 0u);
  EXPECT_EQ(Figures().waiting_by_reason.at("pool-exhausted"), 1u);
  EXPECT_EQ(Figures().served_after.counts(), [] {
    metrics::Histogram once(metrics::kSeconds);
    once.Observe(0);
    return once.counts();
  }());
  EXPECT_THAT(Figures().counters.refusals,
              UnorderedElementsAre(Pair("no-pool", 2), Pair("pool-exhausted", 1)));
  world_.RemoveService("default/b");
  EXPECT_EQ(Figures().waiting, 0u);
  EXPECT_EQ(Figures().waiting_by_reason.at("pool-exhausted"), 0u);
}

TEST_F(CountersTest, TheSameReasonInOtherWordsIsNoNewRefusal) {
  PoolConfig pool = PoolOf("red", {"20.0.10.0/29"});
  pool.service_selector = LabelSelector({{"color", LabelSelector::Operator::kIn, {"red"}}});
  world_.Add(pool);
  world_.Add(ServiceOf("default/web"));
  pool.service_selector = LabelSelector({{"color", LabelSelector::Operator::kIn, {"blue"}}});
  world_.Add(pool);
  EXPECT_THAT(Figures().counters.refusals, UnorderedElementsAre(Pair("selector-mismatch", 1)));
}

TEST_F(CountersTest, TheWaitOfAServiceGoesWithItsWrite) {
  world_.Add(ServiceOf("default/web"));
  world_.Advance(absl::Seconds(7));
  world_.Add(PoolOf("first", {"20.0.10.0/29"}));
  EXPECT_EQ(world_.AddressesOf("default/web"), "20.0.10.1");
  EXPECT_GE(Figures().served_after.sum(), 7);
}

TEST_F(CountersTest, AMovedAddressIsReleasedAndRenumbered) {
  world_.Add(PoolOf("first", {"20.0.10.0/29"}));
  world_.Add(ServiceOf("default/web"));
  world_.Add(PoolOf("second", {"20.0.20.0/29"}));
  world_.RemovePool("first");
  EXPECT_EQ(world_.AddressesOf("default/web"), "20.0.20.1");
  EXPECT_EQ(Ipv4().renumbered, 1u);
  EXPECT_EQ(Ipv4().released, 1u);
  EXPECT_EQ(Ipv4().chosen, 2u);
  EXPECT_EQ(Figures().stranded, 0u);
}

TEST_F(CountersTest, StrandedAndDrainingAreWhatIsSoNow) {
  world_.Set({.drain_time = absl::Seconds(30), .allow_renumber = false});
  world_.Add(PoolOf("first", {"20.0.10.0/29"}));
  world_.Add(ServiceOf("default/web"));
  world_.Add(PoolOf("second", {"20.0.20.0/29"}));
  world_.RemovePool("first");
  EXPECT_EQ(Figures().stranded, 1u);
  EXPECT_EQ(Figures().draining, 0u);
  world_.Set({.drain_time = absl::Seconds(30), .allow_renumber = true});
  EXPECT_EQ(Figures().stranded, 0u);
  EXPECT_EQ(Figures().draining, 1u);
  world_.Advance(absl::Seconds(31));
  EXPECT_EQ(Figures().draining, 0u);
}

TEST_F(CountersTest, AddressesFoundInUseAreAdoptedAndToldAsSuch) {
  world_.Add(PoolOf("first", {"20.0.10.0/29"}));
  ServiceRequest found = ServiceOf("default/found");
  found.addresses_in_use = std::vector<std::string>{"20.0.10.5"};
  world_.Add(found);
  found.key = "default/late";
  world_.Add(found);
  EXPECT_EQ(Ipv4().adopted, 1u);
  EXPECT_EQ(Ipv4().chosen, 1u);  // what the late one got instead
  EXPECT_EQ(Figures().counters.not_adopted, 1u);
  EXPECT_TRUE(world_.allocations().at("default/found").grants.at(0).adopted);
  EXPECT_FALSE(world_.allocations().at("default/late").grants.at(0).adopted);
}

TEST_F(CountersTest, ARestartRestoresAndGrantsNothingAnew) {
  world_.Add(PoolOf("first", {"20.0.10.0/29"}));
  world_.Add(ServiceOf("default/web"));
  world_.Add(ServiceOf("default/gone"));
  World again(&disk_);
  again.Add(PoolOf("first", {"20.0.10.0/29"}));
  again.Add(ServiceOf("default/web"));
  again.Start();
  const AddressCounters counters = FiguresOf(again).counters.addresses[0];
  EXPECT_EQ(counters.restored, 1u);
  EXPECT_EQ(counters.released, 1u);
  EXPECT_EQ(counters.chosen, 0u);
  EXPECT_EQ(counters.granted, 0u);
}

TEST_F(CountersTest, WhatWasGivenUpBeforeIsCountedAsReturnedOrReused) {
  PoolConfig pool = PoolOf("p", {"10.0.0.1/32"});
  pool.address_picker = "longest-unused";
  world_.Add(pool);
  world_.Add(ServiceOf("default/a"));
  EXPECT_EQ(Ipv4().chosen, 1u);
  EXPECT_EQ(Ipv4().reused, 0u) << "nobody had it before";
  world_.RemoveService("default/a");
  world_.Add(ServiceOf("default/b"));
  EXPECT_EQ(Ipv4().reused, 1u);
  EXPECT_EQ(Ipv4().returned, 0u);
  world_.RemoveService("default/b");
  world_.Add(ServiceOf("default/b"));
  EXPECT_EQ(Ipv4().reused, 1u);
  EXPECT_EQ(Ipv4().returned, 1u);
}

TEST_F(CountersTest, EveryServiceCountsOnceInTheStateThatItWasTold) {
  const auto told = [&](State state) {
    return Figures().counters.services[static_cast<size_t>(state)];
  };
  world_.Add(ServiceOf("default/web"));
  ServiceRequest odd = ServiceOf("default/odd");
  odd.requested_addresses = {"20.0.10.3", "nonsense"};
  world_.Add(odd);
  EXPECT_EQ(told(State::kPending), 1u);
  EXPECT_EQ(told(State::kRejected), 1u);
  world_.Add(PoolOf("first", {"20.0.10.0/29"}));
  EXPECT_EQ(told(State::kReady), 1u);
  EXPECT_EQ(told(State::kDegraded), 1u) << "has one of two";
  EXPECT_EQ(told(State::kPending) + told(State::kRejected), 0u);
  world_.RemoveService("default/odd");
  world_.RemoveService("default/web");
  for (const State state : kStates) EXPECT_EQ(told(state), 0u) << StateName(state);
}

TEST_F(CountersTest, ADisabledPoolIsNotAnActiveOne) {
  PoolConfig pool = PoolOf("first", {"20.0.10.0/29"});
  world_.Add(pool);
  EXPECT_EQ(Figures().disabled_pools, 0u);
  pool.disabled = true;
  world_.Add(pool);
  EXPECT_EQ(Figures().disabled_pools, 1u);
}

TEST_F(CountersTest, TheAnswerOfAPickerIsTimed) {
  world_.Send(PickerChanged{.name = "mine", .stage = std::make_shared<plugin::DeferringPicker>()});
  PoolConfig pool = PoolOf("p", {"10.0.0.0/24"});
  pool.address_picker = "mine";
  world_.Add(pool);
  world_.Add(ServiceOf("default/web"));
  EXPECT_EQ(Figures().asks, 1u);
  world_.Advance(absl::Seconds(2));
  world_.Send(PickAnswered{.ask = world_.asked.at(0).ask, .address = Address("10.0.0.42")});
  EXPECT_EQ(Figures().asks, 0u);
  EXPECT_EQ(Figures().counters.pickers.answered_after.sum(), 2);
}

TEST(UnreadableRows, AreCountedAtTheStart) {
  Engine engine(BuiltinOptions());
  const Moment now{absl::UnixEpoch(), absl::UnixEpoch()};
  engine.Handle(JournalLoaded{.unreadable = {Address("10.0.0.1"), Address("10.0.0.2")}}, now);
  for (const Source source : kSources) engine.Handle(Synced{source}, now);
  EXPECT_EQ(engine.Figures(now.steady).counters.unreadable, 2u);
}

TEST_F(CountersTest, PoolFiguresAreThoseOfThePublishedState) {
  world_.Add(PoolOf("first", {"20.0.10.0/29", "2001:db8::/64"}));
  world_.Add(PoolOf("rival", {"20.0.10.4/30"}));
  world_.Add(ServiceOf("default/web"));
  world_.Advance(absl::Seconds(1));
  EXPECT_EQ(Figures().pools, 2u);
  EXPECT_EQ(Figures().conflicting_pools, 1u);
  ASSERT_EQ(Figures().by_pool.size(), 3u);
  for (const PoolFigures& figures : Figures().by_pool) {
    const PoolState& state = *world_.StateOf(figures.pool);
    for (const FamilyCount& count : state.counts) {
      if (count.family != figures.family) continue;
      EXPECT_EQ(figures.total, std::stod(count.total)) << figures.pool;
      EXPECT_EQ(figures.used, std::stod(count.used)) << figures.pool;
      EXPECT_EQ(figures.available, std::stod(count.available)) << figures.pool;
      EXPECT_EQ(figures.reserved, std::stod(count.reserved)) << figures.pool;
    }
  }
}

TEST_F(CountersTest, ARefusingStoreShowsAndItsRefusalIsCounted) {
  world_.Add(PoolOf("first", {"20.0.10.0/29"}));
  disk_.failure = absl::ResourceExhaustedError("disk is full");
  world_.Add(ServiceOf("default/web"));
  EXPECT_TRUE(Figures().store_refuses);
  EXPECT_EQ(Figures().counters.refusals.at("store-full"), 1u);
  disk_.failure = absl::OkStatus();
  world_.Advance(absl::Seconds(1));
  EXPECT_FALSE(Figures().store_refuses);
  EXPECT_EQ(Ipv4().granted, 1u);
}

// The symptom: the pool in conflict said that none of its addresses is used.
TEST(EngineCounters, APoolInConflictCountsWhatCameToItsName) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.2"}));
  world.Add(PoolOf("q", {"10.0.0.1-10.0.0.4"}));
  world.Add(ServiceOf("default/web"));
  world.Advance(absl::Seconds(1));
  ServiceRequest moved = ServiceOf("default/web");
  moved.requested_pool = "q";
  world.Add(moved);
  world.Advance(absl::Seconds(1));
  ASSERT_EQ(world.StateOf("q")->state, "conflicting");
  EXPECT_EQ(world.StateOf("q")->counts.front().used, "1");
}

}  // namespace
}  // namespace portolan::ipam
