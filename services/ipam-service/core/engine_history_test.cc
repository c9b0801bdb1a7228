// Addresses that were given up: what comes back last, and what cools down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "plugins/address_pickers/longest_unused/longest_unused.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;

PickerChanged CoolDown(int seconds) {
  std::shared_ptr<plugin::Stage> stage =
      plugin::NewLongestUnusedFactory()
          ->Create(absl::StrCat("{\"cool-down\": ", seconds, "}"))
          .value();
  return {.name = "longest-unused",
          .stage = std::dynamic_pointer_cast<const plugin::AddressPicker>(stage)};
}

PoolConfig LongestUnused(const std::string& name, const std::string& block) {
  PoolConfig pool = PoolOf(name, {block});
  pool.address_picker = "longest-unused";
  return pool;
}

ServiceRequest Exactly(const std::string& key, const std::string& address) {
  ServiceRequest service = ServiceOf(key);
  service.requested_addresses = {address};
  return service;
}

class EngineHistoryTest : public testing::Test {
 protected:
  ~EngineHistoryTest() override { EXPECT_THAT(world_->problems, IsEmpty()); }

  void StartWith(int cool_down_s, const std::string& block) {
    world_->Send(CoolDown(cool_down_s));
    world_->Add(LongestUnused("p", block));
    world_->Start();
  }
  // Whoever is declared is declared again by `declare`.
  template <typename Declare>
  void Restart(int cool_down_s, const std::string& block, Declare declare) {
    EXPECT_THAT(world_->problems, IsEmpty());
    world_.emplace(&disk_);
    declare(*world_);
    StartWith(cool_down_s, block);
  }
  void Give(const std::string& key) { world_->Add(ServiceOf(key)); }
  std::string Has(const std::string& key) { return world_->AddressesOf(key); }
  std::string Counts() {
    world_->Advance(absl::Milliseconds(200));
    return world_->CountsOf("p");
  }

  Disk disk_;
  std::optional<World> world_{&disk_};
};

// ---- the order ----

TEST_F(EngineHistoryTest, NeverUsedAddressesComeFirstThenWhatWasGivenUpLongestAgo) {
  StartWith(0, "10.0.0.1-10.0.0.3");
  Give("default/a");
  world_->RemoveService("default/a");
  Give("default/b");
  EXPECT_EQ(Has("default/b"), "10.0.0.2");
  world_->RemoveService("default/b");
  Give("default/c");
  EXPECT_EQ(Has("default/c"), "10.0.0.3");
  Give("default/d");
  EXPECT_EQ(Has("default/d"), "10.0.0.1");
  Give("default/e");
  EXPECT_EQ(Has("default/e"), "10.0.0.2");
}

TEST_F(EngineHistoryTest, TheOrderIsTheSameAfterARestart) {
  StartWith(0, "10.0.0.1-10.0.0.3");
  for (const char* key : {"default/a", "default/b", "default/c"}) Give(key);
  for (const char* key : {"default/b", "default/c", "default/a"}) world_->RemoveService(key);
  Restart(0, "10.0.0.1-10.0.0.3", [](World&) {});
  for (const char* key : {"default/d", "default/e", "default/f"}) Give(key);
  EXPECT_EQ(Has("default/d"), "10.0.0.2");
  EXPECT_EQ(Has("default/e"), "10.0.0.3");
  EXPECT_EQ(Has("default/f"), "10.0.0.1");
}

TEST_F(EngineHistoryTest, AnIpv6PrefixOfLength64Works) {
  StartWith(60, "2001:db8::/64");
  Give("default/a");
  const std::string first = Has("default/a");
  world_->RemoveService("default/a");
  EXPECT_EQ(Counts(), "ipv6 0/18446744073709551616 3 reserved");  // it, and the two edges
  Give("default/a");
  EXPECT_NE(Has("default/a"), first);
  EXPECT_NE(Has("default/a"), "");
}

