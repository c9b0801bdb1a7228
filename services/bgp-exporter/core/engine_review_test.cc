// What an edit would do to sessions and routes, before it is done.
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "services/bgp-exporter/core/engine_world.h"

namespace portolan::bgp {
namespace {

constexpr char kTor[] = "/portolan-bgp:bgp/instances/instance[name='lab']/peers/peer[name='tor']";

class ReviewTest : public ::testing::Test {
 protected:
  // Two routes to an established peer.
  void SetUp() override {
    world_.Configure([this](InstanceConfig& instance, PeerConfig& peer) {
      as_configured_.instances[instance.name] = instance;
      as_configured_.peers[peer.key()] = peer;
    });
    AdvertisementConfig all;
    all.instance = "lab";
    all.name = "all";
    as_configured_.advertisements.Set(all);
    world_.Allocate("default/red", {"20.0.10.1"}, {{"team", "red"}});
    world_.Allocate("default/blue", {"20.0.10.2"}, {{"team", "blue"}});
    world_.OpenGate("default/red", {"20.0.10.1"});
    world_.OpenGate("default/blue", {"20.0.10.2"});
  }
  void SyncAndConnect() {
    world_.SyncAll();
    world_.Up();
    world_.Heard();
  }
  using Edit = std::function<void(ProposedConfig&)>;
  std::vector<ReviewFinding> Review(const Edit& edit) {
    ProposedConfig proposed = as_configured_;
    edit(proposed);
    const auto findings = world_.Review(proposed);
    EXPECT_TRUE(findings.has_value());
    EXPECT_EQ(world_.Heard(), "");  // a question changes nothing
    return findings.value_or(std::vector<ReviewFinding>());
  }

  World world_;
  ProposedConfig as_configured_;
};

TEST_F(ReviewTest, WhatChangesNothingIsNotWorthAWord) {
  SyncAndConnect();
  EXPECT_TRUE(Review([](ProposedConfig&) {}).empty());
  EXPECT_TRUE(Review([](ProposedConfig& c) {
                c.peers.at("lab/tor").connect_retry_time_s = 77;
                c.nodes["b"] = {.name = "b"};
                c.instances["other"] = {.name = "other", .local_as = 65009};
              }).empty());
}

TEST_F(ReviewTest, NamesThePeerThatIsResetAndTheRoutesThatItLoses) {
  SyncAndConnect();
  const Edit edits[] = {
      [](ProposedConfig& c) { c.peers.at("lab/tor").hold_time_s = 9; },
      [](ProposedConfig& c) { c.peers.at("lab/tor").password = "secret"; },
      [](ProposedConfig& c) { c.instances.at("lab").local_as = 65002; },
      [](ProposedConfig& c) { c.instances.at("lab").router_id = Address("10.0.0.9"); },
  };
  for (const Edit& edit : edits) {
    const std::vector<ReviewFinding> findings = Review(edit);
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].rule, "session-reset");
    EXPECT_EQ(findings[0].path, kTor);
    EXPECT_EQ(findings[0].message,
              "the session with peer lab/tor (10.0.0.2) is established and would be reset, to be "
              "opened anew as configured; 2 routes are withdrawn from it meanwhile");
    EXPECT_NE(findings[0].remedy, "");
  }
}

TEST_F(ReviewTest, SaysThatASessionEnds) {
  SyncAndConnect();
  const Edit edits[] = {
      [](ProposedConfig& c) { c.peers.clear(); },
      [](ProposedConfig& c) { c.peers.at("lab/tor").enabled = false; },
      [](ProposedConfig& c) { c.instances.clear(); },
      [](ProposedConfig& c) { c.ends = true; },
  };
  for (const Edit& edit : edits) {
    const std::vector<ReviewFinding> findings = Review(edit);
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].rule, "session-end");
    EXPECT_NE(findings[0].message.find("would end; 2 routes are withdrawn from it"),
              std::string::npos);
  }
}

TEST_F(ReviewTest, CountsTheRoutesThatAnAdvertisementNoLongerSelects) {
  SyncAndConnect();
  const std::vector<ReviewFinding> findings = Review([](ProposedConfig& c) {
    AdvertisementConfig some = c.advertisements.all().at("lab/all");
    some.pools = {"other"};
    c.advertisements.Set(some);
  });
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].rule, "routes-withdrawn");
  EXPECT_EQ(findings[0].path, kTor);
  EXPECT_EQ(findings[0].message,
            "2 routes would be withdrawn from peer lab/tor (10.0.0.2), the first is 20.0.10.1/32 "
            "of service default/red");
}

TEST_F(ReviewTest, ASessionThatIsNotEstablishedCannotBeReset) {
  world_.SyncAll();
  EXPECT_TRUE(Review([](ProposedConfig& c) { c.peers.clear(); }).empty());
}

TEST_F(ReviewTest, NothingIsSaidBeforeEverythingIsKnown) {
  EXPECT_FALSE(world_.Review(as_configured_).has_value());
}

TEST(Review, NamesTwentyPeersAndCountsTheOthers) {
  World world;
  ProposedConfig proposed;
  world.Configure();
  for (int i = 0; i < 24; ++i) {
    PeerConfig peer;
    peer.instance = "lab";
    peer.name = absl::StrCat("p", i);
    peer.address = Address(absl::StrCat("10.0.1.", i + 1));
    peer.remote_as = 65000;
    world.Do(PeerChanged{peer});
  }
  world.SyncAll();
  const std::vector<Connect> dials = world.dials;
  for (const Connect& dial : dials) {
    Open open = World::RouterOpen();
    open.router_id = static_cast<uint32_t>(dial.remote.value());
    world.Do(Connected{dial.connection, {.session = Address("10.0.0.1")}});
    world.Do(Received{dial.connection, EncodeOpen(open)});
    world.Do(Received{dial.connection, EncodeKeepalive()});
  }
  const auto findings = world.Review(proposed);
  ASSERT_TRUE(findings.has_value());
  ASSERT_EQ(findings->size(), 21u);
  EXPECT_EQ(findings->back().message, "and so at 5 more peers");
}

}  // namespace
}  // namespace portolan::bgp
