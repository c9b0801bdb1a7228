// Sessions as the engine runs them: dialling, restarts, listening.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "services/bgp-exporter/core/engine_world.h"

namespace portolan::bgp {
namespace {

constexpr absl::string_view kRed4 = "20.0.10.1";

TEST(Engine, AnEditOfTheSessionItselfOpensANewOne) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.Heard();
  world.Configure([](InstanceConfig&, PeerConfig& peer) { peer.hold_time_s = 9; });
  EXPECT_EQ(world.Heard(), "NOTIFICATION 6/6");
  EXPECT_EQ(world.dials.size(), 2u);
}

TEST(Engine, ADisabledPeerIsClosedInOrder) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.Heard();
  world.Configure([](InstanceConfig&, PeerConfig& peer) { peer.enabled = false; });
  EXPECT_EQ(world.Heard(), "NOTIFICATION 6/2");
  EXPECT_EQ(world.Status("peer", "lab/tor").reason, "disabled");
}

TEST(Engine, AWrongRemoteAsIsRejectedNamingTheField) {
  World world;
  world.Configure();
  world.SyncAll();
  Open open = World::RouterOpen();
  open.as_number = 64999;
  world.Up(open);
  EXPECT_EQ(world.Heard(), "OPEN NOTIFICATION 2/2");
  const StatusView status = world.Status("peer", "lab/tor");
  EXPECT_EQ(status.state, StatusState::kRejected);
  EXPECT_NE(status.message.find("the peer says AS 64999, remote-as says 65000"), std::string::npos);
  EXPECT_EQ(status.remedy, "set remote-as to 64999, or correct the AS on the peer");
}

TEST(Engine, DialsAgainWithGrowingPausesUpToTheConnectRetryTime) {
  World world;
  world.Configure();
  world.SyncAll();
  std::vector<double> pauses;
  for (int i = 0; i < 6; ++i) {
    const size_t dials = world.dials.size();
    const absl::Time failed = world.now;
    world.Do(Disconnected{world.dials.back().connection, "connection refused"});
    while (world.dials.size() == dials) world.Pass(absl::Milliseconds(50));
    pauses.push_back(absl::ToDoubleSeconds(world.now - failed));
  }
  const double longest[] = {1, 2, 4, 5, 5, 5};
  for (int i = 0; i < 6; ++i) {
    EXPECT_LE(pauses[i], longest[i] + 0.1);
    EXPECT_GE(pauses[i], 0.75 * longest[i] - 0.1);
  }
  const StatusView status = world.Status("peer", "lab/tor");
  EXPECT_EQ(status.state, StatusState::kFailed);
  EXPECT_EQ(status.message, "peer tor (10.0.0.2, AS 65000) is not established: connection refused");
}

TEST(Engine, AnUnansweredDialIsGivenUp) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Pass(absl::Seconds(5));
  EXPECT_EQ(world.closed, std::vector<ConnectionId>{world.dials[0].connection});
  EXPECT_EQ(world.peers["lab/tor"].last_error, "no answer from 10.0.0.2 port 179");
}

TEST(Engine, ALostSessionTakesItsRoutesFromTheListAndSendsThemAgain) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.OpenGate("default/red", {kRed4});
  world.Allocate("default/red", {kRed4});
  world.Do(Disconnected{world.connection, "the peer closed the connection"});
  EXPECT_TRUE(world.routes.empty());
  const StatusView status = world.Status("service", "default/red");
  EXPECT_EQ(status.state, StatusState::kPending);
  EXPECT_EQ(status.message,
            "not advertised: peer tor (10.0.0.2, AS 65000) is not established (the peer closed "
            "the connection)");
  world.Pass(absl::Seconds(2));
  world.Heard();
  world.Up();
  EXPECT_EQ(world.Heard(), "OPEN +1 EOR ipv4 EOR ipv6");
}

TEST(Engine, HoldTimerExpiryIsToldAndKept) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.Heard();
  world.Pass(absl::Seconds(90));
  EXPECT_EQ(world.Heard(), "NOTIFICATION 4/0");
  EXPECT_EQ(world.peers["lab/tor"].last_error,
            "sent 4/0 Hold Timer Expired (nothing received for 1m30s)");
}

