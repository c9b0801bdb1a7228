#include "services/bgp-exporter/core/engine.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "services/bgp-exporter/core/engine_world.h"

namespace portolan::bgp {
namespace {

constexpr absl::string_view kRed4 = "20.0.10.1";
constexpr absl::string_view kRed6 = "2001:db8:beef::1";

TEST(Engine, AServiceIsAdvertisedWithNextHopsOfBothFamilies) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  EXPECT_EQ(world.Heard(), "OPEN EOR ipv4 EOR ipv6");
  world.OpenGate("default/red", {kRed4, kRed6});
  world.Allocate("default/red", {kRed4, kRed6});
  EXPECT_EQ(world.Heard(), "+1 +1");
  ASSERT_EQ(world.routes.size(), 2u);
  EXPECT_EQ(world.routes.begin()->second.next_hop, Address("10.0.0.1"));
  EXPECT_EQ(world.routes.rbegin()->second.next_hop, Address("2001:db8::1")) << "not the fe80 one";
  EXPECT_EQ(world.peers["lab/tor"].prefixes_sent, 2u);
  const StatusView status = world.Status("service", "default/red");
  EXPECT_EQ(status.state, StatusState::kReady);
  EXPECT_EQ(status.generation, 3u);
  EXPECT_EQ(status.addresses, (std::vector<std::string>{"20.0.10.1", "2001:db8:beef::1"}));
  EXPECT_EQ(status.message,
            "advertised: 20.0.10.1/32 with next hop 10.0.0.1 to peer tor (10.0.0.2, AS 65000); and "
            "1 more");
}

TEST(Engine, AChangeDoesNotWaitForTheExplanationOfEverythingElse) {
  World world;
  world.Configure();
  for (int i = 0; i < 100; ++i) {
    PeerConfig peer;
    peer.instance = "lab";
    peer.name = absl::StrCat("r", i);
    peer.address = Address(absl::StrCat("10.0.1.", i));
    peer.remote_as = 65000;
    peer.families = {{Family::kIpv4, std::nullopt}};
    world.Do(PeerChanged{peer});
  }
  world.SyncAll();
  for (int i = 0; i < 1000; ++i) {
    world.Allocate(absl::StrCat("default/s", i), {absl::StrCat("20.0.", i / 250, ".", i % 250)});
  }
  world.Pass(absl::ZeroDuration());
  const auto told = [&] {
    int count = 0;
    for (const auto& [id, view] : world.statuses) {
      count += id.first == "service" && view.reason == "no-advertisement" ? 1 : 0;
    }
    return count;
  };
  ASSERT_EQ(told(), 0);
  world.Do(AdvertisementRemoved{"lab/all"});
  EXPECT_GT(told(), 0);
  EXPECT_LT(told(), 999);
  AllocationInput last{.key = "default/s999", .generation = 4};
  last.grants.push_back({Address("20.0.3.249"), "main"});
  world.Do(AllocationChanged{last});
  EXPECT_EQ(world.Status("service", "default/s999").generation, 4u);
  EXPECT_LT(told(), 1000) << "others are still to come";
  world.Pass(absl::ZeroDuration());
  EXPECT_EQ(told(), 1000);
}

TEST(Engine, NothingIsDialledBeforeTheConfigurationIsRead) {
  World world;
  world.Configure();
  EXPECT_TRUE(world.dials.empty());
  EXPECT_FALSE(world.synced);
  world.SyncConfig();
  EXPECT_EQ(world.dials.size(), 1u);
  EXPECT_TRUE(world.synced);
}

TEST(Engine, NothingIsSentBeforeAllInputsAreRead) {
  World world;
  world.Configure();
  world.SyncConfig();
  world.Up();
  world.OpenGate("default/red", {kRed4});
  world.Allocate("default/red", {kRed4});
  world.Pass(absl::Seconds(20));
  EXPECT_EQ(world.Heard(), "OPEN") << "neither UPDATE nor End-of-RIB";
  EXPECT_EQ(world.Status("service", "default/red").reason, "inputs-not-read");
  for (const Input input : {Input::kAdvertisements, Input::kStages, Input::kAllocations}) {
    world.Do(InputSynced{input});
  }
  EXPECT_EQ(world.Heard(), "");
  world.Do(InputSynced{Input::kDatapath});
  EXPECT_EQ(world.Heard(), "+1 EOR ipv4 EOR ipv6");
}

TEST(Engine, AnAddressWaitsForTheDatapathAndGoesWithIt) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.Heard();
  world.Allocate("default/red", {kRed4});
  EXPECT_EQ(world.Heard(), "");
  EXPECT_EQ(world.Status("service", "default/red").reason, "datapath-not-ready");
  world.OpenGate("default/red", {kRed4});
  EXPECT_EQ(world.Heard(), "+1");
  world.OpenGate("default/red", {});
  EXPECT_EQ(world.Heard(), "-1");
  world.Do(DatapathStageChanged{false});
  EXPECT_EQ(world.Heard(), "+1") << "without a datapath stage there is no gate";
}