TEST_F(EngineHistoryTest, OnlyPoolsWhosePickerAsksKeepAHistory) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  world_->Add(PoolOf("plain", {"10.0.1.1-10.0.1.1"}));
  Give("default/a");
  Give("default/b");
  ASSERT_EQ(Has("default/b"), "10.0.1.1");
  world_->RemoveService("default/a");
  world_->RemoveService("default/b");
  EXPECT_THAT(disk_.releases, ElementsAre(Key(Address("10.0.0.1"))));
  Give("default/c");
  EXPECT_EQ(Has("default/c"), "10.0.1.1");
}

TEST_F(EngineHistoryTest, AUseUnderAnotherPickerForgetsTheReleaseBefore) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  Give("default/a");
  world_->RemoveService("default/a");
  ASSERT_EQ(disk_.releases.size(), 1u);
  world_->Add(PoolOf("p", {"10.0.0.1-10.0.0.1"}));
  Give("default/b");
  EXPECT_EQ(Has("default/b"), "10.0.0.1");
  world_->RemoveService("default/b");
  EXPECT_THAT(disk_.releases, IsEmpty());
}

TEST_F(EngineHistoryTest, AnAddressOfWhichNobodyWasToldWasNotUsed) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  world_->journal_waits = true;
  Give("default/a");
  world_->RemoveService("default/a");
  Give("default/b");
  world_->AnswerJournal();
  EXPECT_EQ(Has("default/b"), "10.0.0.1");
  EXPECT_THAT(disk_.releases, IsEmpty());
}

// ---- the cool-down ----

TEST_F(EngineHistoryTest, WhoWaitsIsServedInTurnWhenTheCoolDownEnds) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  for (const char* key : {"default/a", "default/b", "default/c"}) Give(key);
  EXPECT_EQ(world_->ReasonOf("default/b"), "pool-exhausted");
  world_->RemoveService("default/a");
  for (const char* key : {"default/b", "default/c"}) {
    EXPECT_EQ(world_->ReasonOf(key), "cooling-down");
    EXPECT_THAT(world_->StatusOf(key)->remedy, HasSubstr("cool-down"));
  }
  EXPECT_EQ(Counts(), "ipv4 0/1 1 reserved");
  world_->Advance(absl::Seconds(59));
  EXPECT_EQ(Has("default/b"), "");
  world_->Advance(absl::Seconds(1));
  EXPECT_EQ(Has("default/b"), "10.0.0.1");
  EXPECT_EQ(world_->ReasonOf("default/c"), "pool-exhausted");
  EXPECT_EQ(Counts(), "ipv4 1/1");
}

TEST_F(EngineHistoryTest, EachAddressHasItsOwnCoolDown) {
  StartWith(60, "10.0.0.1-10.0.0.2");
  for (const char* key : {"default/a", "default/b", "default/c", "default/d"}) Give(key);
  world_->RemoveService("default/b");
  world_->Advance(absl::Seconds(20));
  world_->RemoveService("default/a");
  world_->Advance(absl::Seconds(40));
  EXPECT_EQ(Has("default/c"), "10.0.0.2");
  EXPECT_EQ(Has("default/d"), "");
  EXPECT_EQ(world_->ReasonOf("default/d"), "cooling-down");
  world_->Advance(absl::Seconds(20));
  EXPECT_EQ(Has("default/d"), "10.0.0.1");
}

TEST_F(EngineHistoryTest, AnotherPoolServesMeanwhile) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  world_->Add(PoolOf("q", {"10.0.1.1-10.0.1.1"}));
  Give("default/a");
  world_->RemoveService("default/a");
  Give("default/b");
  EXPECT_EQ(Has("default/b"), "10.0.1.1");
}

