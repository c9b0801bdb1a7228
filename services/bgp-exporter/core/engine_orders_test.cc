#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "services/bgp-exporter/core/community.h"
#include "services/bgp-exporter/core/engine_world.h"

namespace portolan::bgp {
namespace {

constexpr absl::Duration kMinute = absl::Minutes(1);

class OrdersTest : public testing::Test {
 protected:
  // One established session with two routes.
  void Begin(const std::function<void(InstanceConfig&, PeerConfig&)>& edit = nullptr) {
    Declare(world_, edit);
    world_.Up();
    world_.Heard();
  }
  static void Declare(World& world,
                      const std::function<void(InstanceConfig&, PeerConfig&)>& edit = nullptr) {
    world.Configure(edit);
    world.Allocate("default/web", {"20.0.10.1", "2001:db8:beef::1"});
    world.OpenGate("default/web", {"20.0.10.1", "2001:db8:beef::1"});
    world.SyncAll();
  }
  void ExpectRefused(const OrderDone& answer, absl::StatusCode code, absl::string_view words) {
    EXPECT_EQ(answer.status.code(), code) << answer.status;
    EXPECT_TRUE(absl::StrContains(answer.status.message(), words)) << answer.status;
    EXPECT_EQ(answer.message, "");
    EXPECT_EQ(world_.Heard(), "");
  }