// ---- graceful restart, RFC 4724 ----

TEST(Restart, AFirstStartSetsNeitherBit) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  EXPECT_FALSE(world.last_open->graceful_restart->restarting);
  EXPECT_FALSE(world.last_open->graceful_restart->families[0].forwarding_kept);
}

TEST(Restart, AfterAKillBothBitsAreSetUntilTheFirstSession) {
  World world({.node = "a", .restarted = true, .forwarding_kept = true});
  world.Configure();
  world.SyncAll();
  world.Up();
  EXPECT_TRUE(world.last_open->graceful_restart->restarting);
  EXPECT_TRUE(world.last_open->graceful_restart->families[1].forwarding_kept);
  world.Do(Disconnected{world.connection, "gone"});
  world.Pass(absl::Seconds(2));
  world.Up();
  EXPECT_FALSE(world.last_open->graceful_restart->restarting);
  EXPECT_TRUE(world.last_open->graceful_restart->families[1].forwarding_kept)
      << "the datapath went on while only the session was away";
}

TEST(Restart, AfterTheRestartTimeItIsAnOrdinaryStart) {
  World world({.node = "a", .restarted = true, .forwarding_kept = true});
  world.Configure();
  world.SyncAll();
  world.Pass(absl::Seconds(121));
  world.Do(Disconnected{world.dials.back().connection, "refused"});
  world.Pass(absl::Seconds(6));
  world.Up();
  EXPECT_FALSE(world.last_open->graceful_restart->restarting);
}

TEST(Restart, EndOfRibWaitsUntilTheDatapathHasSpokenOfEveryService) {
  World world({.node = "a", .restarted = true, .forwarding_kept = true});
  world.Configure();
  world.Allocate("default/red", {kRed4});
  world.SyncAll();
  world.Up();
  EXPECT_EQ(world.Heard(), "OPEN");
  world.OpenGate("default/red", {kRed4});
  EXPECT_EQ(world.Heard(), "+1 EOR ipv4 EOR ipv6");
}

TEST(Restart, EndOfRibDoesNotWaitForEver) {
  World world({.node = "a", .restarted = true, .forwarding_kept = true});
  world.Configure();
  world.Allocate("default/red", {kRed4});
  world.SyncAll();
  world.Up();
  world.Heard();
  world.Pass(absl::Seconds(6));
  EXPECT_EQ(world.Heard(), "EOR ipv4 EOR ipv6");
}

TEST(Restart, APeerWithoutTheCapabilityGetsNoEndOfRib) {
  World world;
  world.Configure();
  world.SyncAll();
  Open open = World::RouterOpen();
  open.graceful_restart.reset();
  world.Up(open);
  EXPECT_EQ(world.Heard(), "OPEN");
}

TEST(Stop, SaysAdministrativeShutdownAndNothingAfter) {
  World world;
  world.Configure();
  world.SyncAll();
  world.Up();
  world.Heard();
  world.Do(Stop());
  EXPECT_EQ(world.Heard(), "NOTIFICATION 6/2");
  EXPECT_EQ(world.closed.back(), world.connection);
  const size_t dials = world.dials.size();
  world.Pass(absl::Minutes(10));
  world.Do(Tick());
  EXPECT_EQ(world.dials.size(), dials);
}

// ---- listening ----

constexpr ConnectionId kInbound = kFirstInbound + 1;

World ListeningWorld() {
  World world;
  world.Configure([](InstanceConfig& instance, PeerConfig& peer) {
    instance.listen_port = 1179;
    peer.password = "secret";
  });
  world.SyncAll();
  return world;
}

TEST(Listening, OpensThePortWithThePasswordsOfThePeers) {
  World world = ListeningWorld();
  ASSERT_EQ(world.listens.size(), 1u);
  EXPECT_EQ(world.listens[0].port, 1179);
  ASSERT_EQ(world.listens[0].keys.size(), 1u);
  EXPECT_EQ(world.listens[0].keys[0].password, "secret");
}