TEST_F(EngineHistoryTest, WhoHeldItGetsItBackByNameAtOnce) {
  StartWith(60, "10.0.0.1-10.0.0.2");
  Give("default/a");
  world_->RemoveService("default/a");
  world_->Add(Exactly("default/a", "10.0.0.1"));
  EXPECT_EQ(Has("default/a"), "10.0.0.1");
  EXPECT_EQ(Counts(), "ipv4 1/2");
}

TEST_F(EngineHistoryTest, WhoHeldItGetsItBackThoughItsErasureWasOnItsWay) {
  StartWith(60, "10.0.0.1-10.0.0.2");
  Give("default/a");
  world_->journal_waits = true;
  world_->RemoveService("default/a");
  world_->Add(Exactly("default/a", "10.0.0.1"));
  EXPECT_EQ(Has("default/a"), "");
  world_->AnswerJournal();
  EXPECT_EQ(Has("default/a"), "10.0.0.1");
}

TEST_F(EngineHistoryTest, AnotherServiceThatAsksForItIsToldUntilWhen) {
  StartWith(60, "10.0.0.1-10.0.0.2");
  Give("default/a");
  world_->RemoveService("default/a");
  world_->Add(Exactly("other/b", "10.0.0.1"));
  EXPECT_EQ(world_->ReasonOf("other/b"), "cooling-down");
  EXPECT_THAT(world_->StatusOf("other/b")->message,
              HasSubstr("10.0.0.1 was given up by Service default/a and cools down until "
                        "2023-11-14T22:14:20+00:00"));
  const std::optional<Explanation> explanation = world_->engine().Explain("other/b");
  EXPECT_EQ(explanation->slots.at(0).considered.at(0).reason, "cooling-down");
  world_->Advance(absl::Seconds(60));
  EXPECT_EQ(Has("other/b"), "10.0.0.1");
}

TEST_F(EngineHistoryTest, WhoWaitsForItByNameLearnsThatItCoolsDown) {
  StartWith(60, "10.0.0.1-10.0.0.2");
  Give("default/a");
  world_->Add(Exactly("other/b", "10.0.0.1"));
  EXPECT_EQ(world_->ReasonOf("other/b"), "address-held");
  world_->RemoveService("default/a");
  EXPECT_EQ(world_->ReasonOf("other/b"), "cooling-down");
}

TEST_F(EngineHistoryTest, WhenTheFormerHolderIsBackTheOthersNoLongerWaitForACoolDown) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  Give("default/a");
  Give("default/b");
  world_->RemoveService("default/a");
  ASSERT_EQ(world_->ReasonOf("default/b"), "cooling-down");
  world_->Add(Exactly("default/a", "10.0.0.1"));
  EXPECT_EQ(Has("default/a"), "10.0.0.1");
  EXPECT_EQ(world_->ReasonOf("default/b"), "pool-exhausted");
}

TEST_F(EngineHistoryTest, AnAddressFoundInUseIsTakenOverThoughItCoolsDown) {
  StartWith(60, "10.0.0.1-10.0.0.2");
  Give("default/a");
  world_->RemoveService("default/a");
  ServiceRequest found = ServiceOf("default/found");
  found.addresses_in_use = std::vector<std::string>{"10.0.0.1"};
  world_->Add(found);
  EXPECT_EQ(Has("default/found"), "10.0.0.1");
  EXPECT_EQ(Counts(), "ipv4 1/2");
}

TEST_F(EngineHistoryTest, ASharedAddressCoolsDownWhenTheLastOneLeaves) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  for (uint16_t port : {uint16_t{80}, uint16_t{81}}) {
    ServiceRequest service = ServiceOf(absl::StrCat("default/port-", port));
    service.sharing = SharingTerms{.key = "k", .ports = {{6, port}}};
    world_->Add(service);
    EXPECT_EQ(Has(service.key), "10.0.0.1");
  }
  Give("default/waits");
  world_->RemoveService("default/port-80");
  EXPECT_EQ(world_->ReasonOf("default/waits"), "pool-exhausted");
  world_->RemoveService("default/port-81");
  EXPECT_EQ(world_->ReasonOf("default/waits"), "cooling-down");
  EXPECT_EQ(disk_.releases.at(Address("10.0.0.1")).service, "default/port-81");
}

