#include "services/config-service/shell/operational.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/bgp/v1alpha1/bgp.pb.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "api/proto/l2/v1alpha1/l2.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "google/protobuf/text_format.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/server.h"
#include "services/config-service/shell/model.h"
#include "services/config-service/shell/state_text.h"

namespace portolan::config {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::shared_ptr<const Model>& TheModel() {
  static const auto model = Model::Create().value();
  return model;
}

template <typename M>
M Message(const std::string& text) {
  M message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// A process that publishes, with a socket of its own.
class Publisher {
 public:
  explicit Publisher(const std::string& path) : address_(absl::StrCat("unix:", path)) {}
  ~Publisher() { hub_.Shutdown(); }

  template <typename M>
  void Publish(const std::string& key, const std::string& text) {
    writers_.push_back(hub_.NewWriter<M>());
    writers_.back().Upsert(key, Message<M>(text));
    writers_.back().MarkSynced();
  }

  // Published, and not yet all there: whoever reads it waits.
  template <typename M>
  void PublishUnsynced() {
    writers_.push_back(hub_.NewWriter<M>());
  }

  process::Peer Serve(const std::string& name) {
    auto server = wire::Server::Start(address_, {hub_.service()});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    return {name, wire::Connect(address_)};
  }

 private:
  const std::string address_;
  wire::Hub hub_;
  std::vector<wire::Writer> writers_;
  std::unique_ptr<wire::Server> server_;
};

class OperationalTest : public testing::Test {
 protected:
  OperationalTest() {
    std::string pattern = "/tmp/portolan-state-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
  }
  ~OperationalTest() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return absl::StrCat(directory_, "/", name); }

  json Read(std::vector<process::Peer> peers, absl::Duration deadline = absl::Seconds(20)) const {
    const Operational operational(TheModel()->context(), std::move(peers), deadline);
    return json::parse(operational.Read().Print(yang::Format::kJson, yang::Defaults::kExplicit));
  }

  std::string directory_;
};

TEST_F(OperationalTest, StatusesAndAddressesReachTheirPlacesInTheModel) {
  Publisher publisher(Path("a.sock"));
  publisher.Publish<status::v1alpha1::ObjectStatus>(
      "k", R"(component: "l2" node: "n1" kind: "service" key: "d/web" generation: 7
              state: STATE_DEGRADED reason: "r" message: "m" remedy: "do")");
  publisher.Publish<allocation::v1alpha1::Allocation>(
      "d/web", R"(key: "d/web" grants { address: "2001:db8::1" pool: "p" since_unix_ms: 1500
                  draining_until_unix_ms: 2000 adopted: true })");
  publisher.Publish<allocation::v1alpha1::PoolState>(
      "p", R"(name: "p" state: "active" counts { family: "ipv6"
              total: "340282366920938463463374607431768211456" used: "1" reserved: "2"
              available: "3" exhausted_in_s: 60 })");
  const json state = Read({publisher.Serve("portolan")});
  const json& system = state.at("portolan-system:system");
  EXPECT_EQ(system.at("portolan-state:components").at("component"),
            json::parse(R"([{"name": "portolan", "answering": true}])"));
  EXPECT_EQ(system.at("portolan-state:statuses").at("status"), json::parse(R"([{
      "component": "l2", "node": "n1", "kind": "service", "object": "d/web", "generation": "7",
      "state": "degraded", "reason": "r", "message": "m", "remedy": "do"}])"));
  const json& ipam = state.at("portolan-ipam:ipam");
  EXPECT_EQ(ipam.at("portolan-state:allocations").at("allocation"), json::parse(R"([{
      "address": "2001:db8::1", "service": "d/web", "pool": "p",
      "since": "1970-01-01T00:00:01.5+00:00", "draining-until": "1970-01-01T00:00:02+00:00",
      "adopted": true}])"));
  EXPECT_EQ(ipam.at("portolan-state:pool-states").at("pool-state"), json::parse(R"([{
      "pool": "p", "family": "ipv6", "state": "active",
      "total": "340282366920938463463374607431768211456", "used": "1", "reserved": "2",
      "available": "3", "exhausted-in": "60"}])"));
}

