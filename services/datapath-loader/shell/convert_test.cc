#include "services/datapath-loader/shell/convert.h"

#include <gtest/gtest.h>

namespace portolan::datapath {
namespace {

net::IpAddress Ip(const char* text) { return *net::IpAddress::Parse(text); }

TEST(ConvertTest, AServiceKeepsItsPorts) {
  intent::v1alpha1::ServiceIntent message;
  message.set_key("ns/web");
  message.set_generation(3);
  auto* port = message.add_ports();
  port->set_name("http");
  port->set_protocol(intent::v1alpha1::PROTOCOL_UDP);
  port->set_port(80);
  message.add_ports()->set_port(70000);
  Problems problems;
  const Service service = FromProto(message, problems);
  EXPECT_EQ(service, (Service{"ns/web", 3, {{"http", kUdp, 80}, {"", kTcp, 0}}}));
  EXPECT_TRUE(problems.empty());
}

TEST(ConvertTest, AServiceKeepsHowItsPacketsTravel) {
  namespace pb = intent::v1alpha1;
  Problems problems;
  EXPECT_EQ(FromProto(pb::ServiceIntent(), problems).traffic, Traffic());
  const std::pair<pb::ForwardingMode, ForwardingMode> modes[] = {
      {pb::FORWARDING_MODE_AUTO, ForwardingMode::kAuto},
      {pb::FORWARDING_MODE_FULL_NAT, ForwardingMode::kFullNat},
      {pb::FORWARDING_MODE_DESTINATION_NAT, ForwardingMode::kDestinationNat},
      {pb::FORWARDING_MODE_DIRECT_RETURN, ForwardingMode::kDirectReturn},
      {pb::FORWARDING_MODE_TUNNEL, ForwardingMode::kTunnel}};
  for (const auto& [said, mode] : modes) {
    pb::ServiceIntent message;
    message.set_forwarding_mode(said);
    EXPECT_EQ(FromProto(message, problems).traffic.mode, mode);
  }
  pb::ServiceIntent message;
  message.set_traffic_policy(pb::TRAFFIC_POLICY_LOCAL);
  message.set_internal_traffic_policy(pb::TRAFFIC_POLICY_LOCAL);
  message.set_idle_timeout_s(90);
  message.set_unserved_traffic(pb::UNSERVED_TRAFFIC_DROP);
  EXPECT_EQ(FromProto(message, problems).traffic,
            (Traffic{.local = true, .internal_local = true, .idle_s = 90, .silent = true}));
  message.set_unserved_traffic(pb::UNSERVED_TRAFFIC_REFUSE);
  EXPECT_EQ(FromProto(message, problems).traffic.silent, false);
  EXPECT_TRUE(problems.empty());
}

TEST(ConvertTest, AHealthCheckKeepsWhatItAsks) {
  intent::v1alpha1::ServiceIntent message;
  EXPECT_FALSE(HealthPlanOf(message).has_value());
  auto* check = message.mutable_health_check();
  check->set_type("http");
  EXPECT_EQ(HealthPlanOf(message)->interval, absl::Milliseconds(10)) << "never without a pause";
  EXPECT_EQ(HealthPlanOf(message)->failures, 1u);
  check->set_port(8081);
  check->set_interval_ms(1000);
  check->set_timeout_ms(500);
  check->set_failures(3);
  check->set_successes(2);
  check->set_path("/ok");
  check->set_host("web");
  check->set_service_name("s");
  check->set_send("ping");
  check->set_expect("pong");
  const HealthPlan plan = *HealthPlanOf(message);
  EXPECT_EQ(plan.type, "http");
  EXPECT_EQ(plan.target.port, 8081);
  EXPECT_EQ(plan.target.path, "/ok");
  EXPECT_EQ(plan.target.host, "web");
  EXPECT_EQ(plan.target.service_name, "s");
  EXPECT_EQ(plan.target.send, "ping");
  EXPECT_EQ(plan.target.expect, "pong");
  EXPECT_EQ(plan.interval, absl::Seconds(1));
  EXPECT_EQ(plan.timeout, absl::Milliseconds(500));
  EXPECT_EQ(plan.failures, 3u);
  EXPECT_EQ(plan.successes, 2u);
}

TEST(ConvertTest, ABackendKeepsItsConditionAndDeadline) {
  namespace pb = intent::v1alpha1;
  pb::BackendSet message;
  for (const auto condition : {pb::BACKEND_CONDITION_UNSPECIFIED, pb::BACKEND_CONDITION_DRAINING,
                               pb::BACKEND_CONDITION_DOWN}) {
    pb::Backend* backend = message.add_backends();
    backend->set_address("10.0.0.1");
    backend->set_condition(condition);
  }
  message.mutable_backends(1)->set_drain_deadline_unix_ms(1700000000000);
  Problems problems;
  const std::vector<Backend> backends = FromProto(message, problems).backends;
  ASSERT_EQ(backends.size(), 3u);
  EXPECT_EQ(backends[0].condition, Condition::kActive);
  EXPECT_EQ(backends[0].drain_deadline, absl::InfiniteFuture());
  EXPECT_EQ(backends[1].condition, Condition::kDraining);
  EXPECT_EQ(backends[1].drain_deadline, absl::FromUnixMillis(1700000000000));
  EXPECT_EQ(backends[2].condition, Condition::kDown);
}

TEST(ConvertTest, ABackendsKeyNamesNodeServicePortFamilyAndBackend) {
  const BackendView view{.protocol = kUdp,
                         .port = 53,
                         .backend = "nas",
                         .address = Ip("10.0.0.1"),
                         .target_port = 1053,
                         .weight = 2,
                         .state = BackendState::kDraining,
                         .id = 7};
  portolan_counter counter{};
  counter.packets = 10;
  counter.bytes = 1000;
  counter.flows = 3;
  const auto message = ToProto("home/dns", view, counter, "a");
  EXPECT_EQ(BackendStateKey("home/dns", view, "a"), "a/home/dns/udp/53/ipv4/nas");
  EXPECT_EQ(message.service(), "home/dns");
  EXPECT_EQ(message.backend(), "nas");
  EXPECT_EQ(message.address(), "10.0.0.1");
  EXPECT_EQ(message.target_port(), 1053u);
  EXPECT_EQ(message.weight(), 2u);
  EXPECT_EQ(message.state(), "draining");
  EXPECT_EQ(message.packets(), 10u);
  EXPECT_EQ(message.bytes(), 1000u);
  EXPECT_EQ(message.flows(), 3u);
}

TEST(ConvertTest, SourcesThatCannotBeUnderstoodLetNobodyIn) {
  intent::v1alpha1::ServiceIntent message;
  message.set_key("ns/web");
  message.add_allowed_sources("192.0.2.1/24");
  message.add_denied_sources("192.0.2.0/25");
  message.set_client_affinity_s(600);
  Problems problems;
  const Admission admission = FromProto(message, problems).admission;
  EXPECT_EQ(admission, (Admission{.allowed = {},
                                  .denied = {*net::Prefix::Parse("192.0.2.0/25")},
                                  .only_allowed = true,
                                  .affinity_s = 600}));
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_NE(problems[0].find("ns/web"), std::string::npos);
}

TEST(ConvertTest, ABackendOfNoAddressIsLeftOutAndNamed) {
  intent::v1alpha1::BackendSet message;
  message.set_key("ns/web");
  auto* good = message.add_backends();
  good->set_id("one");
  good->set_address("10.0.0.1");
  good->set_weight(5);
  good->set_node("b");
  auto* port = good->add_ports();
  port->set_name("http");
  port->set_port(8080);
  auto* bad = message.add_backends();
  bad->set_id("two");
  bad->set_address("10.0.0.x");
  Problems problems;
  const BackendSet set = FromProto(message, problems);
  ASSERT_EQ(set.backends.size(), 1u);
  EXPECT_EQ(set.backends[0].address, Ip("10.0.0.1"));
  EXPECT_EQ(set.backends[0].ports.at("http"), 8080);
  EXPECT_EQ(set.backends[0].weight, 5u);
  EXPECT_EQ(set.backends[0].node, "b");
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_NE(problems[0].find("ns/web/two"), std::string::npos);
}

TEST(ConvertTest, AnAllocationIsItsAddressesAlsoThoseThatDrain) {
  allocation::v1alpha1::Allocation message;
  message.set_key("ns/web");
  message.set_generation(2);
  auto* grant = message.add_grants();
  grant->set_address("20.0.10.1");
  grant->set_since_unix_ms(1700000000000);
  grant->set_draining_until_unix_ms(1700000060000);
  message.add_grants()->set_address("2001:db8::1");
  Problems problems;
  EXPECT_EQ(FromProto(message, problems),
            (Allocation{"ns/web", 2, {{Ip("20.0.10.1"), 1700000000000}, {Ip("2001:db8::1"), 0}}}));
}

TEST(ConvertTest, NoSettingsMeansTheModulesDefaults) {
  const auto defaults = DefaultSettings();
  EXPECT_EQ(EngineSettings(defaults), (Settings{absl::Seconds(1), 1347375700}));
  EXPECT_EQ(ToProgramSettings(defaults).tcp_idle, absl::Seconds(8000));
  EXPECT_EQ(ToProgramSettings(defaults).udp_idle, absl::Seconds(300));
  EXPECT_TRUE(ToProgramSettings(defaults).answer_echo);
  EXPECT_FALSE(EngineSettings(defaults).drop_unserved);
  auto silent = defaults;
  silent.set_ignore_echo(true);
  silent.set_drop_unserved(true);
  EXPECT_TRUE(EngineSettings(silent).drop_unserved);
  EXPECT_FALSE(ToProgramSettings(silent).answer_echo);
}

TEST(ConvertTest, SettingsReachAllThreeReaders) {
  config::v1alpha1::DatapathSettings message;
  message.set_max_flows(1);
  message.set_max_frontends(2);
  message.set_max_backends(3);
  message.set_tcp_idle_timeout_s(4);
  message.set_udp_idle_timeout_s(5);
  message.add_tunnel_sources("192.0.2.0/24");
  message.set_removal_delay_ms(6);
  message.set_hash_seed(7);
  EXPECT_EQ(EngineSettings(message), (Settings{absl::Milliseconds(6), 7}));
  const ProgramSettings program = ToProgramSettings(message);
  EXPECT_EQ(program.hash_seed, 7u);
  EXPECT_EQ(program.tcp_idle, absl::Seconds(4));
  EXPECT_EQ(program.udp_idle, absl::Seconds(5));
  EXPECT_EQ(program.tunnels, (SourceRules{{*net::Prefix::Parse("192.0.2.0/24"), true}}));
  EXPECT_EQ(ToSizes(message).max_flows, 1u);
  EXPECT_EQ(ToSizes(message).max_frontends, 2u);
  EXPECT_EQ(ToSizes(message).max_backends, 3u);
}

TEST(ConvertTest, AnInterfaceWithoutNodesIsForAll) {
  config::v1alpha1::DatapathInterface message;
  EXPECT_TRUE(Concerns(message, "a"));
  message.add_nodes("b");
  EXPECT_FALSE(Concerns(message, "a"));
  EXPECT_TRUE(Concerns(message, "b"));
}

TEST(ConvertTest, AStatusKeepsItsWords) {
  const ServiceStatus status{.key = "ns/web",
                             .generation = 4,
                             .state = State::kDegraded,
                             .reason = "r",
                             .message = "m",
                             .remedy = "do",
                             .findings = {{"s", "fr", "fm"}},
                             .addresses = {Ip("20.0.10.1")}};
  const auto message = ToProto(status, "a");
  EXPECT_EQ(StatusKey(message), "datapath/a/service/ns/web");
  EXPECT_EQ(message.generation(), 4u);
  EXPECT_EQ(message.state(), status::v1alpha1::STATE_DEGRADED);
  EXPECT_EQ(message.reason(), "r");
  EXPECT_EQ(message.message(), "m");
  EXPECT_EQ(message.remedy(), "do");
  ASSERT_EQ(message.findings_size(), 1);
  EXPECT_EQ(message.findings(0).subject(), "s");
  ASSERT_EQ(message.addresses_size(), 1);
  EXPECT_EQ(message.addresses(0), "20.0.10.1");
}

TEST(ConvertTest, AFrontendsKeyNamesNodeAddressProtocolAndPort) {
  const FrontendView view{
      .key = {Ip("20.0.10.0"), 80, kTcp}, .service = "ns/web", .id = 3, .backends = 2};
  portolan_counter counter{};
  counter.packets = 10;
  counter.bytes = 1000;
  const auto message = ToProto(view, counter, "a");
  EXPECT_EQ(FrontendStateKey(view.key, "a"), "a/20.0.10.0/tcp/80");
  EXPECT_EQ(message.service(), "ns/web");
  EXPECT_EQ(message.packets(), 10u);
  EXPECT_EQ(message.bytes(), 1000u);
  EXPECT_EQ(message.backends(), 2u);
}

}  // namespace
}  // namespace portolan::datapath