TEST(Engine, ARemovedServiceIsWithdrawn) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.OpenGate("default/red", {kRed4});
  world.Allocate("default/red", {kRed4});
  world.Heard();
  world.Do(AllocationRemoved{"default/red"});
  EXPECT_EQ(world.Heard(), "-1");
  EXPECT_TRUE(world.routes.empty());
  EXPECT_EQ(world.statuses.count({"service", "default/red"}), 0u);
}

TEST(Engine, ChangesOfOneMomentShareMessages) {
  World world;
  world.Configure();
  world.Do(DatapathStageChanged{false});
  for (int i = 0; i < 1000; ++i) {
    AllocationInput allocation{.key = absl::StrCat("default/s", i)};
    allocation.grants.push_back(
        {IpAddress::FromValue(Family::kIpv4, Address("20.0.0.0").value() + i), "main"});
    world.Do(AllocationChanged{allocation});
  }
  world.SyncAll();
  world.Up();
  EXPECT_EQ(world.Heard(), "OPEN +810 +190 EOR ipv4 EOR ipv6");
}

TEST(Engine, ForAPeerThatTakesNothingOnlyTheLastChangesAreKept) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.OpenGate("default/red", {kRed4});
  world.Allocate("default/red", {kRed4});
  world.Heard();
  world.Do(WriteBlocked{world.connection});
  for (int i = 0; i < 100; ++i) {
    world.OpenGate("default/red", {});
    world.OpenGate("default/red", {kRed4});
  }
  world.Allocate("default/blue", {"20.0.10.2"});
  world.OpenGate("default/blue", {"20.0.10.2"});
  EXPECT_EQ(world.Heard(), "");
  EXPECT_EQ(world.Status("service", "default/blue").reason, "not-sent");
  world.Do(WriteProgress{world.connection, /*drained=*/false});
  EXPECT_EQ(world.Heard(), "");
  world.Do(WriteProgress{world.connection, /*drained=*/true});
  EXPECT_EQ(world.Heard(), "+1") << "blue; red is as it was";
  EXPECT_EQ(world.Status("service", "default/blue").state, StatusState::kReady);
}

TEST(Engine, NothingIsSentForAFamilyThatWasNotAgreed) {
  World world;
  world.Configure();
  world.SyncAll();
  Open open = World::RouterOpen();
  open.families = std::vector<Family>{Family::kIpv4};
  world.Up(open);
  world.OpenGate("default/red", {kRed4, kRed6});
  world.Allocate("default/red", {kRed4, kRed6});
  EXPECT_EQ(world.Heard(), "OPEN EOR ipv4 +1");
  EXPECT_EQ(world.Status("peer", "lab/tor").reason, "family-not-agreed");
  const StatusView status = world.Status("service", "default/red");
  EXPECT_EQ(status.state, StatusState::kDegraded);
  EXPECT_EQ(status.findings[0].message,
            "peer tor (10.0.0.2, AS 65000) does not exchange ipv6 unicast");
}

TEST(Engine, AFamilyWithoutNextHopIsAStatusWithRemedyAndTheOtherGoesOn) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up(World::RouterOpen(), {"fe80::1"});
  world.OpenGate("default/red", {kRed4, kRed6});
  world.Allocate("default/red", {kRed4, kRed6});
  EXPECT_EQ(world.Heard(), "OPEN EOR ipv4 EOR ipv6 +1");
  const StatusView status = world.Status("peer", "lab/tor");
  EXPECT_EQ(status.state, StatusState::kDegraded);
  EXPECT_EQ(status.reason, "no-next-hop");
  EXPECT_EQ(status.remedy, "set next-hop of that family at the peer");
}

TEST(Engine, AnEditedNextHopIsSentWithoutANewSession) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.OpenGate("default/red", {kRed4});
  world.Allocate("default/red", {kRed4});
  world.Heard();
  world.Configure(
      [](InstanceConfig&, PeerConfig& peer) { peer.families[0].next_hop = Address("10.9.9.9"); });
  EXPECT_EQ(world.Heard(), "+1");
  EXPECT_EQ(world.routes.begin()->second.next_hop, Address("10.9.9.9"));
}

TEST(Engine, RouteRefreshSendsTheFamilyAgain) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.OpenGate("default/red", {kRed4, kRed6});
  world.Allocate("default/red", {kRed4, kRed6});
  world.Heard();
  world.Do(Received{world.connection, EncodeRouteRefresh({1, 0, 1})});
  EXPECT_EQ(world.Heard(), "+1");
}