  World world_;
};

TEST_F(OrdersTest, HardResetTellsThePeerWhyAndComesBack) {
  Begin();
  const OrderDone answer = world_.Order(ResetRequested{.peer = "lab/tor", .text = "new line card"});
  EXPECT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.message, "peer lab/tor is reset; the session comes back by itself");
  EXPECT_EQ(world_.Heard(), "NOTIFICATION 6/4");
  EXPECT_EQ(world_.heard_cease, "new line card");
  EXPECT_TRUE(world_.routes.empty());
  EXPECT_EQ(world_.peers["lab/tor"].last_error,
            "sent 6/4 Cease, Administrative Reset: \"new line card\"");
  world_.Pass(absl::Seconds(2));
  ASSERT_EQ(world_.dials.size(), 2u);
  world_.Up();
  EXPECT_EQ(world_.routes.size(), 2u);
}

TEST_F(OrdersTest, HardResetOfAPeerThatIsDownDialsItAnew) {
  world_.Configure([](InstanceConfig&, PeerConfig& peer) { peer.connect_retry_time_s = 600; });
  world_.SyncAll();
  // Refused again and again, the peer is dialled ever more rarely.
  for (int i = 0; i < 12; ++i) {
    world_.Do(Disconnected{world_.dials.back().connection, "connection refused"});
    world_.Pass(absl::Seconds(600));
  }
  world_.Do(Disconnected{world_.dials.back().connection, "connection refused"});
  const size_t dials = world_.dials.size();
  world_.Pass(absl::Seconds(2));
  ASSERT_EQ(world_.dials.size(), dials);
  const OrderDone answer = world_.Order(ResetRequested{.peer = "tor"});
  EXPECT_EQ(answer.message, "peer lab/tor had no session; it is dialled anew");
  world_.Pass(absl::Seconds(2));
  EXPECT_EQ(world_.dials.size(), dials + 1);
}

TEST_F(OrdersTest, SoftResetSendsEveryRouteAgainInTheSameSession) {
  Begin();
  const OrderDone answer = world_.Order(ResetRequested{.peer = "lab/tor", .soft = true});
  EXPECT_EQ(answer.message, "peer lab/tor is sent its 2 routes again");
  EXPECT_EQ(world_.Heard(), "+1 +1");
  EXPECT_EQ(world_.dials.size(), 1u);
  EXPECT_EQ(world_.routes.size(), 2u);
}

TEST_F(OrdersTest, SoftResetWithoutASessionIsRefused) {
  Declare(world_);
  world_.Heard();
  ExpectRefused(world_.Order(ResetRequested{.peer = "lab/tor", .soft = true}),
                absl::StatusCode::kFailedPrecondition, "is not established");
}

TEST_F(OrdersTest, SoftResetWithAMessageIsRefused) {
  Begin();
  ExpectRefused(world_.Order(ResetRequested{.peer = "lab/tor", .soft = true, .text = "hello"}),
                absl::StatusCode::kInvalidArgument, "sends no NOTIFICATION");
}

TEST_F(OrdersTest, MessageThatNoPeerTakesIsRefused) {
  Begin();
  ExpectRefused(world_.Order(ResetRequested{.peer = "lab/tor", .text = std::string(256, 'x')}),
                absl::StatusCode::kInvalidArgument, "256 octets");
  EXPECT_TRUE(
      world_.Order(ResetRequested{.peer = "lab/tor", .text = std::string(255, 'x')}).status.ok());
}

TEST_F(OrdersTest, UnknownPeerIsNamed) {
  Begin();
  ExpectRefused(world_.Order(ResetRequested{.peer = "lab/rot"}), absl::StatusCode::kNotFound,
                "there is no BGP peer lab/rot");
}

TEST_F(OrdersTest, NameThatTwoInstancesHaveIsNotGuessed) {
  Begin();
  world_.Do(InstanceChanged{{.name = "other", .local_as = 65002}});
  PeerConfig peer;
  peer.instance = "other";
  peer.name = "tor";
  peer.address = Address("10.0.0.3");
  peer.remote_as = 65000;
  world_.Do(PeerChanged{peer});
  ExpectRefused(world_.Order(ResetRequested{.peer = "tor"}), absl::StatusCode::kInvalidArgument,
                "lab/tor, other/tor");
}

TEST_F(OrdersTest, PeerThatDoesNotRunHereSaysWhy) {
  Declare(world_, [](InstanceConfig&, PeerConfig& peer) { peer.enabled = false; });
  world_.Heard();
  ExpectRefused(world_.Order(ResetRequested{.peer = "lab/tor"}),
                absl::StatusCode::kFailedPrecondition, "enabled is false");
}

TEST_F(OrdersTest, PeerOfAnotherNodeIsNotResetHere) {
  Declare(world_, [](InstanceConfig&, PeerConfig& peer) {
    peer.node_selector = LabelSelector({{"rack", LabelSelector::Operator::kIn, {"r1"}}});
  });
  world_.Heard();
  ExpectRefused(world_.Order(ResetRequested{.peer = "lab/tor"}),
                absl::StatusCode::kFailedPrecondition, "node-selector");
}

TEST_F(OrdersTest, OrderBeforeTheConfigurationIsReadIsRefused) {
  ExpectRefused(world_.Order(ResetRequested{.peer = "lab/tor"}),
                absl::StatusCode::kFailedPrecondition, "not known yet");
}

// ---- drain ----

TEST_F(OrdersTest, DrainMarksRoutesThenWithdrawsThemAndUndrainBringsThemBack) {
  Begin();
  const OrderDone answer = world_.Order(DrainRequested{.hold_time = kMinute});
  EXPECT_EQ(answer.message,
            "the 2 routes of node a are withdrawn in 1m, and carry graceful-shutdown until then");
  EXPECT_EQ(world_.Heard(), "+1 +1");
  EXPECT_EQ(world_.Communities("20.0.10.1/32"), std::vector<uint32_t>{kGracefulShutdown});
  EXPECT_EQ(world_.Status("drain", "a").reason, "draining");
  EXPECT_EQ(world_.Status("service", "default/web").state, StatusState::kReady);

  world_.Pass(kMinute - absl::Seconds(1));
  EXPECT_EQ(world_.routes.size(), 2u);
  world_.Pass(absl::Seconds(1));
  EXPECT_TRUE(world_.routes.empty());
  EXPECT_TRUE(absl::StrContains(world_.Heard(), "-1 -1"));
  EXPECT_EQ(world_.Status("drain", "a").reason, "drained");
  EXPECT_EQ(world_.Status("service", "default/web").reason, "drained");
  EXPECT_EQ(world_.peers["lab/tor"].state, SessionState::kEstablished);

  EXPECT_EQ(world_.Order(UndrainRequested()).message, "node a advertises its routes again");
  EXPECT_EQ(world_.Communities("20.0.10.1/32"), std::vector<uint32_t>());
  EXPECT_EQ(world_.routes.size(), 2u);
  EXPECT_EQ(world_.statuses.count({"drain", "a"}), 0u);
  EXPECT_EQ(world_.Status("service", "default/web").reason, "advertised");
  EXPECT_EQ(world_.saved, std::nullopt);
}

TEST_F(OrdersTest, UndrainBeforeTheTimeIsOverTakesTheMarkAway) {
  Begin();
  world_.Order(DrainRequested{.hold_time = kMinute / 2});
  world_.Order(UndrainRequested());
  EXPECT_EQ(world_.Communities("20.0.10.1/32"), std::vector<uint32_t>());
  world_.Pass(kMinute);
  EXPECT_EQ(world_.routes.size(), 2u);
}

TEST_F(OrdersTest, DrainWithoutHoldTimeWithdrawsAtOnce) {
  Begin();
  const OrderDone answer = world_.Order(DrainRequested());
  EXPECT_EQ(answer.message, "the 2 routes of node a are withdrawn now");
  EXPECT_TRUE(world_.routes.empty());
}

TEST_F(OrdersTest, DrainOfMoreThanADayIsRefused) {
  Begin();
  ExpectRefused(world_.Order(DrainRequested{.hold_time = absl::Seconds(86401)}),
                absl::StatusCode::kInvalidArgument, "24h at most");
  EXPECT_EQ(world_.saved, std::nullopt);
}

TEST_F(OrdersTest, DrainAgainBeginsTheHoldTimeAnew) {
  Begin();
  world_.Order(DrainRequested{.hold_time = kMinute});
  world_.Pass(kMinute / 2);
  world_.Order(DrainRequested{.hold_time = kMinute});
  world_.Pass(kMinute - absl::Seconds(1));
  EXPECT_EQ(world_.routes.size(), 2u);
  world_.Pass(absl::Seconds(1));
  EXPECT_TRUE(world_.routes.empty());
}

TEST_F(OrdersTest, DrainOfADrainedNodeDoesNotBringRoutesBack) {
  Begin();
  world_.Order(DrainRequested());
  const absl::Time saved = *world_.saved;
  world_.Heard();
  EXPECT_EQ(world_.Order(DrainRequested{.hold_time = kMinute}).message,
            "node a is drained already");
  EXPECT_EQ(world_.Heard(), "");
  EXPECT_EQ(world_.saved, saved);
}

TEST_F(OrdersTest, UndrainOfANodeThatIsNotDrainedChangesNothing) {
  Begin();
  EXPECT_EQ(world_.Order(UndrainRequested()).message, "node a is not drained");
  EXPECT_EQ(world_.Heard(), "");
}

TEST_F(OrdersTest, DrainThatCannotBeKeptOverARestartIsRefused) {
  Begin();
  world_.disk_problem = "disk full";
  ExpectRefused(world_.Order(DrainRequested()), absl::StatusCode::kUnavailable, "disk full");
  EXPECT_EQ(world_.routes.size(), 2u);
  EXPECT_EQ(world_.statuses.count({"drain", "a"}), 0u);
}

TEST_F(OrdersTest, UndrainThatCannotBeKeptIsRefusedAndTheNodeStaysDrained) {
  Begin();
  world_.Order(DrainRequested());
  world_.Heard();
  world_.disk_problem = "read-only file system";
  ExpectRefused(world_.Order(UndrainRequested()), absl::StatusCode::kUnavailable, "read-only");
  EXPECT_TRUE(world_.routes.empty());
  EXPECT_EQ(world_.Status("drain", "a").reason, "drained");
}

TEST_F(OrdersTest, WhatIsAllocatedWhileDrainingIsMarkedAndWhenDrainedNotSent) {
  Begin();
  world_.Order(DrainRequested{.hold_time = kMinute});
  world_.Allocate("default/late", {"20.0.10.9"});
  world_.OpenGate("default/late", {"20.0.10.9"});
  EXPECT_EQ(world_.Communities("20.0.10.9/32"), std::vector<uint32_t>{kGracefulShutdown});
  world_.Pass(kMinute);
  world_.Allocate("default/later", {"20.0.10.10"});
  world_.OpenGate("default/later", {"20.0.10.10"});
  EXPECT_TRUE(world_.routes.empty());
  EXPECT_EQ(world_.Status("service", "default/later").reason, "drained");
}

TEST_F(OrdersTest, SessionThatComesBackDuringADrainGetsMarkedRoutes) {
  Begin();
  world_.Order(DrainRequested{.hold_time = kMinute});
  world_.Order(ResetRequested{.peer = "tor"});
  world_.Pass(absl::Seconds(2));
  world_.Up();
  EXPECT_EQ(world_.Communities("20.0.10.1/32"), std::vector<uint32_t>{kGracefulShutdown});
}

TEST_F(OrdersTest, DrainSurvivesARestart) {
  World next({.node = "a", .restarted = true, .drain = absl::UnixEpoch() + kMinute});
  Declare(next);
  next.Up();
  EXPECT_EQ(next.Communities("20.0.10.1/32"), std::vector<uint32_t>{kGracefulShutdown});
  next.Pass(kMinute);
  EXPECT_TRUE(next.routes.empty());
}

TEST_F(OrdersTest, NodeThatWasDrainedBeforeARestartAdvertisesNothing) {
  World next({.node = "a", .restarted = true, .drain = absl::UnixEpoch() - kMinute});
  Declare(next);
  next.Up();
  EXPECT_TRUE(next.routes.empty());
  // Routers that kept the routes over the restart drop them (RFC 4724).
  EXPECT_TRUE(absl::StrContains(next.Heard(), "EOR ipv4 EOR ipv6"));
  EXPECT_EQ(next.Status("drain", "a").reason, "drained");
}

// ---- what a drain makes of a route ----

TEST(MarkAsDraining, AddsTheCommunityInItsPlaceAndLowersThePreference) {
  Wanted wanted{.communities = {1, 0xffffff01}, .local_preference = 200};
  MarkAsDraining(wanted);
  EXPECT_EQ(wanted.communities, (std::vector<uint32_t>{1, kGracefulShutdown, 0xffffff01}));
  EXPECT_EQ(wanted.local_preference, 0u);
}

TEST(MarkAsDraining, AddsTheCommunityOnce) {
  Wanted wanted{.communities = {kGracefulShutdown}, .local_preference = 100};
  MarkAsDraining(wanted);
  EXPECT_EQ(wanted.communities, std::vector<uint32_t>{kGracefulShutdown});
}

TEST(MarkAsDraining, TakesThePlaceOfAnotherOneWhenThereIsNoRoom) {
  Wanted low;
  for (uint32_t i = 0; i < kMaxCommunities; ++i) low.communities.push_back(i);
  MarkAsDraining(low);
  EXPECT_EQ(low.communities.size(), kMaxCommunities);
  EXPECT_EQ(low.communities.back(), kGracefulShutdown);
  Wanted high;
  for (uint32_t i = 1; i <= kMaxCommunities; ++i) {
    high.communities.push_back(kGracefulShutdown + i);
  }
  MarkAsDraining(high);
  EXPECT_EQ(high.communities.size(), kMaxCommunities);
  EXPECT_EQ(high.communities.front(), kGracefulShutdown);
}

}  // namespace
}  // namespace portolan::bgp
