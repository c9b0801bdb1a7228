// How packets travel: forwarding modes, traffic policies, idle times, and what is not served.
#include <gtest/gtest.h>

#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/core/engine_world.h"

namespace portolan::datapath {
namespace {

constexpr char kVip[] = "20.0.10.1";
constexpr char kVip6[] = "2001:db8:20::1";

class EngineTrafficTest : public EngineTest {
 protected:
  void SetUp() override {
    Begin();
    Send(NodeChanged{{"a", Ip("172.18.0.1"), Ip("2001:db8::a")}});
    Allocate("ns/web", {kVip});
  }
  void Travel(const Traffic& traffic, uint8_t protocol = kTcp) {
    Service service{"ns/web", 1, {{"http", protocol, 80}}, {}, traffic};
    Send(ServiceChanged{service});
  }
  // Address, node, port.
  struct On {
    const char* address;
    const char* node;
    uint16_t port = 80;
  };
  void BackOn(const std::vector<On>& backends) {
    BackendSet set{"ns/web", 1, {}};
    for (const On& on : backends) {
      set.backends.push_back({.id = on.address,
                              .address = Ip(on.address),
                              .ports = {{"http", on.port}},
                              .node = on.node,
                              .local_source = std::nullopt});
    }
    Send(BackendsChanged{set});
  }
  const ServiceStatus& status() { return statuses_["ns/web"]; }
  // Of the only backend in the kernel.
  BackendEntry Only() {
    const MapImage image = kernel_.image();
    EXPECT_EQ(image.backends.size(), 1u);
    return image.backends.empty() ? BackendEntry() : image.backends.begin()->second;
  }
};

TEST_F(EngineTrafficTest, TheModeSaysWhatIsDoneToAPacket) {
  const struct {
    ForwardingMode mode;
    const char* node;
    Delivery delivery;
    std::optional<net::IpAddress> source;
  } cases[] = {
      {ForwardingMode::kAuto, "a", Delivery::kDestinationNat, Ip("172.18.0.1")},
      {ForwardingMode::kAuto, "b", Delivery::kFullNat, Ip("172.18.0.1")},
      {ForwardingMode::kFullNat, "a", Delivery::kFullNat, Ip("172.18.0.1")},
      {ForwardingMode::kDestinationNat, "b", Delivery::kDestinationNat, Ip("172.18.0.1")},
      {ForwardingMode::kDirectReturn, "b", Delivery::kDirectReturn, std::nullopt},
      {ForwardingMode::kTunnel, "b", Delivery::kTunnel, Ip("172.18.0.1")},
  };
  for (const auto& each : cases) {
    BackOn({{"10.0.0.1", each.node}});
    Travel({.mode = each.mode});
    EXPECT_EQ(Only().delivery, each.delivery) << static_cast<int>(each.mode);
    EXPECT_EQ(Only().source, each.source) << static_cast<int>(each.mode);
    EXPECT_EQ(status().state, State::kReady) << status().message;
  }
}

TEST_F(EngineTrafficTest, AnotherModeIsAnotherBackendAndEndsTheFlowsOfTheOldOne) {
  BackOn({{"10.0.0.1", "b"}});
  Travel({});
  const uint32_t before = kernel_.image().backends.begin()->first;
  Travel({.mode = ForwardingMode::kDestinationNat});
  EXPECT_NE(kernel_.image().backends.begin()->first, before);
  EXPECT_EQ(kernel_.image().backend_epochs[before], 1);
}

TEST_F(EngineTrafficTest, ABackendThatKeepsItsClientsLearnsAnotherAddressOfTheNodeInPlace) {
  BackOn({{"10.0.0.1", "a"}});
  Travel({});
  const uint32_t before = kernel_.image().backends.begin()->first;
  Send(NodeChanged{{"a", Ip("172.18.0.99"), std::nullopt}});
  EXPECT_EQ(Only().source, Ip("172.18.0.99"));
  EXPECT_EQ(kernel_.image().backends.begin()->first, before);
}

TEST_F(EngineTrafficTest, WhereTheBackendAnswersByItselfPortsMustBeEqual) {
  for (const ForwardingMode mode : {ForwardingMode::kDirectReturn, ForwardingMode::kTunnel}) {
    BackOn({{"10.0.0.1", "b"}, {"10.0.0.2", "b", 8080}});
    Travel({.mode = mode});
    EXPECT_EQ(kernel_.Behind(Key(kVip)), (std::set<std::string>{"10.0.0.1"}));
    EXPECT_EQ(status().state, State::kDegraded);
    ASSERT_EQ(status().findings.size(), 1u);
    EXPECT_EQ(status().findings[0],
              (Finding{"backend/10.0.0.2", "port-differs",
                       "listens on port 8080 for service port 80, and ports are not translated in "
                       "this forwarding-mode: let it listen on 80, or choose another "
                       "forwarding-mode"}));
    EXPECT_EQ(status().addresses, Ips({kVip}));
    Travel({});
  }
}

TEST_F(EngineTrafficTest, SctpIsCarriedWithoutTranslationOfPorts) {
  BackOn({{"10.0.0.1", "a"}, {"10.0.0.2", "a", 8080}});
  Travel({}, kSctp);
  EXPECT_EQ(kernel_.Behind(Key(kVip, 80, kSctp)), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(status().reason, "port-differs");
  EXPECT_EQ(status().findings[0].message,
            "listens on port 8080 for service port 80, and ports of SCTP are not translated: let "
            "it listen on 80");
}

TEST_F(EngineTrafficTest, ABackendOfAFamilyThatNoAddressHasIsNamedAndTheOthersForward) {
  for (const ForwardingMode mode :
       {ForwardingMode::kAuto, ForwardingMode::kDirectReturn, ForwardingMode::kTunnel}) {
    BackOn({{"10.0.0.1", "b"}, {"2001:db8::1", "b"}});
    Travel({.mode = mode});
    EXPECT_EQ(kernel_.Behind(Key(kVip)), (std::set<std::string>{"10.0.0.1"}));
    EXPECT_EQ(status().reason, "family-differs");
    EXPECT_EQ(status().findings[0].subject, "backend/2001:db8::1");
    EXPECT_EQ(status().addresses, Ips({kVip}));
  }
}

TEST_F(EngineTrafficTest, ATunnelCarriesIpv4ToIpv6BackendsAndNotTheOtherWayRound) {
  BackOn({{"2001:db8::1", "b"}});
  Travel({.mode = ForwardingMode::kTunnel});
  EXPECT_EQ(kernel_.Behind(Key(kVip)), (std::set<std::string>{"2001:db8::1"}));
  EXPECT_EQ(Only().source, Ip("2001:db8::a"));
  EXPECT_EQ(status().state, State::kReady) << status().message;
  Travel({});
  EXPECT_EQ(status().reason, "no-backends");
  EXPECT_EQ(status().findings[0].reason, "family-differs");
  EXPECT_TRUE(kernel_.Behind(Key(kVip)).empty());
  Allocate("ns/web", {kVip6});
  BackOn({{"10.0.0.1", "b"}});
  Travel({.mode = ForwardingMode::kTunnel});
  EXPECT_TRUE(kernel_.Behind(Key(kVip6)).empty());
  EXPECT_EQ(status().findings[0].reason, "family-differs");
}

TEST_F(EngineTrafficTest, ATunnelWithoutAnAddressToBeginAtIsAFinding) {
  Send(NodeRemoved{"a"});
  BackOn({{"10.0.0.1", "a"}});
  Travel({.mode = ForwardingMode::kTunnel});
  EXPECT_EQ(status().findings[0].reason, "no-source-address");
  EXPECT_NE(status().findings[0].message.find("node[name='a']"), std::string::npos);
  EXPECT_EQ(backends_["ns/web"][0].state, BackendState::kUnused);
}

TEST_F(EngineTrafficTest, LocalMeansBackendsOfThisNodeOnly) {
  BackOn({{"10.0.0.1", "a"}, {"10.0.0.2", "b"}});
  Travel({.local = true});
  EXPECT_EQ(kernel_.Behind(Key(kVip)), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(kernel_.BehindInside(Key(kVip)), (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(status().state, State::kReady);
  EXPECT_EQ(status().addresses, Ips({kVip}));
  Travel({.local = true, .internal_local = true});
  EXPECT_EQ(kernel_.BehindInside(Key(kVip)), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(kernel_.image().backends.size(), 1u);
  Travel({.internal_local = true});
  EXPECT_EQ(kernel_.Behind(Key(kVip)), (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(kernel_.BehindInside(Key(kVip)), (std::set<std::string>{"10.0.0.1"}));
}

TEST_F(EngineTrafficTest, BothSidesShareATableWhenTheyAreAlike) {
  BackOn({{"10.0.0.1", "a"}, {"10.0.0.2", "b"}});
  for (const bool local : {false, true}) {
    Travel({.local = local, .internal_local = local});
    const FrontendEntry entry = kernel_.image().frontends.at(Key(kVip));
    EXPECT_EQ(entry.internal_offset, entry.table_offset);
    EXPECT_EQ(entry.internal_size, entry.table_size);
  }
}

TEST_F(EngineTrafficTest, ANodeWithoutABackendDoesNotSayALocalServicesAddress) {
  BackOn({{"10.0.0.2", "b"}});
  Travel({.local = true});
  EXPECT_TRUE(status().addresses.empty());
  EXPECT_EQ(status().state, State::kReady);
  EXPECT_EQ(status().reason, "no-local-backend");
  EXPECT_EQ(kernel_.BehindInside(Key(kVip)), (std::set<std::string>{"10.0.0.2"}));
  Travel({.local = true, .internal_local = true});
  EXPECT_EQ(status().reason, "no-local-backend");
  BackOn({});
  EXPECT_EQ(status().reason, "no-backends");
  EXPECT_EQ(status().state, State::kDegraded);
  BackOn({{"10.0.0.1", "a"}});
  EXPECT_EQ(status().addresses, Ips({kVip}));
}

TEST_F(EngineTrafficTest, ALocalServiceWithoutABackendHereStillSaysWhatElseIsWrong) {
  BackOn({{"10.0.0.2", "b"}});
  Travel({.local = true});
  Send(HostChanged{1, false, true});
  EXPECT_EQ(status().reason, "forwarding-off");
}

TEST_F(EngineTrafficTest, IdleTimeAndSilenceReachTheFrontend) {
  BackOn({{"10.0.0.1", "a"}});
  Travel({.idle_s = 90, .silent = true});
  FrontendEntry entry = kernel_.image().frontends.at(Key(kVip));
  EXPECT_EQ(entry.idle_s, 90u);
  EXPECT_TRUE(entry.silent);
  Travel({});
  entry = kernel_.image().frontends.at(Key(kVip));
  EXPECT_EQ(entry.idle_s, 0u);
  EXPECT_FALSE(entry.silent);
  Send(SettingsChanged{{.drop_unserved = true}});
  EXPECT_TRUE(kernel_.image().frontends.at(Key(kVip)).silent);
  Travel({.silent = false});
  EXPECT_FALSE(kernel_.image().frontends.at(Key(kVip)).silent);
}

TEST_F(EngineTrafficTest, APortThatAServiceHasTwiceIsServedOnceAndNamed) {
  BackOn({{"10.0.0.1", "a"}});
  Declare("ns/web", {{"http", kTcp, 80}, {"again", kTcp, 80}});
  EXPECT_EQ(kernel_.Behind(Key(kVip)), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(status().reason, "duplicate-port");
  EXPECT_EQ(status().addresses, Ips({kVip}));
}

TEST_F(EngineTrafficTest, ARestartFindsModesAndBothTablesAgain) {
  BackOn({{"10.0.0.1", "a"}, {"10.0.0.2", "b"}});
  const Traffic traffic{.mode = ForwardingMode::kTunnel, .local = true, .idle_s = 5};
  Travel(traffic);
  const MapImage before = kernel_.image();
  Restart();
  Send(NodeChanged{{"a", Ip("172.18.0.1"), Ip("2001:db8::a")}});
  Send(KernelReady{kLimits, before});
  Send(HostChanged{1, true, true});
  Allocate("ns/web", {kVip});
  BackOn({{"10.0.0.1", "a"}, {"10.0.0.2", "b"}});
  Travel(traffic);
  Send(InputsSynced{});
  EXPECT_EQ(kernel_.image(), before);
}

}  // namespace
}  // namespace portolan::datapath
