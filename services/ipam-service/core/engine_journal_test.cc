// The journal: durable before published, restart, failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(EngineJournal, NothingIsPublishedBeforeItsRowIsDurable) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.journal_waits = true;
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Add(ServiceOf("default/web"));
  EXPECT_EQ(world.AddressesOf("default/web"), "");
  EXPECT_EQ(world.StatusOf("default/web"), nullptr);
  world.AnswerJournal();
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1");
  EXPECT_EQ(world.ReasonOf("default/web"), "assigned");
}

TEST(EngineJournal, AnAddressIsFreeOnlyAfterItsErasureIsDurable) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1/32"}));
  world.Add(ServiceOf("default/a"));
  world.journal_waits = true;
  world.RemoveService("default/a");
  EXPECT_EQ(world.AddressesOf("default/a"), "");
  world.Add(ServiceOf("default/b"));
  EXPECT_EQ(world.ReasonOf("default/b"), "pool-exhausted");
  world.AnswerJournal();
  EXPECT_EQ(world.AddressesOf("default/b"), "10.0.0.1");
}

TEST(EngineJournal, AServiceThatGoesWhileItsRowIsOnTheWayLeavesNothingBehind) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1/32"}));
  world.journal_waits = true;
  world.Add(ServiceOf("default/a"));
  world.RemoveService("default/a");
  world.Add(ServiceOf("default/b"));
  world.AnswerJournal();
  EXPECT_EQ(world.AddressesOf("default/a"), "");
  EXPECT_EQ(world.AddressesOf("default/b"), "10.0.0.1");
  EXPECT_THAT(world.problems, IsEmpty());
}

// ---- start ----

TEST(EngineJournal, NothingIsAssignedBeforeJournalPoolsAndServicesAreComplete) {
  Disk disk;
  disk.rows[Address("10.0.0.5")] = {Address("10.0.0.5"), "default/old", 1, "p", 1000};
  World world(&disk);
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Add(ServiceOf("default/new"));
  for (Source source : kSources) {
    if (source != Source::kServices) world.Send(Synced{source});
  }
  world.Send(JournalLoaded{.rows = {disk.rows[Address("10.0.0.5")]}});
  EXPECT_EQ(world.effects, 0);
  world.Add(ServiceOf("default/old"));
  world.Send(Synced{Source::kServices});
  EXPECT_EQ(world.AddressesOf("default/old"), "10.0.0.5");
  EXPECT_EQ(world.AddressesOf("default/new"), "10.0.0.1");
  EXPECT_TRUE(world.synced());
}

TEST(EngineJournal, RestartChangesNothing) {
  Disk disk;
  std::map<std::string, Allocation> before;
  const auto populate = [](World& world) {
    world.Add(PoolOf("p", {"10.0.0.0/28", "2001:db8::/64"}));
    for (int i = 0; i < 10; ++i) {
      ServiceRequest service = ServiceOf(absl::StrCat("default/", i));
      service.family_policy = FamilyPolicy::kPreferDualStack;
      world.Add(service);
    }
  };
  {
    World world(&disk);
    world.Start();
    populate(world);
    // Holes and an order that is not that of the keys.
    world.RemoveService("default/0");
    world.RemoveService("default/5");
    world.Add(ServiceOf("default/late"));
    before = world.allocations();
  }
  World again(&disk);
  populate(again);
  again.RemoveService("default/0");
  again.RemoveService("default/5");
  again.Add(ServiceOf("default/late"));
  again.Start();
  EXPECT_EQ(again.allocations(), before);
}

TEST(EngineJournal, RowsOfServicesThatAreGoneAreErasedAtStart) {
  Disk disk;
  disk.rows[Address("10.0.0.1")] = {Address("10.0.0.1"), "default/gone", 1, "p", 1000};
  World world(&disk);
  world.Add(PoolOf("p", {"10.0.0.1/32"}));
  world.Add(ServiceOf("default/waits"));
  world.Start();
  EXPECT_EQ(world.AddressesOf("default/waits"), "10.0.0.1");
  EXPECT_EQ(disk.rows.at(Address("10.0.0.1")).service, "default/waits");
  EXPECT_THAT(world.problems, IsEmpty());
}

TEST(EngineJournal, OfTwoRowsForOneWishTheOlderIsKept) {
  Disk disk;
  disk.rows[Address("10.0.0.1")] = {Address("10.0.0.1"), "default/web", 1, "p", 2000};
  disk.rows[Address("10.0.0.9")] = {Address("10.0.0.9"), "default/web", 1, "p", 1000};
  World world(&disk);
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Add(ServiceOf("default/web"));
  world.Start();
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.9");
  EXPECT_EQ(disk.rows.size(), 1u);
}

