#include "services/config-service/core/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace portolan::config {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct PoolSpec {
  std::string name;
  std::vector<Block> blocks;
};

Snapshot WithPools(const std::vector<PoolSpec>& specs) {
  Snapshot snapshot;
  for (const PoolSpec& spec : specs) {
    snapshot.pools[spec.name] = Pool{.name = spec.name, .blocks = spec.blocks};
  }
  return snapshot;
}

Block Cidr(const std::string& id, const std::string& cidr) { return {.id = id, .cidr = cidr}; }
Block Span(const std::string& id, const std::string& first, const std::string& last) {
  return {.id = id, .first = first, .last = last};
}

TEST(ValidatePools, AcceptsWhatTouchesButDoesNotOverlap) {
  EXPECT_THAT(Validate(WithPools({{"p", {Cidr("a", "20.0.10.0/25"), Cidr("b", "20.0.10.128/25")}},
                                  {"q", {Span("a", "20.0.11.0", "20.0.11.0")}},
                                  {"r", {Cidr("a", "2001:db8::/64"), Cidr("b", "::ffff:0:0/96")}},
                                  {"s", {}}})),
              IsEmpty());
}

TEST(ValidatePools, NamesWhatIsWrong) {
  struct Case {
    std::vector<PoolSpec> pools;
    std::string rule, path, message;
  };
  const std::string block = "/portolan-ipam:ipam/pools/pool[name='p']/blocks/block[id='a']";
  const std::vector<Case> cases = {
      {{{"p", {Cidr("a", "20.0.10.1/24")}}}, "cidr", block + "/cidr", "host bits"},
      {{{"p", {Cidr("a", "20.0.300.0/24")}}}, "cidr", block + "/cidr", "20.0.300.0"},
      {{{"p", {Span("a", "20.0.0.9", "20.0.0.1")}}}, "block-order", block + "/last", "20.0.0.9"},
      {{{"p", {Span("a", "20.0.0.9", "::1")}}}, "block-family", block + "/last", "famil"},
      {{{"p", {Cidr("a", "20.0.10.0/24")}}, {"q", {Cidr("x", "20.0.10.128/25")}}},
       "pool-overlap",
       "/portolan-ipam:ipam/pools/pool[name='q']/blocks/block[id='x']",
       "both hold 20.0.10.128-20.0.10.255"},
      {{{"p", {Span("a", "20.0.0.5", "20.0.0.9"), Cidr("b", "20.0.0.9/32")}}},
       "block-overlap",
       "/portolan-ipam:ipam/pools/pool[name='p']/blocks/block[id='b']",
       "both hold 20.0.0.9"},
      {{{"p", {Cidr("a", "::/0")}}}, "block-reserved", block, "unspecified"},
      {{{"p", {Cidr("a", "224.0.0.0/24")}}}, "block-reserved", block, "multicast"},
      {{{"p", {Cidr("a", "127.0.0.0/8")}}}, "block-reserved", block, "loopback"},
  };
  for (const Case& c : cases) {
    const std::vector<Problem> problems = Validate(WithPools(c.pools));
    ASSERT_FALSE(problems.empty()) << c.path << c.message;
    EXPECT_EQ(problems[0].rule, c.rule);
    EXPECT_EQ(problems[0].path, c.path);
    EXPECT_THAT(problems[0].message, HasSubstr(c.message));
    EXPECT_FALSE(problems[0].remedy.empty());
  }
}

TEST(ValidatePools, FindsTheOverlapBehindASmallerNeighbour) {
  // b lies inside a and ends before c begins; c still overlaps a.
  const auto problems = Validate(WithPools({{"p", {Cidr("a", "20.0.0.0/24")}},
                                            {"q", {Cidr("b", "20.0.0.8/30")}},
                                            {"r", {Cidr("c", "20.0.0.64/30")}}}));
  ASSERT_THAT(problems, SizeIs(2));
  EXPECT_THAT(problems[1].message, HasSubstr("block c of pool r"));
  EXPECT_THAT(problems[1].message, HasSubstr("block a of pool p"));
}