TEST_F(EngineHistoryTest, ItBeginsWhenTheDrainEnds) {
  StartWith(60, "10.0.0.1-10.0.0.2");
  world_->Set({.drain_time = absl::Seconds(30), .allow_renumber = true});
  Give("default/a");
  world_->Add(Exactly("default/a", "10.0.0.2"));
  world_->Add(Exactly("default/b", "10.0.0.1"));
  world_->Advance(absl::Seconds(30));
  ASSERT_EQ(Has("default/a"), "10.0.0.2");
  EXPECT_EQ(world_->ReasonOf("default/b"), "cooling-down");
  world_->Advance(absl::Seconds(59));
  EXPECT_EQ(Has("default/b"), "");
  world_->Advance(absl::Seconds(1));
  EXPECT_EQ(Has("default/b"), "10.0.0.1");
}

// ---- edits ----

TEST_F(EngineHistoryTest, AShorterCoolDownServesWhoWaits) {
  StartWith(3600, "10.0.0.1-10.0.0.1");
  Give("default/a");
  Give("default/b");
  world_->RemoveService("default/a");
  world_->Advance(absl::Seconds(10));
  ASSERT_EQ(world_->ReasonOf("default/b"), "cooling-down");
  world_->Send(CoolDown(5));
  EXPECT_EQ(Has("default/b"), "10.0.0.1");
}

TEST_F(EngineHistoryTest, AWiderPoolKeepsWhatItKnows) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  Give("default/a");
  world_->RemoveService("default/a");
  world_->Add(LongestUnused("p", "10.0.0.0-10.0.0.2"));
  EXPECT_EQ(Counts(), "ipv4 0/3 1 reserved");
  for (const char* key : {"default/b", "default/c", "default/d"}) Give(key);
  EXPECT_EQ(Has("default/b"), "10.0.0.0");
  EXPECT_EQ(Has("default/c"), "10.0.0.2");
  EXPECT_EQ(world_->ReasonOf("default/d"), "cooling-down");
}

TEST_F(EngineHistoryTest, SettingsThatCannotBeReadAreToldAndTheCoolDownGoesOnAfterwards) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  Give("default/a");
  world_->RemoveService("default/a");
  world_->Send(PickerChanged{.name = "longest-unused",
                             .error = absl::InvalidArgumentError("\"cool-down\" must be")});
  Give("default/b");
  EXPECT_EQ(world_->ReasonOf("default/b"), "picker-failed");
  EXPECT_THAT(world_->StatusOf("default/b")->message, HasSubstr("\"cool-down\" must be"));
  world_->Advance(absl::Seconds(1));
  EXPECT_EQ(world_->PoolStatusOf("p")->reason, "picker-failed");
  EXPECT_THAT(world_->PoolStatusOf("p")->message, HasSubstr("\"cool-down\" must be"));
  EXPECT_THAT(world_->PoolStatusOf("p")->remedy, HasSubstr("settings"));
  world_->Send(CoolDown(60));
  EXPECT_EQ(world_->ReasonOf("default/b"), "cooling-down");
  world_->Advance(absl::Seconds(60));
  EXPECT_EQ(Has("default/b"), "10.0.0.1");
}