TEST(EngineJournal, AnAddressOfAnUnreadableRowIsGivenToNobody) {
  Disk disk;
  World world(&disk);
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.2"}));
  world.Add(ServiceOf("default/web"));
  ServiceRequest exact = ServiceOf("default/exact");
  exact.requested_addresses = {"10.0.0.1"};
  world.Add(exact);
  world.Send(JournalLoaded{.unreadable = {Address("10.0.0.1")}});
  world.SyncSources();
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.2");
  EXPECT_EQ(world.ReasonOf("default/exact"), "address-held");
}

TEST(EngineJournal, AfterARestartThePoolThatGaveFirstIsStillTheOlder) {
  Disk disk;
  {
    World world(&disk);
    world.Start();
    world.Add(PoolOf("z-old", {"10.0.0.0/24"}));
    world.Add(ServiceOf("default/web"));
  }
  World world(&disk);
  world.Add(PoolOf("a-new", {"10.0.0.0/24"}));
  world.Add(PoolOf("z-old", {"10.0.0.0/24"}));
  world.Add(ServiceOf("default/web"));
  world.Start();
  EXPECT_EQ(world.StateOf("z-old")->state, "active");
  EXPECT_EQ(world.StateOf("a-new")->state, "conflicting");
  EXPECT_EQ(world.PoolsOf("default/web"), "z-old");
}

// The symptom: of two overlapping pools another one worked after each restart.
TEST(EngineJournal, APoolThatIsNewAtAStartIsTheYoungerAlsoWhenTheClockWentBack) {
  Disk disk;
  disk.pools["z-old"] = {"z-old", 4'000'000'000'000};
  for (int start = 0; start < 2; ++start) {
    World world(&disk);
    world.Add(PoolOf("a-new", {"10.0.0.0/24"}));
    world.Add(PoolOf("z-old", {"10.0.0.0/24"}));
    world.Start();
    EXPECT_EQ(world.StateOf("z-old")->state, "active") << start;
    EXPECT_EQ(world.StateOf("a-new")->state, "conflicting") << start;
  }
}

// ---- failures ----

TEST(EngineJournal, AFullDiskServesWhatIsKnownRefusesTheNewAndRecovers) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Add(ServiceOf("default/old"));
  disk.failure = absl::ResourceExhaustedError("database or disk is full");
  world.Add(ServiceOf("default/first"));
  world.Add(ServiceOf("default/second"));
  EXPECT_EQ(world.AddressesOf("default/old"), "10.0.0.1");
  EXPECT_EQ(world.StatusOf("default/old")->state, State::kReady);
  for (const char* key : {"default/first", "default/second"}) {
    EXPECT_EQ(world.AddressesOf(key), "") << key;
    EXPECT_EQ(world.StatusOf(key)->state, State::kFailed) << key;
    EXPECT_EQ(world.StatusOf(key)->reason, "store-full") << key;
    EXPECT_THAT(world.StatusOf(key)->message, HasSubstr("database or disk is full"));
    EXPECT_THAT(world.StatusOf(key)->remedy, HasSubstr("free space")) << key;
  }
  world.Advance(absl::Minutes(5));
  EXPECT_EQ(world.ReasonOf("default/first"), "store-full");
  disk.failure = absl::OkStatus();
  world.Advance(absl::Seconds(31));
  EXPECT_EQ(world.AddressesOf("default/first"), "10.0.0.2");
  EXPECT_EQ(world.AddressesOf("default/second"), "10.0.0.3");
  EXPECT_THAT(world.problems, IsEmpty());
}

TEST(EngineJournal, RetriesComeWithGrowingDistance) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Advance(absl::Seconds(1));
  disk.failure = absl::UnavailableError("away");
  world.Add(ServiceOf("default/web"));
  const int before = world.effects;
  world.Advance(absl::Minutes(10));
  EXPECT_LT(world.effects - before, 100);
  EXPECT_EQ(world.ReasonOf("default/web"), "store-failed");
}

TEST(EngineJournal, AFailingEraseKeepsTheAddressFromEverybody) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1/32"}));
  world.Add(ServiceOf("default/a"));
  disk.failure = absl::UnavailableError("away");
  world.RemoveService("default/a");
  world.Add(ServiceOf("default/b"));
  EXPECT_EQ(world.AddressesOf("default/b"), "");
  disk.failure = absl::OkStatus();
  world.Advance(absl::Minutes(1));
  EXPECT_EQ(world.AddressesOf("default/b"), "10.0.0.1");
  EXPECT_THAT(world.problems, IsEmpty());
}

// Found by the simulation: its own row was taken for somebody else's, and the address was lost.
TEST(EngineJournal, AWriteOfUnknownOutcomeIsRememberedWhenTheDiskIsFullAfterwards) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1/32"}));
  disk.failure = absl::UnavailableError("store away");
  world.Add(ServiceOf("default/web"));
  disk.rows[Address("10.0.0.1")] = {.address = Address("10.0.0.1"),
                                    .service = "default/web",
                                    .generation = 1,
                                    .pool = "p"};  // it was written nevertheless
  disk.failure = absl::ResourceExhaustedError("disk full");
  world.Advance(absl::Seconds(1));
  EXPECT_EQ(world.AddressesOf("default/web"), "");
  disk.failure = absl::OkStatus();
  world.Advance(absl::Minutes(1));
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1");
}

