#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/l2-announcer/core/engine.h"
#include "services/l2-announcer/core/testing_world.h"

namespace portolan::l2 {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kService[] = "shop/web";
constexpr char kV4[] = "172.18.255.200";
constexpr absl::Duration kSettled = absl::Seconds(5);  // listening, agreement, probes

// Owners as the client sees them, and as the nodes say.
void ExpectOneOwner(World& world, const std::string& address, const std::string& owner) {
  EXPECT_THAT(world.Ask(address), ElementsAre(owner)) << address;
  for (const std::string& node : world.Names()) {
    if (world[node].frozen) continue;
    EXPECT_EQ(world[node].announcements.at(address).owner_node, owner) << node;
    EXPECT_EQ(world[node].announcements.at(address).owner, node == owner) << node;
  }
}

// Addresses that rendezvous gives to a, b and c when all three are there.
const std::vector<std::string>& Spread() {
  static const auto* addresses = new std::vector<std::string>(
      {"20.0.10.1", "20.0.10.2", "20.0.10.3", "20.0.10.4", "20.0.10.5", "20.0.10.6", "20.0.10.7",
       "20.0.10.8", "20.0.10.9", "2001:db8::1", "2001:db8::2", "2001:db8::3"});
  return *addresses;
}
std::string Elected(const std::string& address, const std::vector<std::string>& nodes) {
  return BuiltinElections().at("rendezvous")->Order(address, nodes).front();
}

class ThreeNodes : public ::testing::Test {
 protected:
  ThreeNodes() {
    world.StartAll({"a", "b", "c"});
    world.Allocate(kService, Spread());
    world.RunFor(kSettled);
  }
  void ExpectElected(const std::vector<std::string>& nodes) {
    for (const std::string& address : Spread()) {
      ExpectOneOwner(world, address, Elected(address, nodes));
    }
  }
  void ExpectAtMostOneOwner() {
    for (const std::string& address : Spread()) {
      EXPECT_LE(world.Ask(address).size(), 1u) << address;
    }
  }
  World world;
};

TEST_F(ThreeNodes, EachAddressHasOneOwnerAndTheLoadSpreads) {
  ExpectElected({"a", "b", "c"});
  for (const char* node : {"a", "b", "c"}) {
    EXPECT_THAT(world.StatusOf(node, kService).addresses, ::testing::Not(IsEmpty())) << node;
    EXPECT_EQ(world.StatusOf(node, kService).state, State::kReady) << node;
  }
}

TEST_F(ThreeNodes, NobodyAnswersWhileTheyListen) {
  World fresh;
  fresh.StartAll({"a", "b", "c"});
  fresh.Kill("c");
  fresh.Allocate(kService, {kV4});
  fresh.RunFor(absl::Milliseconds(2999));
  EXPECT_THAT(fresh.Ask(kV4), IsEmpty());
  EXPECT_EQ(fresh.StatusOf("a", kService).reason, "listening");
}

TEST_F(ThreeNodes, AKilledOwnerIsFollowedWithinTheDeadIntervalAndASecond) {
  world.Kill("b");
  world.RunFor(absl::Seconds(4));
  ExpectElected({"a", "c"});
}

TEST_F(ThreeNodes, AnOwnerThatSaysGoodbyeIsFollowedWithinHalfASecond) {
  world.Tell("b", Leave{});
  world.Kill("b");
  world.RunFor(absl::Milliseconds(500));
  ExpectElected({"a", "c"});
}

TEST_F(ThreeNodes, TheFollowerSaysGratuitouslyThatItHasTheAddress) {
  const std::string address = "20.0.10.1";
  const std::string owner = Elected(address, {"a", "b", "c"});
  world.Kill(owner);
  for (const std::string& node : world.Names()) world[node].sent.clear();
  world.RunFor(absl::Seconds(4));
  bool told = false;
  for (const std::string& node : world.Names()) {
    for (const auto& [at, frame] : world[node].sent) {
      const auto* arp = std::get_if<ArpFrame>(&frame);
      if (arp == nullptr || arp->sender_ip != Ip(address)) continue;
      told = true;
      EXPECT_EQ(arp->sender_mac, World::MacOf(node));
    }
  }
  EXPECT_TRUE(told);
}

TEST_F(ThreeNodes, AFrozenOwnerNeverAnswersOnceItThaws) {
  world.Freeze("b");
  world.RunFor(absl::Seconds(10));
  // Questions that waited in the frozen node's socket are answered by the others only.
  for (const std::string& address : Spread()) world.Send(World::Question(Ip(address)));
  world["b"].sent.clear();
  world.Thaw("b");
  for (const auto& [at, frame] : world["b"].sent) {
    EXPECT_TRUE(std::holds_alternative<Heartbeat>(frame)) << frame.index();
  }
  for (int i = 0; i < 100; ++i) {
    ExpectAtMostOneOwner();
    world.RunFor(absl::Milliseconds(50));
  }
  world.RunFor(kSettled);
  ExpectElected({"a", "b", "c"});
}

// The last heartbeat was sent just before the freeze, so that the others gave it up although it
// was frozen for less than the dead interval.
TEST_F(ThreeNodes, AShortFreezeAtTheWrongMomentIsNoticedToo) {
  world.RunFor(absl::Milliseconds(
      1000 - absl::ToInt64Milliseconds((world.now() - absl::UnixEpoch())) % 1000));
  world.Cut("b", "a");
  world.Cut("b", "c");
  world.RunFor(absl::Milliseconds(400));
  world.Freeze("b");
  world.RunFor(absl::Milliseconds(2900));
  world.Mend();
  world.Thaw("b");
  ExpectAtMostOneOwner();
  world.RunFor(absl::Seconds(9));
  ExpectElected({"a", "b", "c"});
}

TEST_F(ThreeNodes, ANodeThatComesTakesItsShareWithoutTwoAnswering) {
  world.Kill("b");
  world.RunFor(absl::Seconds(10));
  world.Start("b");
  world.Configure("b", {"a", "b", "c"});
  world.AllocateOn("b", kService, Spread());
  for (int i = 0; i < 120; ++i) {
    ExpectAtMostOneOwner();
    world.RunFor(absl::Milliseconds(50));
  }
  ExpectElected({"a", "b", "c"});
}

TEST_F(ThreeNodes, ALanThatWorksInOneDirectionHasOneOwner) {
  world.Cut("b", "a");
  world.Cut("b", "c");
  for (int i = 0; i < 200; ++i) {
    ExpectAtMostOneOwner();
    world.RunFor(absl::Milliseconds(50));
  }
  for (const std::string& address : Spread()) {
    EXPECT_THAT(world.Ask(address), ElementsAre(Elected(address, {"a", "c"}))) << address;
  }
  world.Mend();
  world.RunFor(kSettled);
  ExpectElected({"a", "b", "c"});
}

TEST_F(ThreeNodes, AHealedSplitEndsWithOneOwner) {
  for (const char* other : {"a", "c"}) {
    world.Cut("b", other);
    world.Cut(other, "b");
  }
  world.RunFor(absl::Seconds(10));
  EXPECT_THAT(world.Ask("20.0.10.1"), SizeIs(2));  // one on each side: unavoidable
  world.Mend();
  world.RunFor(kSettled);
  ExpectElected({"a", "b", "c"});
}

TEST_F(ThreeNodes, WithoutAgreementNothingIsTakenAndWhatIsOwnedStays) {
  world.Cut("a", "b");
  world.Cut("b", "a");
  for (int i = 0; i < 200; ++i) {
    ExpectAtMostOneOwner();
    world.RunFor(absl::Milliseconds(50));
  }
  for (const std::string& address : Spread()) {
    const std::string owner = Elected(address, {"a", "b", "c"});
    EXPECT_THAT(world.Ask(address), ElementsAre(owner)) << address;
  }
}

TEST_F(ThreeNodes, ANodeWhoseDatapathStaysBehindLeavesItsAddressesToOthers) {
  world.Tell("b", GateChanged{kService, {}});
  ExpectAtMostOneOwner();
  world.RunFor(absl::Seconds(4));
  ExpectElected({"a", "c"});
  world.AllocateOn("b", kService, Spread());
  world.RunFor(absl::Seconds(2));
  ExpectElected({"a", "b", "c"});
}

TEST_F(ThreeNodes, ANodeThatStartsWithoutADatapathTakesNothing) {
  world.Kill("b");
  world.RunFor(kSettled);
  world.Start("b");
  Allocation allocation;
  for (const std::string& address : Spread()) allocation.grants.push_back({Ip(address), "pool"});
  world.Tell("b", AllocationChanged{kService, allocation});
  world.Configure("b", {"a", "b", "c"});
  for (int i = 0; i < 100; ++i) {
    world.RunFor(absl::Milliseconds(50));
    for (const std::string& address : Spread()) EXPECT_THAT(world.Ask(address), SizeIs(1));
  }
  world.AllocateOn("b", kService, Spread());
  world.RunFor(absl::Seconds(1));
  ExpectElected({"a", "b", "c"});
}

TEST_F(ThreeNodes, NodeSelectorsKeepNodesOut) {
  using Op = LabelSelector::Operator;
  world.TellAll(PolicyChanged{"all", Policy{.nodes = LabelSelector({{"name", Op::kIn, {"c"}}})}});
  world.RunFor(kSettled);
  for (const std::string& address : Spread()) EXPECT_THAT(world.Ask(address), ElementsAre("c"));
  EXPECT_EQ(world.StatusOf("a", kService).reason, "not-this-node");
}

// Node b has heard of a policy that excludes a; a has not yet. Nobody may take what a still
// answers.
TEST_F(ThreeNodes, AMemberWithAnOlderConfigurationIsNotTalkedOver) {
  using Op = LabelSelector::Operator;
  const Policy newer{.nodes = LabelSelector({{"name", Op::kIn, {"b"}}})};
  world.Tell("b", PolicyChanged{"all", newer});
  world.Tell("c", PolicyChanged{"all", newer});
  for (int i = 0; i < 100; ++i) {
    ExpectAtMostOneOwner();
    world.RunFor(absl::Milliseconds(50));
  }
  EXPECT_EQ(world.StatusOf("b", kService).reason, "still-answered");
  world.Tell("a", PolicyChanged{"all", newer});
  world.RunFor(kSettled);
  for (const std::string& address : Spread()) EXPECT_THAT(world.Ask(address), ElementsAre("b"));
}

// Whatever the reason is that another member announces it: two must not go on.
TEST_F(ThreeNodes, AnOwnerYieldsToAMemberThatAnnouncesItsAddressAndAsksAgain) {
  const std::string address = "20.0.10.1";
  const std::string owner = Elected(address, {"a", "b", "c"});
  const std::string other = owner == "a" ? "b" : "a";
  const ArpFrame claim{.destination = net::MacAddress::Broadcast(),
                       .source = World::MacOf(other),
                       .sender_mac = World::MacOf(other),
                       .sender_ip = Ip(address),
                       .target_ip = Ip(address)};
  world.Tell(owner, FrameReceived{"lan", claim});
  EXPECT_THAT(world.Ask(address), IsEmpty());
  EXPECT_EQ(world.StatusOf(owner, kService).reason, "still-answered");
  world.RunFor(absl::Seconds(3));
  EXPECT_THAT(world.Ask(address), ElementsAre(owner));
}

TEST_F(ThreeNodes, HeartbeatsOfUnknownNodesAreIgnored) {
  world.Send(Heartbeat{.source = Mac("02:00:00:00:00:66"),
                       .node = "mallory",
                       .life = 1,
                       .dead_interval_ms = 3000,
                       .standing = {.ready = true, .fit = true}});
  ExpectElected({"a", "b", "c"});
}

TEST_F(ThreeNodes, ARemovedNodeIsForgottenAtOnce) {
  world.Kill("b");
  for (const char* node : {"a", "c"}) world.Tell(node, NodeChanged{"b", std::nullopt});
  world.RunFor(absl::Milliseconds(500));
  ExpectElected({"a", "c"});
}

TEST_F(ThreeNodes, LongerIntervalsCanBeRolledOutWithoutAMove) {
  const Settings slow{.heartbeat_interval = absl::Seconds(5), .dead_interval = absl::Seconds(15)};
  for (const char* node : {"a", "b", "c"}) {
    world.Tell(node, SettingsChanged{slow});
    for (int i = 0; i < 10; ++i) {
      world.RunFor(absl::Seconds(1));
      ExpectElected({"a", "b", "c"});
    }
  }
}

}  // namespace
}  // namespace portolan::l2
