#include "tools/portolan/service_story.h"

#include <gtest/gtest.h>

namespace portolan::cli {
namespace {

using status::v1alpha1::State;

class ServiceStoryTest : public testing::Test {
 protected:
  void Declare() { tables_.intents["a/web"].set_key("a/web"); }
  void Assign(const std::string& address) {
    tables_.allocations["a/web"].add_grants()->set_address(address);
  }
  void Say(const std::string& component, const std::string& node, State state,
           const std::string& reason, const std::string& message = "") {
    auto& status = tables_.statuses[component + "/" + node + "/service/a/web"];
    status.set_component(component);
    status.set_node(node);
    status.set_kind("service");
    status.set_key("a/web");
    status.set_state(state);
    status.set_reason(reason);
    status.set_message(message);
  }
  void Route(const std::string& peer) {
    auto& route = tables_.routes["n/" + peer + "/20.0.10.0/32"];
    route.set_service("a/web");
    route.set_node("n");
    route.set_peer(peer);
  }
  ServiceStory Tell() const { return TellStory(tables_, "a/web"); }
  Tables tables_;
};

TEST_F(ServiceStoryTest, IsPendingForTheFirstReasonInThePipeline) {
  Declare();
  Say("bgp", "n", State::STATE_PENDING, "peer-down", "later");
  Say("ipam", "", State::STATE_PENDING, "no-pool", "no pool is configured");
  EXPECT_EQ(Tell().state, "pending");
  EXPECT_EQ(Tell().why, "no pool is configured");
  ASSERT_EQ(Tell().steps.size(), 2u);
  EXPECT_EQ(Tell().steps[0].component(), "ipam");
}

TEST_F(ServiceStoryTest, IsReadyWhenOneWayOfAnnouncingServesAndTheOtherWasNotAsked) {
  Declare();
  Assign("20.0.10.0");
  Say("ipam", "", State::STATE_READY, "assigned");
  Say("l2", "n", State::STATE_PENDING, "no-policy");
  Say("bgp", "n", State::STATE_READY, "advertised");
  Route("tor");
  EXPECT_EQ(Tell().state, "ready");
  EXPECT_EQ(Tell().bgp_peers, std::vector<std::string>{"n>tor"});
}

TEST_F(ServiceStoryTest, AnAddressThatNobodyAnnouncesIsNotReady) {
  Declare();
  Assign("20.0.10.0");
  Say("ipam", "", State::STATE_READY, "assigned");
  Say("l2", "n", State::STATE_PENDING, "no-policy");
  EXPECT_EQ(Tell().state, "pending");
  EXPECT_FALSE(Tell().remedy.empty());
}

TEST_F(ServiceStoryTest, OtherServicesAndOtherKindsDoNotMixIn) {
  Declare();
  Say("ipam", "", State::STATE_READY, "assigned");
  auto& pool = tables_.statuses["ipam//pool/a/web"];
  pool.set_component("ipam");
  pool.set_kind("pool");
  pool.set_key("a/web");
  EXPECT_EQ(Tell().steps.size(), 1u);
}

TEST_F(ServiceStoryTest, AnUnknownServiceSaysSo) {
  EXPECT_FALSE(Tell().known);
  EXPECT_EQ(Tell().state, "pending");
}

}  // namespace
}  // namespace portolan::cli
