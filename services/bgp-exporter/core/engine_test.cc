#include "services/bgp-exporter/core/engine.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace portolan::bgp {
namespace {

using net::Family;
using net::IpAddress;
using net::Prefix;

IpAddress Address(absl::string_view text) { return *IpAddress::Parse(text); }

// A router at the other end of the engine's connections, and a log of what is published.
class World {
 public:
  explicit World(Engine::Options options = {.node = "a"}) : engine_(std::move(options), now) {}

  void Do(const Event& event) {
    Absorb(engine_.Handle(event, now));
    for (int i = 0; i < 10 && timer <= now; ++i) {
      timer = absl::InfiniteFuture();
      Absorb(engine_.Handle(Tick(), now));
    }
  }
  // Lets the time pass, timer by timer.
  void Pass(absl::Duration duration) {
    const absl::Time end = now + duration;
    while (timer <= end) {
      now = std::max(now, timer);
      timer = absl::InfiniteFuture();
      Absorb(engine_.Handle(Tick(), now));
    }
    now = end;
  }
  void SyncConfig() {
    for (const Input input : {Input::kInstances, Input::kPeers, Input::kNodes}) {
      Do(InputSynced{input});
    }
  }
  void SyncAll() {
    SyncConfig();
    for (const Input input :
         {Input::kAdvertisements, Input::kStages, Input::kAllocations, Input::kDatapath}) {
      Do(InputSynced{input});
    }
  }
  // The configuration of most tests: one instance, one external peer, everything advertised.
  void Configure(const std::function<void(InstanceConfig&, PeerConfig&)>& edit = nullptr) {
    InstanceConfig instance{.name = "lab",
                            .local_as = 65001,
                            .router_id = Address("10.0.0.1"),
                            .graceful_restart_time_s = 120};
    PeerConfig peer;
    peer.instance = "lab";
    peer.name = "tor";
    peer.address = Address("10.0.0.2");
    peer.remote_as = 65000;
    peer.families = {{Family::kIpv4, std::nullopt}, {Family::kIpv6, std::nullopt}};
    if (edit) edit(instance, peer);
    Do(InstanceChanged{instance});
    Do(PeerChanged{peer});
    AdvertisementConfig advertisement;
    advertisement.instance = "lab";
    advertisement.name = "all";
    Do(AdvertisementChanged{advertisement});
  }
  void Allocate(const std::string& key, std::vector<absl::string_view> addresses,
                const Labels& labels = {}) {
    AllocationInput allocation{.key = key, .generation = 3, .labels = labels};
    for (const auto address : addresses) allocation.grants.push_back({Address(address), "main"});
    Do(AllocationChanged{allocation});
  }
  void OpenGate(const std::string& key, std::vector<absl::string_view> addresses) {
    DatapathInput datapath{.key = key};
    for (const auto address : addresses) datapath.addresses.insert(Address(address));
    Do(DatapathChanged{datapath});
  }

  // The router answers the last dial, or connects itself, and completes the handshake.
  void Up(const Open& open = RouterOpen(),
          std::vector<absl::string_view> same_interface = {"fe80::1", "2001:db8::1"}) {
    ASSERT_FALSE(dials.empty());
    connection = dials.back().connection;
    LocalAddresses local{.session = Address("10.0.0.1")};
    for (const auto each : same_interface) local.same_interface.push_back(Address(each));
    Do(Connected{connection, local});
    Do(Received{connection, EncodeOpen(open)});
    Do(Received{connection, EncodeKeepalive()});
  }
  static Open RouterOpen() {
    return {.as_number = 65000,
            .hold_time_s = 90,
            .router_id = 0x0a000002,
            .families = std::vector<Family>{Family::kIpv4, Family::kIpv6},
            .four_octet_as = true,
            .route_refresh = true,
            .graceful_restart = GracefulRestart{.restart_time_s = 120}};
  }
  // As text, in order, since the last call: "OPEN", "+2", "-1", "EOR ipv4", "NOTIFICATION 6/2".
  std::string Heard() {
    std::string text = std::move(heard_);
    heard_.clear();
    return text;
  }
  StatusView Status(const std::string& kind, const std::string& key) {
    return statuses.count({kind, key}) > 0 ? statuses[{kind, key}] : StatusView();
  }

  absl::Time now = absl::UnixEpoch();
  absl::Time timer = absl::InfiniteFuture();
  std::vector<Connect> dials;
  std::vector<ConnectionId> closed;
  std::vector<Listen> listens;
  ConnectionId connection = 0;
  std::optional<Open> last_open;
  std::map<std::string, PeerView> peers;
  std::map<std::pair<std::string, Prefix>, RouteView> routes;
  std::map<std::pair<std::string, std::string>, StatusView> statuses;
  bool synced = false;

 private:
  void Say(absl::string_view text) { absl::StrAppend(&heard_, heard_.empty() ? "" : " ", text); }
  void Hear(const Message& message) {
    if (const auto* open = std::get_if<Open>(&message)) {
      last_open = *open;
      Say("OPEN");
    } else if (const auto* update = std::get_if<Update>(&message)) {
      EXPECT_EQ(update->treat_as_withdraw, "");
      if (update->withdrawn > 0) Say(absl::StrCat("-", update->withdrawn));
      if (update->announced > 0) Say(absl::StrCat("+", update->announced));
      if (update->end_of_rib) Say(absl::StrCat("EOR ", net::FamilyName(*update->end_of_rib)));
    } else if (const auto* notification = std::get_if<Notification>(&message)) {
      Say(absl::StrCat("NOTIFICATION ", notification->code, "/", notification->subcode));
    }
  }
  void Absorb(std::vector<Effect> effects) {
    for (Effect& effect : effects) std::visit([this](auto& each) { On(each); }, effect);
  }
  void On(Connect& effect) { dials.push_back(effect); }
  void On(Keep&) {}
  void On(Send& effect) {
    Octets rest = AsOctets(effect.octets);
    while (!rest.empty()) {
      const auto frame = std::get<Frame>(*NextFrame(rest));
      Hear(std::get<Message>(Decode(frame, true)));
      rest.remove_prefix(frame.size);
    }
  }
  void On(Close& effect) { closed.push_back(effect.connection); }
  void On(Listen& effect) { listens.push_back(effect); }
  void On(ArmTimer& effect) { timer = effect.at; }
  void On(PublishPeer& effect) {
    peers[effect.view.instance + "/" + effect.view.name] = effect.view;
  }
  void On(RemovePeer& effect) { peers.erase(effect.peer); }
  void On(PublishRoute& effect) { routes[{effect.view.peer, effect.view.prefix}] = effect.view; }
  void On(RemoveRoute& effect) { routes.erase({effect.peer, effect.prefix}); }
  void On(PublishStatus& effect) { statuses[{effect.view.kind, effect.view.key}] = effect.view; }
  void On(RemoveStatus& effect) { statuses.erase({effect.kind, effect.key}); }
  void On(MarkSynced&) { synced = true; }

  Engine engine_;
  std::string heard_;
};

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