TEST_F(EngineHistoryTest, APlanDoesNotPromiseAnAddressThatCoolsDown) {
  StartWith(60, "10.0.0.1-10.0.0.3");
  Give("default/a");
  Give("default/b");
  world_->RemoveService("default/a");
  world_->RemoveService("default/b");
  world_->Add(PoolOf("old", {"10.0.1.1-10.0.1.1"}));
  ServiceRequest moves = Exactly("default/moves", "10.0.1.1");
  world_->Add(moves);
  moves.requested_addresses.clear();
  world_->Add(moves);
  const auto plan = [&] {
    return world_->engine().Plan({.pools = {LongestUnused("p", "10.0.0.1-10.0.0.3")}})->moves.at(0);
  };
  EXPECT_EQ(plan().new_address, Address("10.0.0.3"));
  world_->Add(Exactly("default/third", "10.0.0.3"));
  EXPECT_EQ(plan().new_address, std::nullopt);
  world_->Advance(absl::Seconds(60));
  EXPECT_EQ(plan().new_address, Address("10.0.0.1"));
  Settings other;
  other.address_picker = "lowest-free";
  PoolConfig by_default = PoolOf("p", {"10.0.0.1-10.0.0.3"});
  EXPECT_EQ(
      world_->engine().Plan({.pools = {by_default}, .settings = other})->moves.at(0).new_address,
      Address("10.0.0.1"));
}

// ---- restarts and failures ----

TEST_F(EngineHistoryTest, ACoolDownGoesOnOverARestart) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  Give("default/a");
  world_->RemoveService("default/a");
  world_->Advance(absl::Seconds(30));
  Restart(60, "10.0.0.1-10.0.0.1", [](World& world) { world.Add(ServiceOf("default/b")); });
  EXPECT_EQ(world_->ReasonOf("default/b"), "cooling-down");
  EXPECT_EQ(Counts(), "ipv4 0/1 1 reserved");
  world_->Advance(absl::Seconds(29));
  EXPECT_EQ(Has("default/b"), "");
  world_->Advance(absl::Seconds(1));
  EXPECT_EQ(Has("default/b"), "10.0.0.1");
}

TEST_F(EngineHistoryTest, AServiceThatWentMeanwhileGaveUpItsAddressAtTheStart) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  Give("default/a");
  Restart(60, "10.0.0.1-10.0.0.1", [](World& world) { world.Add(ServiceOf("default/b")); });
  EXPECT_EQ(world_->ReasonOf("default/b"), "cooling-down");
  EXPECT_EQ(disk_.releases.at(Address("10.0.0.1")).service, "default/a");
  world_->Advance(absl::Seconds(60));
  EXPECT_EQ(Has("default/b"), "10.0.0.1");
}

TEST_F(EngineHistoryTest, AFullDiskDelaysTheReleaseAndLosesNothing) {
  StartWith(60, "10.0.0.1-10.0.0.1");
  Give("default/a");
  disk_.failure = absl::ResourceExhaustedError("full");
  world_->RemoveService("default/a");
  Give("default/b");
  world_->Advance(absl::Seconds(10));
  EXPECT_THAT(disk_.releases, IsEmpty());
  EXPECT_EQ(disk_.rows.size(), 1u);
  disk_.failure = absl::OkStatus();
  world_->Advance(absl::Seconds(30));
  EXPECT_THAT(disk_.rows, IsEmpty());
  EXPECT_THAT(disk_.releases, ElementsAre(Key(Address("10.0.0.1"))));
  EXPECT_EQ(world_->ReasonOf("default/b"), "cooling-down");
  world_->Advance(absl::Seconds(20));  // 60 since it was given up, not since it was written
  EXPECT_EQ(Has("default/b"), "10.0.0.1");
}