TEST(EngineJournal, ARowOfSomebodyElseIsRespectedAndAnotherAddressChosen) {
  Disk disk;
  World world(&disk);
  world.Start();
  disk.rows[Address("10.0.0.1")] = {Address("10.0.0.1"), "other/allocator", 1, "x", 1000};
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Add(ServiceOf("default/web"));
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.2");
  EXPECT_EQ(disk.rows.at(Address("10.0.0.1")).service, "other/allocator");
  EXPECT_THAT(world.problems, IsEmpty());
}

// Every write in turn is the last one that reaches the disk; then a new engine reads it.
TEST(EngineJournal, KilledAtAnyWriteNothingPublishedIsLostOrGivenTwice) {
  const auto play = [](World& world, auto after_each) {
    world.Add(PoolOf("p", {"10.0.0.0/28", "2001:db8::/120"}));
    for (int i = 0; i < 60; ++i) {
      ServiceRequest service = ServiceOf(absl::StrCat("default/", i % 20));
      service.generation = i;
      if (i % 3 == 0) service.family_policy = FamilyPolicy::kPreferDualStack;
      if (i % 7 == 0) service.requested_addresses = {absl::StrCat("10.0.0.", i % 14 + 1)};
      world.Add(service);
      after_each();
      if (i % 4 == 3) world.RemoveService(absl::StrCat("default/", (i * 7) % 20));
      after_each();
      if (i == 30) world.Add(PoolOf("p", {"10.0.0.0/27", "2001:db8::/120"}));
      if (i == 45) world.RemovePool("p");
      if (i == 50) world.Add(PoolOf("q", {"10.0.0.0/26"}));
      after_each();
    }
  };
  for (int step = 0;; ++step) {
    Disk disk;
    disk.dies_after = step;
    World world(&disk);
    world.Start();
    std::map<std::string, Allocation> published;
    play(world, [&] {
      if (!disk.dead()) published = world.allocations();
    });
    ASSERT_THAT(world.problems, IsEmpty()) << "step " << step;
    if (!disk.dead()) {
      EXPECT_GT(step, 40);
      break;
    }
    disk.dies_after.reset();
    const std::map<net::IpAddress, JournalRow> rows = disk.rows;
    World again(&disk);
    std::map<std::string, Allocation> kept = world.allocations();
    again.Add(PoolOf("p", {"10.0.0.0/26", "2001:db8::/120"}));
    for (const auto& [key, allocation] : kept) {
      ServiceRequest service = ServiceOf(key);
      for (const Grant& grant : allocation.grants) {
        service.requested_addresses.push_back(grant.address.ToString());
      }
      again.Add(service);
    }
    again.Start();
    ASSERT_THAT(again.problems, IsEmpty()) << "step " << step;
    for (const auto& [key, allocation] : kept) {
      for (size_t i = 0; i < allocation.grants.size(); ++i) {
        const Allocation& now = again.allocations().at(key);
        EXPECT_EQ(now.grants.at(i).address, allocation.grants[i].address) << "step " << step;
        // Its erasure may have been the last write: then it is given anew.
        if (!rows.contains(allocation.grants[i].address)) continue;
        EXPECT_EQ(now.grants.at(i).since_unix_ms, allocation.grants[i].since_unix_ms);
      }
    }
    // What no Service owns any more is gone from the disk.
    for (const auto& [address, row] : disk.rows) EXPECT_TRUE(kept.contains(row.service));
  }
}

// The symptom: a restart gave the Service another default family, and moved it.
TEST(EngineJournal, ARestartKnowsTheOrderOfAddressesThatCameTogether) {
  Disk disk;
  const PoolConfig pool = PoolOf("p", {"10.0.0.1-10.0.0.9", "2001:db8::1-2001:db8::9"});
  ServiceRequest web = ServiceOf("default/web");
  web.family_policy = FamilyPolicy::kRequireDualStack;
  {
    World world(&disk);
    world.Start();
    world.Add(pool);
    ServiceRequest ipv6_first = web;
    ipv6_first.families = {net::Family::kIpv6, net::Family::kIpv4};
    world.Add(ipv6_first);
    world.Add(web);
    EXPECT_EQ(world.AddressesOf("default/web"), "2001:db8::1 10.0.0.1");
  }
  World world(&disk);
  world.Add(pool);
  world.Add(web);
  world.Start();
  EXPECT_EQ(world.AddressesOf("default/web"), "2001:db8::1 10.0.0.1");
}

}  // namespace
}  // namespace portolan::ipam