TEST_F(OperationalTest, WhatTheNetworkIsToldReachesItsPlacesInTheModel) {
  Publisher publisher(Path("a.sock"));
  publisher.Publish<l2::v1alpha1::Announcement>(
      "k", R"(node: "n1" interface: "eth0" address: "10.0.0.1" mac: "02:00:00:00:00:01"
              service: "d/web" state: "owner" owner: "n1" since_unix_ms: 1000
              rival: "02:00:00:00:00:66")");
  publisher.Publish<bgp::v1alpha1::PeerState>(
      "k", R"(name: "tor" node: "n1" instance: "main" address: "10.1.0.1" remote_as: 64512
              local_as: 64513 session_state: "established" since_unix_ms: 1000 prefixes_sent: 4
              hold_time_s: 90 last_error: "e")");
  publisher.Publish<bgp::v1alpha1::Route>(
      "k", R"(node: "n1" peer: "tor" instance: "main" prefix: "10.0.0.1/32" next_hop: "10.1.0.2"
              service: "d/web" communities: "64512:1")");
  publisher.Publish<datapath::v1alpha1::InterfaceState>(
      "k", R"(node: "n1" interface: "eth0" mode: "xdp" message: "native")");
  publisher.Publish<datapath::v1alpha1::FrontendState>(
      "k", R"(node: "n1" service: "d/web" address: "10.0.0.1" protocol: "tcp" port: 80 backends: 2
              packets: 18446744073709551615 bytes: 2 flows: 3)");
  publisher.Publish<datapath::v1alpha1::BackendState>(
      "k", R"(node: "n1" service: "d/web" protocol: "tcp" port: 80 backend: "b"
              address: "10.2.0.1" target_port: 8080 weight: 1 state: "active" packets: 1 bytes: 2
              flows: 3)");
  const json state = Read({publisher.Serve("portolan")});
  EXPECT_EQ(StateTypes().size(), 9u) << "test the new one, here or above";
  EXPECT_EQ(
      state.at("portolan-l2:l2").at("portolan-network-state:announcements").at("announcement"),
      json::parse(R"([{"node": "n1", "interface": "eth0", "address": "10.0.0.1",
      "service": "d/web", "mac": "02:00:00:00:00:01", "state": "owner", "owner": "n1",
      "rival": "02:00:00:00:00:66", "since": "1970-01-01T00:00:01+00:00"}])"));
  const json& bgp = state.at("portolan-bgp:bgp");
  EXPECT_EQ(bgp.at("portolan-network-state:sessions").at("session"), json::parse(R"([{"node": "n1",
      "instance": "main", "peer": "tor", "address": "10.1.0.1", "remote-as": 64512,
      "local-as": 64513, "state": "established", "since": "1970-01-01T00:00:01+00:00",
      "prefixes-sent": 4, "hold-time": 90, "last-error": "e"}])"));
  EXPECT_EQ(bgp.at("portolan-network-state:routes").at("route"), json::parse(R"([{"node": "n1",
      "instance": "main", "peer": "tor", "prefix": "10.0.0.1/32", "next-hop": "10.1.0.2",
      "service": "d/web", "community": ["64512:1"]}])"));
  const json& datapath = state.at("portolan-datapath:datapath");
  EXPECT_EQ(datapath.at("portolan-network-state:attachments").at("attachment"), json::parse(R"([{
      "node": "n1", "interface": "eth0", "program": "xdp", "message": "native"}])"));
  EXPECT_EQ(datapath.at("portolan-network-state:frontends").at("frontend"), json::parse(R"([{
      "node": "n1", "address": "10.0.0.1", "protocol": "tcp", "port": 80, "service": "d/web",
      "backends": 2, "packets": "18446744073709551615", "bytes": "2", "flows": "3"}])"));
  EXPECT_EQ(datapath.at("portolan-network-state:backends").at("backend"), json::parse(R"([{
      "node": "n1", "service": "d/web", "protocol": "tcp", "port": 80, "backend": "b",
      "address": "10.2.0.1", "target-port": 8080, "weight": 1, "state": "active",
      "packets": "1", "bytes": "2", "flows": "3"}])"));
}

TEST_F(OperationalTest, DeadAndSilentServicesAreMarkedAndTheRestAnswers) {
  Publisher lively(Path("a.sock"));
  lively.Publish<datapath::v1alpha1::InterfaceState>("k", R"(node: "n1" interface: "eth0")");
  Publisher silent(Path("b.sock"));
  silent.PublishUnsynced<l2::v1alpha1::Announcement>();
  const absl::Time start = absl::Now();
  const json state =
      Read({lively.Serve("datapath-loader"),
            silent.Serve("l2-announcer"),
            {"ipam-service", wire::Connect(absl::StrCat("unix:", Path("none.sock")))}},
           absl::Seconds(1));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  const json& components =
      state.at("portolan-system:system").at("portolan-state:components").at("component");
  ASSERT_EQ(components.size(), 3u);
  for (const json& component : components) {
    const bool lives = component.at("name") == "datapath-loader";
    EXPECT_EQ(component.at("answering"), lives) << component;
    EXPECT_EQ(component.contains("message"), !lives) << component;
  }
  EXPECT_EQ(state.at("portolan-datapath:datapath")
                .at("portolan-network-state:attachments")
                .at("attachment")
                .size(),
            1u);
}

TEST_F(OperationalTest, WhatTheModelDoesNotKnowCostsOnlyItself) {
  Publisher newer(Path("a.sock"));
  newer.Publish<bgp::v1alpha1::PeerState>(
      "k", R"(name: "tor" node: "n1" instance: "main" session_state: "dreaming")");
  newer.Publish<datapath::v1alpha1::InterfaceState>("k", R"(node: "n1" interface: "eth0")");
  const json state = Read({newer.Serve("portolan")});
  EXPECT_TRUE(state.contains("portolan-datapath:datapath"));
  EXPECT_FALSE(state.contains("portolan-bgp:bgp"));
  const json component =
      state.at("portolan-system:system").at("portolan-state:components").at("component").at(0);
  EXPECT_EQ(component.at("answering"), true);
  EXPECT_THAT(component.at("message").get<std::string>(), HasSubstr("dreaming"));
}

}  // namespace
}  // namespace portolan::config