// Whichever write is the last one: nobody else gets the address before its cool-down is over.
TEST_F(EngineHistoryTest, KilledAtAnyWriteNothingComesBackTooEarly) {
  for (int writes = 0; writes < 12; ++writes) {
    Disk disk;
    const auto start = [](World& world) {
      world.Send(CoolDown(60));
      world.Add(LongestUnused("p", "10.0.0.1-10.0.0.1"));
      world.Start();
    };
    {
      World world(&disk);
      start(world);
      disk.dies_after = writes;
      world.Add(ServiceOf("default/a"));
      world.RemoveService("default/a");
      world.Add(Exactly("default/a", "10.0.0.1"));
      world.RemoveService("default/a");
    }
    disk.dies_after.reset();
    const bool told = !disk.rows.empty() || !disk.releases.empty();
    World again(&disk);
    again.Add(ServiceOf("default/b"));
    start(again);
    EXPECT_EQ(again.AddressesOf("default/b"), told ? "" : "10.0.0.1") << writes;
    again.Advance(absl::Seconds(61));
    EXPECT_EQ(again.AddressesOf("default/b"), "10.0.0.1") << writes;
    EXPECT_THAT(again.problems, IsEmpty());
  }
}

TEST_F(EngineHistoryTest, TooLongAHistoryIsCutAtTheStartAndOnDisk) {
  const net::IpAddress first = Address("2001:db8::");
  for (size_t i = 0; i <= ReleaseTable::kMaxReleases; ++i) {
    const net::IpAddress address = net::IpAddress::FromValue(net::Family::kIpv6, first.value() + i);
    disk_.releases[address] = {address, "default/old", static_cast<int64_t>(1000 + i)};
  }
  disk_.failure = absl::ResourceExhaustedError("full");
  StartWith(0, "2001:db8::-2001:db8::ffff:ffff");
  EXPECT_EQ(disk_.releases.size(), ReleaseTable::kMaxReleases + 1);
  disk_.failure = absl::OkStatus();
  // What could not be erased then is erased with what is forgotten next.
  disk_.releases.erase(std::prev(disk_.releases.end()));
  world_->Advance(absl::Minutes(1));
  Give("default/a");
  EXPECT_EQ(Has("default/a"), "2001:db8::");  // forgotten: the lowest that nobody remembers
  world_->Add(PoolOf("p", {"2001:db8::-2001:db8::ffff:ffff"}));
  world_->Add(Exactly("default/a", "2001:db8::ffff"));
  world_->RemoveService("default/a");
  EXPECT_EQ(disk_.releases.size(), ReleaseTable::kMaxReleases - ReleaseTable::kForgottenAtOnce - 1);
  EXPECT_FALSE(disk_.releases.contains(first));
}

// ---- the other pickers that promise something over time ----

TEST_F(EngineHistoryTest, StableHashGivesADeletedServiceItsAddressBackAlsoAfterARestart) {
  world_->Add(PoolOf("s", {"10.0.2.0/24"}));
  world_->settings.address_picker = "stable-hash";
  world_->Start();
  for (int i = 0; i < 50; ++i) Give(absl::StrCat("default/", i));
  const std::string had = Has("default/7");
  world_->RemoveService("default/7");
  Give("default/new");
  ASSERT_NE(Has("default/new"), had);
  Give("default/7");
  EXPECT_EQ(Has("default/7"), had);
  world_->RemoveService("default/7");
  world_.emplace(&disk_);
  world_->settings.address_picker = "stable-hash";
  world_->Add(PoolOf("s", {"10.0.2.0/24"}));
  world_->Start();
  Give("default/7");
  EXPECT_EQ(Has("default/7"), had);
}

TEST_F(EngineHistoryTest, RandomGivesTheSameToTheSameServicesInWhateverOrderTheyAreDeclared) {
  const auto assigned = [](bool backwards) {
    Disk disk;
    World world(&disk);
    PoolConfig pool = PoolOf("p", {"10.0.2.0/26"});
    pool.address_picker = "random";
    world.Add(pool);
    for (int i = 0; i < 40; ++i) {
      world.Add(ServiceOf(absl::StrCat("default/", backwards ? 39 - i : i)));
    }
    world.Start();
    EXPECT_EQ(world.allocations().size(), 40u);
    return world.allocations();
  };
  world_->Start();
  EXPECT_EQ(assigned(false), assigned(true));
}

}  // namespace
}  // namespace portolan::ipam