TEST(ValidatePools, ReportsEveryBadBlockUpToAHundred) {
  std::vector<PoolSpec> pools(1);
  for (int i = 0; i < 300; ++i) pools[0].blocks.push_back(Cidr(std::to_string(i), "20.0.10.1/24"));
  EXPECT_THAT(Validate(WithPools(pools)), SizeIs(100));
}

TEST(ValidatePools, QuotesNamesInPaths) {
  const auto problems = Validate(WithPools({{"it's", {Cidr("a", "20.0.10.1/24")}}}));
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_THAT(problems[0].path, HasSubstr("pool[name=\"it's\"]"));
}

// A pool with 20.0.10.0/24 and 20.0.12.0/24.
Snapshot WithExcluded(const std::vector<Block>& excluded) {
  Snapshot snapshot = WithPools({{"p", {Cidr("a", "20.0.10.0/24"), Cidr("b", "20.0.12.0/24")}}});
  snapshot.pools["p"].excluded = excluded;
  return snapshot;
}

TEST(ValidateExcluded, AcceptsWhatTouchesABlockAndEachOther) {
  EXPECT_THAT(
      Validate(WithExcluded({Span("one", "20.0.10.7", "20.0.10.7"), Cidr("wider", "20.0.0.0/16"),
                             Span("over-the-gap", "20.0.10.255", "20.0.12.0"),
                             Span("begins-before", "20.0.9.255", "20.0.10.0")})),
      IsEmpty());
}

TEST(ValidateExcluded, NamesWhatIsWrong) {
  struct Case {
    Block block;
    std::string rule, leaf, message;
  };
  const std::vector<Case> cases = {
      {Cidr("x", "20.0.11.0/24"), "excluded-outside", "",
       "excluded block x of pool p (20.0.11.0-20.0.11.255) is outside every block"},
      {Cidr("x", "20.0.9.0/24"), "excluded-outside", "", "outside every block"},
      {Cidr("x", "20.0.13.0/24"), "excluded-outside", "", "outside every block"},
      {Cidr("x", "2001:db8::/64"), "excluded-outside", "", "outside every block"},
      {Cidr("x", "20.0.10.1/25"), "cidr", "/cidr", "excluded block x of pool p"},
      {Span("x", "20.0.10.9", "20.0.10.1"), "block-order", "/last", "is above last"},
      {Span("x", "20.0.10.9", "2001:db8::1"), "block-family", "/last", "famil"},
  };
  for (const Case& c : cases) {
    // Good neighbours do not hide it.
    const auto problems = Validate(WithExcluded(
        {Span("1", "20.0.10.1", "20.0.10.2"), c.block, Span("z", "20.0.12.9", "20.0.12.9")}));
    ASSERT_THAT(problems, SizeIs(1)) << c.message;
    EXPECT_EQ(problems[0].rule, c.rule);
    EXPECT_EQ(problems[0].path,
              "/portolan-ipam:ipam/pools/pool[name='p']/excluded/block[id='x']" + c.leaf);
    EXPECT_THAT(problems[0].message, HasSubstr(c.message));
    EXPECT_FALSE(problems[0].remedy.empty());
  }
}

TEST(ValidateExcluded, ABadBlockIsTheOnlyThingSaid) {
  Snapshot snapshot = WithExcluded({Cidr("x", "20.0.10.0/25")});
  snapshot.pools["p"].blocks = {Cidr("a", "20.0.10.1/24")};
  const auto problems = Validate(snapshot);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].rule, "cidr");
}

TEST(ValidateExcluded, OverlapCountsExcludedAddressesToo) {
  Snapshot snapshot = WithExcluded({Cidr("x", "20.0.10.0/25")});
  snapshot.pools["q"] = Pool{.name = "q", .blocks = {Cidr("a", "20.0.10.0/25")}};
  const auto problems = Validate(snapshot);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].rule, "pool-overlap");
}

