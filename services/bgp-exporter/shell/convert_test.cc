#include "services/bgp-exporter/shell/convert.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace portolan::bgp {
namespace {

template <typename M>
M Text(const std::string& text) {
  M message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

net::IpAddress Address(absl::string_view text) { return *net::IpAddress::Parse(text); }

TEST(Convert, AnInstanceKeepsEveryField) {
  const InstanceConfig config = FromProto(Text<config::v1alpha1::BgpInstance>(
      R"(name: "lab" local_as: 4200000000 router_id: "10.0.0.1" listen_port: 179
         graceful_restart_time_s: 120)"));
  EXPECT_EQ(config, (InstanceConfig{.name = "lab",
                                    .local_as = 4'200'000'000,
                                    .router_id = Address("10.0.0.1"),
                                    .listen_port = 179,
                                    .graceful_restart_time_s = 120}));
}

TEST(Convert, APeerKeepsEveryField) {
  const PeerConfig config = FromProto(Text<config::v1alpha1::BgpPeer>(
      R"(instance: "lab" name: "tor" address: "10.0.0.2" port: 1790 remote_as: 65000 hold_time_s: 9
         connect_retry_time_s: 5
         families { family: IP_FAMILY_IPV6 next_hop: "2001:db8::1" }
         families { family: IP_FAMILY_IPV4 }
         password: "secret" ebgp_multihop: true local_address: "10.0.0.1" enabled: true
         node_selector { match_labels { key: "rack" value: "r1" } })"));
  PeerConfig want;
  want.instance = "lab";
  want.name = "tor";
  want.address = Address("10.0.0.2");
  want.port = 1790;
  want.remote_as = 65000;
  want.hold_time_s = 9;
  want.families = {{net::Family::kIpv4, std::nullopt},
                   {net::Family::kIpv6, Address("2001:db8::1")}};
  want.password = "secret";
  want.ebgp_multihop = true;
  want.local_address = Address("10.0.0.1");
  want.node_selector = LabelSelector({{"rack", LabelSelector::Operator::kIn, {"r1"}}});
  EXPECT_EQ(config, want);
  EXPECT_EQ(config.key(), "lab/tor");
}

TEST(Convert, AnAdvertisementKeepsEveryField) {
  const AdvertisementConfig config = FromProto(Text<config::v1alpha1::BgpAdvertisement>(
      R"(instance: "lab" name: "red" service_selector { match_labels { key: "color" value: "red" } }
         pools: "main" peers: "tor" communities: "65000:100" communities: "no-export"
         local_preference: 200)"));
  EXPECT_EQ(config.key(), "lab/red");
  EXPECT_FALSE(config.service_selector.matches_everything());
  EXPECT_EQ(config.pools, std::set<std::string>{"main"});
  EXPECT_EQ(config.peers, std::set<std::string>{"tor"});
  EXPECT_EQ(config.communities, (std::vector<uint32_t>{0xfde80064, 0xffffff01}));
  EXPECT_EQ(config.local_preference, 200u);
  EXPECT_EQ(config.problem, "");
}

TEST(Convert, AnAbsentSelectorMatchesEverything) {
  EXPECT_TRUE(FromProto(config::v1alpha1::BgpPeer()).node_selector.matches_everything());
  EXPECT_TRUE(
      FromProto(config::v1alpha1::BgpAdvertisement()).service_selector.matches_everything());
}

TEST(Convert, WhatCannotBeReadIsAProblemThatNamesTheField) {
  const struct {
    std::string problem;
    absl::string_view field;
  } kCases[] = {
      {FromProto(Text<config::v1alpha1::BgpInstance>(R"(router_id: "x")")).problem, "router-id"},
      {FromProto(Text<config::v1alpha1::BgpInstance>("listen_port: 65536")).problem, "listen-port"},
      {FromProto(Text<config::v1alpha1::BgpInstance>("graceful_restart_time_s: 4096")).problem,
       "graceful-restart-time"},
      {FromProto(Text<config::v1alpha1::BgpPeer>(R"(address: "10.0.0")")).problem, "address"},
      {FromProto(Text<config::v1alpha1::BgpPeer>("port: 70000")).problem, "port"},
      {FromProto(Text<config::v1alpha1::BgpPeer>("hold_time_s: 70000")).problem, "hold-time"},
      {FromProto(Text<config::v1alpha1::BgpPeer>(R"(local_address: "x")")).problem,
       "local-address"},
      {FromProto(
           Text<config::v1alpha1::BgpPeer>(R"(families { family: IP_FAMILY_IPV4 next_hop: "x" })"))
           .problem,
       "next-hop"},
      {FromProto(Text<config::v1alpha1::BgpPeer>("families {}")).problem, "family"},
      {FromProto(Text<config::v1alpha1::BgpAdvertisement>(R"(communities: "x")")).problem,
       "community"},
  };
  for (const auto& test : kCases) {
    EXPECT_NE(test.problem.find(std::string(test.field)), std::string::npos) << test.problem;
  }
}

TEST(Convert, AnAllocationKeepsGrantsAndLabels) {
  const AllocationInput allocation = FromProto(Text<allocation::v1alpha1::Allocation>(
      R"(key: "default/red" generation: 4 grants { address: "20.0.10.1" pool: "main" }
         grants { address: "nonsense" } labels { key: "color" value: "red" })"));
  EXPECT_EQ(allocation, (AllocationInput{.key = "default/red",
                                         .generation = 4,
                                         .grants = {{Address("20.0.10.1"), "main"}},
                                         .labels = {{"color", "red"}}}));
}

TEST(Convert, TheDatapathsMessageIsKeptOnlyWhileItIsNotReady) {
  DatapathInput datapath = FromProto(Text<status::v1alpha1::ObjectStatus>(
      R"(key: "default/red" state: STATE_DEGRADED message: "no backend" addresses: "20.0.10.1")"));
  EXPECT_EQ(datapath, (DatapathInput{"default/red", {Address("20.0.10.1")}, "no backend"}));
  datapath = FromProto(
      Text<status::v1alpha1::ObjectStatus>(R"(state: STATE_READY message: "programmed")"));
  EXPECT_EQ(datapath.message, "");
}

TEST(Convert, PublishedMessagesSayEverything) {
  PeerView peer;
  peer.instance = "lab";
  peer.name = "tor";
  peer.address = Address("10.0.0.2");
  peer.remote_as = 65000;
  peer.local_as = 65001;
  peer.state = SessionState::kEstablished;
  peer.prefixes_sent = 2;
  peer.last_error = "connection refused";
  peer.hold_time_s = 9;
  EXPECT_EQ(ToProto(peer, "a", absl::FromUnixMillis(5)).ShortDebugString(),
            Text<v1alpha1::PeerState>(
                R"(name: "tor" node: "a" address: "10.0.0.2" remote_as: 65000 local_as: 65001
                   session_state: "established" since_unix_ms: 5 prefixes_sent: 2
                   last_error: "connection refused" hold_time_s: 9 instance: "lab")")
                .ShortDebugString());

  const RouteView route{"lab/tor",
                        net::Prefix::Host(Address("20.0.10.1")),
                        Address("10.0.0.1"),
                        "default/red",
                        {0xfde80064}};
  EXPECT_EQ(ToProto(route, "a").ShortDebugString(),
            Text<v1alpha1::Route>(
                R"(node: "a" peer: "tor" prefix: "20.0.10.1/32" next_hop: "10.0.0.1"
                   service: "default/red" communities: "65000:100" instance: "lab")")
                .ShortDebugString());

  const StatusView status{.kind = "service",
                          .key = "default/red",
                          .generation = 4,
                          .state = StatusState::kReady,
                          .reason = "advertised",
                          .message = "m",
                          .remedy = "r",
                          .findings = {{"peer/lab/tor", "advertised", "f"}},
                          .addresses = {"20.0.10.1"}};
  EXPECT_EQ(ToProto(status, "a").ShortDebugString(),
            Text<status::v1alpha1::ObjectStatus>(
                R"(component: "bgp" node: "a" kind: "service" key: "default/red" generation: 4
                   state: STATE_READY reason: "advertised" message: "m" remedy: "r"
                   findings { subject: "peer/lab/tor" reason: "advertised" message: "f" }
                   addresses: "20.0.10.1")")
                .ShortDebugString());
}

TEST(Convert, KeysAreThoseOfTheStreams) {
  EXPECT_EQ(PeerKey("a", "lab/tor"), "a/lab/tor");
  EXPECT_EQ(RouteKey("a", "lab/tor", net::Prefix::Host(Address("20.0.10.1"))),
            "a/lab/tor/20.0.10.1/32");
  EXPECT_EQ(StatusKey("a", "service", "default/red"), "bgp/a/service/default/red");
}

}  // namespace
}  // namespace portolan::bgp
