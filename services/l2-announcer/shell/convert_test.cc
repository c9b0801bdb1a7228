#include "services/l2-announcer/shell/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

namespace portolan::l2 {
namespace {

using ::testing::HasSubstr;

template <typename M>
M Proto(const char* text) {
  M message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

net::IpAddress Ip(absl::string_view text) { return *net::IpAddress::Parse(text); }

TEST(Convert, AllocationKeepsEveryGrantWithItsPool) {
  auto allocation = FromProto(Proto<allocation::v1alpha1::Allocation>(R"(
      key: "shop/web" generation: 7
      grants { address: "20.0.10.1" pool: "one" since_unix_ms: 5 }
      grants { address: "2001:db8::1" pool: "two" }
      labels { key: "color" value: "red" })"));
  ASSERT_TRUE(allocation.ok()) << allocation.status();
  EXPECT_EQ(*allocation,
            (Allocation{.generation = 7,
                        .grants = {{Ip("20.0.10.1"), "one"}, {Ip("2001:db8::1"), "two"}},
                        .labels = {{"color", "red"}}}));
}

TEST(Convert, AnAllocationWithABadAddressIsRefusedByName) {
  auto allocation = FromProto(Proto<allocation::v1alpha1::Allocation>(R"(
      key: "shop/web" grants { address: "20.0.10.300" })"));
  ASSERT_FALSE(allocation.ok());
  EXPECT_THAT(std::string(allocation.status().message()), HasSubstr("shop/web"));
  EXPECT_THAT(std::string(allocation.status().message()), HasSubstr("20.0.10.300"));
}

TEST(Convert, PolicyKeepsSelectorsPoolsAndInterfaces) {
  const Policy policy = FromProto(Proto<config::v1alpha1::L2Policy>(R"(
      name: "lan" pools: "one" interfaces: "eth0" interfaces: "eth1"
      service_selector { match_labels { key: "color" value: "red" } }
      node_selector { match_expressions { key: "rack" operator: SELECTOR_OPERATOR_EXISTS } })"));
  using Op = LabelSelector::Operator;
  EXPECT_EQ(policy, (Policy{.services = LabelSelector({{"color", Op::kIn, {"red"}}}),
                            .pools = {"one"},
                            .nodes = LabelSelector({{"rack", Op::kExists, {}}}),
                            .interfaces = {"eth0", "eth1"}}));
  EXPECT_TRUE(FromProto(config::v1alpha1::L2Policy()).services.matches_everything());
  EXPECT_TRUE(FromProto(config::v1alpha1::L2Policy()).nodes.matches_everything());
}

TEST(Convert, SettingsThatAreNotSetAreTheDefaults) {
  EXPECT_EQ(FromProto(config::v1alpha1::L2Settings()), Settings());
  const Settings all = FromProto(Proto<config::v1alpha1::L2Settings>(R"(
      heartbeat_interval_ms: 100 dead_interval_ms: 350 gratuitous_count: 2
      gratuitous_interval_ms: 50 owner_election: "mine")"));
  EXPECT_EQ(all, (Settings{.heartbeat_interval = absl::Milliseconds(100),
                           .dead_interval = absl::Milliseconds(350),
                           .gratuitous_count = 2,
                           .gratuitous_interval = absl::Milliseconds(50),
                           .owner_election = "mine"}));
}

TEST(Convert, TheGateIsOpenForTheAddressesThatTheDatapathLists) {
  auto gate = GateFromProto(Proto<status::v1alpha1::ObjectStatus>(R"(
      component: "datapath" node: "a" kind: "service" key: "shop/web" state: STATE_DEGRADED
      addresses: "20.0.10.1" addresses: "2001:db8::1")"));
  ASSERT_TRUE(gate.ok()) << gate.status();
  EXPECT_EQ(gate->service, "shop/web");
  EXPECT_EQ(gate->carried, (std::set<net::IpAddress>{Ip("20.0.10.1"), Ip("2001:db8::1")}));
}

TEST(Convert, StatusKeepsEveryField) {
  const Status status{.generation = 3,
                      .state = State::kDegraded,
                      .reason = "address-conflict",
                      .message = "m",
                      .remedy = "r",
                      .findings = {{"eth0/20.0.10.1", "address-conflict", "f"}},
                      .addresses = {Ip("20.0.10.1")}};
  const auto proto = ToProto("a", "service", "shop/web", status);
  EXPECT_EQ(proto.SerializeAsString(), Proto<status::v1alpha1::ObjectStatus>(R"(
      component: "l2" node: "a" kind: "service" key: "shop/web" generation: 3
      state: STATE_DEGRADED reason: "address-conflict" message: "m" remedy: "r"
      findings { subject: "eth0/20.0.10.1" reason: "address-conflict" message: "f" }
      addresses: "20.0.10.1")")
                                           .SerializeAsString());
  EXPECT_EQ(StatusKey("a", "service", "shop/web"), "l2/a/service/shop/web");
}

TEST(Convert, EveryStateHasAWireForm) {
  const std::pair<State, status::v1alpha1::State> table[] = {
      {State::kPending, status::v1alpha1::STATE_PENDING},
      {State::kReady, status::v1alpha1::STATE_READY},
      {State::kDegraded, status::v1alpha1::STATE_DEGRADED},
      {State::kRejected, status::v1alpha1::STATE_REJECTED},
      {State::kFailed, status::v1alpha1::STATE_FAILED},
  };
  for (const auto& [state, wire] : table) {
    EXPECT_EQ(ToProto("a", "service", "k", Status{.state = state}).state(), wire);
  }
}

TEST(Convert, AnnouncementSaysWhoOwnsAndSinceWhen) {
  PublishAnnouncement published{
      .interface = "eth0",
      .address = Ip("20.0.10.1"),
      .announcement = Announcement{.service = "shop/web",
                                   .mac = *net::MacAddress::Parse("02:00:00:00:00:01"),
                                   .owner = true,
                                   .owner_node = "a"}};
  EXPECT_EQ(AnnouncementKey("a", published), "a/eth0/20.0.10.1");
  EXPECT_EQ(ToProto("a", published, absl::FromUnixMillis(42)).SerializeAsString(),
            Proto<l2::v1alpha1::Announcement>(R"(
      node: "a" interface: "eth0" address: "20.0.10.1" mac: "02:00:00:00:00:01"
      service: "shop/web" state: "owner" owner: "a" since_unix_ms: 42)")
                .SerializeAsString());
  published.announcement->owner = false;
  published.announcement->owner_node = "b";
  EXPECT_EQ(ToProto("a", published, absl::UnixEpoch()).state(), "standby");
  EXPECT_EQ(ToProto("a", published, absl::UnixEpoch()).owner(), "b");
  EXPECT_EQ(ToProto("a", published, absl::UnixEpoch()).rival(), "");
  published.announcement->rival = *net::MacAddress::Parse("02:00:00:00:00:66");
  EXPECT_EQ(ToProto("a", published, absl::UnixEpoch()).rival(), "02:00:00:00:00:66");
}

}  // namespace
}  // namespace portolan::l2