TEST(Listening, AnOccupiedPortIsAStatusAndDiallingGoesOn) {
  World world = ListeningWorld();
  world.Do(ListenResult{"lab", "address already in use"});
  const StatusView status = world.Status("instance", "lab");
  EXPECT_EQ(status.state, StatusState::kDegraded);
  EXPECT_EQ(status.message,
            "instance lab cannot listen on port 1179: address already in use; peers are dialled "
            "all the same");
  EXPECT_FALSE(status.remedy.empty());
  world.Up();
  EXPECT_EQ(world.peers["lab/tor"].state, SessionState::kEstablished);
  world.Pass(absl::Seconds(10));
  ASSERT_EQ(world.listens.size(), 2u) << "tried again";
  world.Do(ListenResult{"lab", ""});
  EXPECT_EQ(world.Status("instance", "lab").state, StatusState::kReady);
}

TEST(Listening, AStrangerIsRejected) {
  World world = ListeningWorld();
  world.Do(Accepted{kInbound, "lab", Address("10.0.0.99"), {}});
  EXPECT_EQ(world.Heard(), "NOTIFICATION 6/5");
  EXPECT_EQ(world.closed, std::vector<ConnectionId>{kInbound});
}

TEST(Listening, AnAcceptedConnectionBecomesTheSession) {
  World world = ListeningWorld();
  world.Do(Accepted{kInbound, "lab", Address("10.0.0.2"), {.session = Address("10.0.0.1")}});
  world.Do(Received{kInbound, EncodeOpen(World::RouterOpen())});
  world.Do(Received{kInbound, EncodeKeepalive()});
  EXPECT_EQ(world.peers["lab/tor"].state, SessionState::kEstablished);
  EXPECT_EQ(world.closed, std::vector<ConnectionId>{world.dials[0].connection});
}

TEST(Listening, ACollisionLeavesTheConnectionOfTheHigherIdentifier) {
  World world = ListeningWorld();  // we: 10.0.0.1, the router: 10.0.0.2
  const ConnectionId ours = world.dials[0].connection;
  world.Do(Connected{ours, {.session = Address("10.0.0.1")}});
  world.Do(Accepted{kInbound, "lab", Address("10.0.0.2"), {.session = Address("10.0.0.1")}});
  world.Do(Received{ours, EncodeOpen(World::RouterOpen())});
  world.Heard();
  world.Do(Received{kInbound, EncodeOpen(World::RouterOpen())});
  EXPECT_EQ(world.Heard(), "NOTIFICATION 6/7");
  EXPECT_EQ(world.closed, std::vector<ConnectionId>{ours});
  world.Do(Received{kInbound, EncodeKeepalive()});
  EXPECT_EQ(world.peers["lab/tor"].state, SessionState::kEstablished);
  EXPECT_EQ(world.peers["lab/tor"].last_error, "") << "a collision is no error";
}

// RFC 4724 section 5: it was killed, and is back before our hold timer noticed.
TEST(Listening, ARestartedRouterReplacesItsOldSession) {
  World world = ListeningWorld();
  Open open = World::RouterOpen();
  open.graceful_restart->families = {{Family::kIpv4, false}};
  world.Up(open);
  world.Heard();
  world.Do(Accepted{kInbound, "lab", Address("10.0.0.2"), {.session = Address("10.0.0.1")}});
  EXPECT_EQ(world.Heard(), "OPEN") << "the old connection goes without NOTIFICATION";
  EXPECT_EQ(world.closed, std::vector<ConnectionId>{world.connection});
  world.Do(Received{kInbound, EncodeOpen(open)});
  world.Do(Received{kInbound, EncodeKeepalive()});
  EXPECT_EQ(world.peers["lab/tor"].state, SessionState::kEstablished);
}

TEST(Listening, AnEstablishedSessionOtherwiseWinsOverANewConnection) {
  World world = ListeningWorld();
  world.Up();
  world.Heard();
  world.Do(Accepted{kInbound, "lab", Address("10.0.0.2"), {.session = Address("10.0.0.1")}});
  world.Do(Received{kInbound, EncodeOpen(World::RouterOpen())});
  EXPECT_EQ(world.Heard(), "OPEN NOTIFICATION 6/7");
  EXPECT_EQ(world.peers["lab/tor"].state, SessionState::kEstablished);
}

}  // namespace
}  // namespace portolan::bgp