TEST(ValidateAvoidBuggyIps, IsRefusedForMoreThanAnEightBitPrefix) {
  const auto with = [](const Block& block) {
    Snapshot snapshot = WithPools({{"p", {block}}});
    snapshot.pools["p"].avoid_buggy_ips = true;
    return Validate(snapshot);
  };
  EXPECT_THAT(with(Cidr("a", "20.0.0.0/8")), IsEmpty());
  EXPECT_THAT(with(Span("a", "20.0.0.1", "21.0.0.0")), IsEmpty());
  EXPECT_THAT(with(Cidr("a", "2001:db8::/32")), IsEmpty());
  for (const Block& block : {Cidr("a", "20.0.0.0/7"), Span("a", "20.0.0.0", "21.0.0.0")}) {
    const auto problems = with(block);
    ASSERT_THAT(problems, SizeIs(1));
    EXPECT_EQ(problems[0].rule, "avoid-buggy-ips");
    EXPECT_EQ(problems[0].path, "/portolan-ipam:ipam/pools/pool[name='p']/avoid-buggy-ips");
    EXPECT_THAT(problems[0].message, HasSubstr("block a of pool p (20.0.0.0-21."));
    EXPECT_THAT(problems[0].remedy, HasSubstr("shrink the block"));
  }
  EXPECT_THAT(Validate(WithPools({{"p", {Cidr("a", "20.0.0.0/7")}}})), IsEmpty());
}

TEST(Warnings, APoolWithBlocksAndNoAddressToGive) {
  struct Case {
    std::vector<Block> blocks, excluded;
    bool first_last, avoid, gives;
  };
  const std::vector<Case> cases = {
      {{}, {}, true, false, true},  // empty on purpose
      {{Cidr("a", "20.0.10.0/24")}, {Cidr("x", "20.0.10.0/24")}, true, false, false},
      {{Cidr("a", "20.0.10.0/24")}, {Cidr("x", "20.0.10.0/25")}, true, false, true},
      {{Cidr("a", "20.0.10.0/24")},
       {Cidr("y", "20.0.10.128/25"), Span("z", "20.0.9.0", "20.0.10.20"),
        Span("x", "20.0.10.10", "20.0.10.127")},
       true,
       false,
       false},
      {{Cidr("a", "20.0.10.0/24")},
       {Span("x", "20.0.10.0", "20.0.10.99"), Span("y", "20.0.10.101", "20.0.10.255")},
       true,
       false,
       true},
      {{Cidr("a", "20.0.10.0/24"), Cidr("b", "2001:db8::/64")},
       {Cidr("x", "20.0.10.0/24")},
       true,
       false,
       true},
      {{Cidr("a", "2001:db8::/64")}, {Cidr("x", "2001:db8::/32")}, true, false, false},
      {{Cidr("a", "20.0.10.4/30")}, {Span("x", "20.0.10.5", "20.0.10.6")}, true, false, true},
      {{Cidr("a", "20.0.10.4/30")}, {Span("x", "20.0.10.5", "20.0.10.6")}, false, false, false},
      {{Cidr("a", "20.0.10.4/31")}, {}, false, false, true},
      {{Span("a", "20.0.10.4", "20.0.10.5")}, {}, false, false, true},
      {{Span("a", "20.0.10.255", "20.0.11.0")}, {}, true, true, false},
      {{Span("a", "20.0.10.255", "20.0.11.1")}, {}, true, true, true},
      {{Cidr("a", "2001:db8::/128")}, {}, true, true, true},
      {{Span("a", "255.255.254.0", "255.255.254.255")},
       {Cidr("x", "255.255.254.0/23")},
       true,
       false,
       false},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    Snapshot snapshot = WithPools({{"p", c.blocks}, {"other", {Cidr("a", "30.0.0.0/24")}}});
    Pool& pool = snapshot.pools["p"];
    pool.excluded = c.excluded;
    pool.allow_first_last = c.first_last;
    pool.avoid_buggy_ips = c.avoid;
    const auto warnings = Warnings(snapshot);
    ASSERT_THAT(warnings, SizeIs(c.gives ? 0 : 1)) << "case " << i;
    if (c.gives) continue;
    EXPECT_THAT(warnings[0], HasSubstr("pool p has no address to give"));
  }
}

