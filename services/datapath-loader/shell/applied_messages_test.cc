// What an owner applies, as the streams would say it, and what is refused.
#include "services/datapath-loader/shell/applied_messages.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace portolan::datapath {
namespace {

v1alpha1::DesiredService Web() {
  v1alpha1::DesiredService service;
  service.set_name("web");
  service.add_addresses("192.0.2.1");
  intent::v1alpha1::ServicePort* port = service.mutable_intent()->add_ports();
  port->set_name("http");
  port->set_port(80);
  intent::v1alpha1::Backend* backend = service.add_backends();
  backend->set_id("b");
  backend->set_address("10.0.0.1");
  return service;
}

v1alpha1::ApplyRequest Of(const std::vector<v1alpha1::DesiredService>& services) {
  v1alpha1::ApplyRequest request;
  request.set_owner("edge");
  request.set_generation(7);
  for (const v1alpha1::DesiredService& service : services) *request.add_services() = service;
  return request;
}

TEST(AppliedMessagesTest, AServiceIsWhatTheStreamsWouldSay) {
  const ReadRequest read = ReadApply(Of({Web()}));
  EXPECT_TRUE(read.problems.empty());
  const SubmittedService& web = read.submission.services.at("web");
  EXPECT_EQ(web.addresses, std::set<std::string>{"192.0.2.1"});
  OwnerState state{.generation = 7, .sent = {}, .in_force = {}};
  state.in_force["web"] = {.content = web.content, .since_unix_ms = {{"192.0.2.1", 5}}};
  const std::vector<AppliedService> all = MessagesOf("edge", state);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].intent.key(), "apply/edge/web");
  EXPECT_EQ(all[0].intent.generation(), 7u);
  EXPECT_EQ(all[0].intent.ports(0).port(), 80u);
  EXPECT_EQ(all[0].backends.key(), "apply/edge/web");
  EXPECT_EQ(all[0].backends.backends(0).address(), "10.0.0.1");
  EXPECT_EQ(all[0].allocation.key(), "apply/edge/web");
  EXPECT_EQ(all[0].allocation.grants(0).address(), "192.0.2.1");
  EXPECT_EQ(all[0].allocation.grants(0).since_unix_ms(), 5);
}

struct Refused {
  const char* why;
  void (*spoil)(v1alpha1::DesiredService&);
  const char* field;
};

class RefusalTest : public testing::TestWithParam<Refused> {};

TEST_P(RefusalTest, NamesTheFieldAndStopsNoOther) {
  v1alpha1::DesiredService bad = Web();
  bad.set_name("bad");
  GetParam().spoil(bad);
  const ReadRequest read = ReadApply(Of({bad, Web()}));
  EXPECT_FALSE(read.submission.services.at("web").refused);
  EXPECT_TRUE(read.submission.services.at(bad.name()).refused);
  ASSERT_EQ(read.problems.size(), 1u);
  EXPECT_TRUE(absl::StartsWith(read.problems.at(bad.name()), GetParam().field))
      << read.problems.at(bad.name());
}

INSTANTIATE_TEST_SUITE_P(
    Refusals, RefusalTest,
    testing::Values(
        Refused{"Name", [](auto& s) { s.set_name("a/b"); }, "name: "},
        Refused{"NoAddress", [](auto& s) { s.clear_addresses(); }, "addresses: "},
        Refused{"Address", [](auto& s) { s.add_addresses("192.0.2.300"); }, "addresses[1]: "},
        Refused{"Twice", [](auto& s) { s.add_addresses("192.0.2.1"); }, "addresses[1]: "},
        Refused{"NoPort", [](auto& s) { s.clear_intent(); }, "intent.ports: "},
        Refused{"Allowed", [](auto& s) { s.mutable_intent()->add_allowed_sources("x"); },
                "intent.allowed_sources[0]: "},
        Refused{"Denied", [](auto& s) { s.mutable_intent()->add_denied_sources("1.2.3.4/33"); },
                "intent.denied_sources[0]: "},
        Refused{"Backend", [](auto& s) { s.mutable_backends(0)->set_address("web.example"); },
                "backends[0].address: "},
        Refused{"BackendId", [](auto& s) { *s.add_backends() = s.backends(0); },
                "backends[1].id: "}),
    [](const auto& info) { return std::string(info.param.why); });

TEST(AppliedMessagesTest, WhatHasANameTwiceIsRefused) {
  const ReadRequest read = ReadApply(Of({Web(), Web()}));
  EXPECT_EQ(read.names, std::vector<std::string>{"web"});
  EXPECT_TRUE(read.submission.services.at("web").refused);
  EXPECT_TRUE(absl::StrContains(read.problems.at("web"), "twice"));
}

}  // namespace
}  // namespace portolan::datapath