TEST(Engine, BadPeersAreRefusedWithRemedyAndOthersRun) {
  const struct {
    absl::string_view name;
    std::function<void(InstanceConfig&, PeerConfig&)> edit;
    absl::string_view want;
  } kCases[] = {
      {"AS 0", [](InstanceConfig&, PeerConfig& peer) { peer.remote_as = 0; },
       "peer tor: remote-as is 0, which is reserved (RFC 7607)"},
      {"hold time 2", [](InstanceConfig&, PeerConfig& peer) { peer.hold_time_s = 2; },
       "peer tor: hold-time 2 s is neither 0 nor 3 or more"},
      {"port 0", [](InstanceConfig&, PeerConfig& peer) { peer.port = 0; }, "peer tor: port is 0"},
      {"multicast", [](InstanceConfig&, PeerConfig& peer) { peer.address = Address("224.0.0.1"); },
       "peer tor: address 224.0.0.1 is not the address of a router"},
      {"unreadable",
       [](InstanceConfig&, PeerConfig& peer) { peer.problem = "address \"x\" is no address"; },
       "peer tor: address \"x\" is no address"},
      {"own AS 0", [](InstanceConfig& instance, PeerConfig&) { instance.local_as = 0; },
       "peer tor: instance lab: local-as is 0, which is reserved (RFC 7607)"},
  };
  for (const auto& test : kCases) {
    World world;
    world.Configure(test.edit);
    world.SyncAll();
    const StatusView status = world.Status("peer", "lab/tor");
    EXPECT_EQ(status.state, StatusState::kRejected) << test.name;
    EXPECT_EQ(status.message, test.want);
    EXPECT_FALSE(status.remedy.empty());
    EXPECT_TRUE(world.dials.empty());
    world.Configure();
    EXPECT_EQ(world.dials.size(), 1u) << "a corrected peer runs";
    EXPECT_EQ(world.Status("peer", "lab/tor").reason, "connecting");
  }
}

TEST(Engine, APeerWithoutInstanceWaitsForIt) {
  World world;
  PeerConfig peer;
  peer.instance = "lab";
  peer.name = "tor";
  peer.address = Address("10.0.0.2");
  peer.remote_as = 65000;
  world.Do(PeerChanged{peer});
  world.SyncAll();
  EXPECT_EQ(world.Status("peer", "lab/tor").reason, "no-instance");
  world.Do(InstanceChanged{{.name = "lab", .local_as = 65001}});
  EXPECT_EQ(world.dials.size(), 1u);
}

TEST(Engine, TwoPeersWithOneAddressAreOneTooMany) {
  World world;
  world.Configure();
  world.Configure([](InstanceConfig&, PeerConfig& peer) { peer.name = "tor2"; });
  world.SyncAll();
  EXPECT_EQ(world.dials.size(), 1u);
  EXPECT_EQ(world.Status("peer", "lab/tor2").reason, "duplicate-address");
}

TEST(Engine, OnlyPeersWhoseSelectorMatchesThisNodeRun) {
  World world;
  world.Configure([](InstanceConfig&, PeerConfig& peer) {
    peer.node_selector = LabelSelector({{"rack", LabelSelector::Operator::kIn, {"r1"}}});
  });
  world.SyncAll();
  EXPECT_TRUE(world.dials.empty());
  EXPECT_EQ(world.statuses.count({"peer", "lab/tor"}), 0u) << "not this node's affair";
  world.Do(NodeChanged{{.name = "a", .labels = {{"rack", "r1"}}}});
  EXPECT_EQ(world.dials.size(), 1u);
  world.Do(NodeChanged{{.name = "a", .labels = {{"rack", "r2"}}}});
  EXPECT_TRUE(world.peers.empty());
}

TEST(Engine, AServiceThatNothingSelectsIsToldWhy) {
  World world;
  world.Configure();
  AdvertisementConfig advertisement;
  advertisement.instance = "lab";
  advertisement.name = "all";
  advertisement.service_selector =
      LabelSelector({{"color", LabelSelector::Operator::kIn, {"red", "blue"}}});
  world.Do(AdvertisementChanged{advertisement});
  world.SyncAll();
  world.Up();
  world.OpenGate("default/green", {kRed4});
  world.Allocate("default/green", {kRed4}, {{"color", "green"}});
  const StatusView status = world.Status("service", "default/green");
  EXPECT_EQ(status.state, StatusState::kPending);
  EXPECT_EQ(status.reason, "no-advertisement");
  EXPECT_EQ(status.message,
            "no advertisement selects service default/green: advertisement all: service-selector "
            "\"color In [red, blue]\" does not hold for service default/green");
  EXPECT_EQ(status.findings[0].subject, "advertisement/lab/all");
}

TEST(Engine, AnAdvertisementThatCannotBeReadIsRejected) {
  World world;
  world.Configure();
  world.SyncAll();
  AdvertisementConfig advertisement;
  advertisement.instance = "lab";
  advertisement.name = "all";
  advertisement.problem = "community \"x\" is no community";
  world.Do(AdvertisementChanged{advertisement});
  EXPECT_EQ(world.Status("advertisement", "lab/all").state, StatusState::kRejected);
  advertisement.problem.clear();
  world.Do(AdvertisementChanged{advertisement});
  EXPECT_EQ(world.statuses.count({"advertisement", "lab/all"}), 0u);
}

TEST(Engine, TheSameEventsGiveTheSameEffects) {
  const auto run = [] {
    World world({.node = "a", .seed = 7});
    world.Configure();
    world.SyncAll();
    std::vector<absl::Time> times;
    for (int i = 0; i < 5; ++i) {
      world.Do(Disconnected{world.dials.back().connection, "refused"});
      times.push_back(world.timer);
      world.Pass(absl::Seconds(5));
    }
    return times;
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace portolan::bgp