TEST(Validate, APluginHasAPlaceOrSettings) {
  Snapshot snapshot;
  snapshot.plugins["address-picker/x"] = {.extension_point = "address-picker", .name = "x"};
  const std::vector<Problem> problems = Validate(snapshot);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].rule, "plugin-location");
  EXPECT_EQ(problems[0].path,
            "/portolan-system:system/plugins/plugin[extension-point='address-picker'][name='x']");
  snapshot.plugins["address-picker/x"].settings = "{}";
  EXPECT_THAT(Validate(snapshot), IsEmpty());
  snapshot.plugins["address-picker/x"] = {.path = "/x.so"};
  EXPECT_THAT(Validate(snapshot), IsEmpty());
}

TEST(Warnings, WhatNothingReadsYetIsNamedAsNotInForce) {
  Snapshot snapshot;
  snapshot.not_in_force = {"/a/b"};
  EXPECT_THAT(Warnings(snapshot).at(0), HasSubstr("/a/b is not-in-force"));
  snapshot.not_in_force = {"/a/b", "/c", "/d"};
  ASSERT_THAT(Warnings(snapshot), SizeIs(1));
  EXPECT_THAT(Warnings(snapshot)[0], HasSubstr("/a/b and 2 more are not-in-force"));
}

Service Requesting(const std::string& name, const std::string& address, uint32_t port,
                   Protocol protocol = Protocol::kTcp) {
  return Service{.name_space = "default",
                 .name = name,
                 .ports = {{.name = "main", .protocol = protocol, .port = port}},
                 .requested_addresses = {address}};
}

Snapshot WithServices(const std::vector<Service>& services) {
  Snapshot snapshot;
  for (const Service& service : services) snapshot.services["default/" + service.name] = service;
  return snapshot;
}

TEST(ValidateServices, OneFrontendHasOneService) {
  const auto problems =
      Validate(WithServices({Requesting("a", "20.0.10.1", 80), Requesting("b", "20.0.10.1", 80)}));
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].rule, "duplicate-frontend");
  EXPECT_EQ(problems[0].path,
            "/portolan-service:services/service[namespace='default'][name='b']"
            "/requested-address[.='20.0.10.1']");
  EXPECT_THAT(problems[0].message, HasSubstr("default/a and default/b both request 20.0.10.1"));
}

TEST(ValidateServices, OtherPortProtocolOrAddressIsNoConflict) {
  EXPECT_THAT(
      Validate(WithServices({Requesting("a", "20.0.10.1", 80), Requesting("b", "20.0.10.1", 81),
                             Requesting("c", "20.0.10.2", 80),
                             Requesting("d", "20.0.10.1", 80, Protocol::kUdp)})),
      IsEmpty());
}

TEST(ValidateServices, RequestedAddressOutsideEveryPoolIsNotAnErrorHere) {
  EXPECT_THAT(Validate(WithServices({Requesting("a", "192.0.2.1", 80)})), IsEmpty());
}

TEST(ValidateServices, BackendOfAnyFamilyIsAcceptedButNoGroup) {
  Service service = Requesting("a", "20.0.10.1", 80);
  service.backends = {{.id = "1", .address = "2001:db8::1"}, {.id = "2", .address = "10.0.0.1"}};
  EXPECT_THAT(Validate(WithServices({service})), IsEmpty());
  service.backends = {{.id = "1", .address = "ff02::1"}, {.id = "2", .address = "0.0.0.0"}};
  const auto problems = Validate(WithServices({service}));
  ASSERT_THAT(problems, SizeIs(2));
  EXPECT_EQ(problems[0].rule, "backend-address");
}

TEST(ValidateServices, AnAddressInUseIsOneThatAServiceCanHave) {
  Service service{.name_space = "default", .name = "a"};
  service.addresses_in_use = {"192.0.2.1", "2001:db8::1"};
  EXPECT_THAT(Validate(WithServices({service})), IsEmpty());
  service.addresses_in_use = {"127.0.0.1", "ff02::1"};
  const auto problems = Validate(WithServices({service}));
  ASSERT_THAT(problems, SizeIs(2));
  EXPECT_EQ(problems[0].rule, "address-reserved");
  EXPECT_EQ(problems[0].path,
            "/portolan-service:services/service[namespace='default'][name='a']"
            "/address-in-use[.='127.0.0.1']");
  EXPECT_EQ(problems[0].message,
            "service default/a cannot have 127.0.0.1 in use: 127.0.0.0/8 holds loopback addresses");
}

TEST(ValidateDatapath, ATunnelSourceHasNoHostBits) {
  Snapshot snapshot;
  snapshot.datapath_settings["settings"].tunnel_sources = {"192.0.2.0/24", "2001:db8::1/32"};
  const auto problems = Validate(snapshot);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].rule, "cidr");
  EXPECT_EQ(problems[0].path,
            "/portolan-datapath:datapath/settings/tunnel-source[.='2001:db8::1/32']");
}

TEST(ValidateServices, ASourceHasNoHostBits) {
  Service service{.name_space = "default", .name = "a"};
  service.allowed_sources = {"192.0.2.0/24", "2001:db8::/32"};
  service.denied_sources = {"192.0.2.7/32", "::/0"};
  EXPECT_THAT(Validate(WithServices({service})), IsEmpty());
  service.allowed_sources = {"192.0.2.1/24"};
  service.denied_sources = {"2001:db8::1/32"};
  const auto problems = Validate(WithServices({service}));
  ASSERT_THAT(problems, SizeIs(2));
  EXPECT_EQ(problems[0].rule, "cidr");
  EXPECT_EQ(problems[0].path,
            "/portolan-service:services/service[namespace='default'][name='a']"
            "/allowed-source[.='192.0.2.1/24']");
  EXPECT_EQ(problems[1].path,
            "/portolan-service:services/service[namespace='default'][name='a']"
            "/denied-source[.='2001:db8::1/32']");
}

Snapshot WithPeers(const std::vector<BgpPeer>& peers) {
  Snapshot snapshot;
  for (const BgpPeer& peer : peers) snapshot.bgp_peers[peer.instance + "/" + peer.name] = peer;
  return snapshot;
}

TEST(ValidateBgp, OneRouterIsOnePeerUnlessNodesAreSelected) {
  BgpPeer a{.instance = "main", .name = "a", .address = "10.0.0.1", .port = 179};
  BgpPeer b = a;
  b.name = "b";
  const auto problems = Validate(WithPeers({a, b}));
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].rule, "duplicate-peer");
  EXPECT_THAT(problems[0].path, HasSubstr("/peers/peer[name='b']/address"));

  a.node_selector.emplace();
  EXPECT_THAT(Validate(WithPeers({a, b})), IsEmpty());
  a.node_selector.reset();
  b.port = 1179;
  EXPECT_THAT(Validate(WithPeers({a, b})), IsEmpty());
}

TEST(ValidateBgp, PeerIsOneMachine) {
  const auto problems =
      Validate(WithPeers({{.instance = "main", .name = "a", .address = "224.0.0.5"}}));
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].rule, "peer-address");
}

TEST(ValidateBgp, InstancesListenOnDifferentPorts) {
  Snapshot snapshot;
  snapshot.bgp_instances["a"] = {.name = "a", .listen_port = 179};
  snapshot.bgp_instances["b"] = {.name = "b", .listen_port = 0};
  snapshot.bgp_instances["c"] = {.name = "c", .listen_port = 0};
  EXPECT_THAT(Validate(snapshot), IsEmpty());
  snapshot.bgp_instances["c"].listen_port = 179;
  ASSERT_THAT(Validate(snapshot), SizeIs(1));
  EXPECT_EQ(Validate(snapshot)[0].rule, "duplicate-listen-port");
}

}  // namespace
}  // namespace portolan::config
