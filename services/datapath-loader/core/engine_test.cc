#include "services/datapath-loader/core/engine.h"

#include <gtest/gtest.h>

#include "services/datapath-loader/core/engine_world.h"

namespace portolan::datapath {
namespace {

TEST_F(EngineTest, AServiceWithAnAddressAndBackendsIsCarried) {
  Begin();
  Declare("ns/web");
  EXPECT_EQ(statuses_["ns/web"].reason, "no-address");
  Back("ns/web", {"10.0.0.1", "10.0.0.2"});
  Allocate("ns/web", {"20.0.10.1"});
  EXPECT_EQ(statuses_["ns/web"].state, State::kReady);
  EXPECT_EQ(statuses_["ns/web"].addresses, Ips({"20.0.10.1"}));
  EXPECT_EQ(statuses_["ns/web"].message, "carries 20.0.10.1 to 2 backends");
  EXPECT_EQ(kernel_.Behind(Key("20.0.10.1")), (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(views_.at(Key("20.0.10.1")).backends, 2u);
  ASSERT_EQ(backends_["ns/web"].size(), 2u);
  EXPECT_EQ(backends_["ns/web"][0].backend, "10.0.0.1");
  EXPECT_EQ(kernel_.image().backends.at(backends_["ns/web"][0].id).address, Ip("10.0.0.1"));
  EXPECT_EQ(views_.at(Key("20.0.10.1")).service, "ns/web");
}

TEST_F(EngineTest, NothingIsWrittenAndNothingSaidBeforeAllInputsAreSynced) {
  Send(KernelReady{kLimits, kernel_.image()});
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1"});
  Allocate("ns/web", {"20.0.10.1"});
  EXPECT_EQ(kernel_.operations, 0u);
  EXPECT_TRUE(statuses_.empty());
}

TEST_F(EngineTest, EachFamilyGetsItsOwnBackends) {
  Begin();
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1", "2001:db8::1"});
  Allocate("ns/web", {"20.0.10.1", "2001:db8:20::1"});
  EXPECT_EQ(kernel_.Behind(Key("20.0.10.1")), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(kernel_.Behind(Key("2001:db8:20::1")), (std::set<std::string>{"2001:db8::1"}));
  EXPECT_EQ(statuses_["ns/web"].state, State::kReady);
}

TEST_F(EngineTest, OneAddressServesSeveralPortsAndProtocols) {
  Begin();
  Declare("ns/dns", {{"http", kTcp, 53}, {"other", kUdp, 53}});
  BackendSet set{"ns/dns",
                 1,
                 {{.id = "b",
                   .address = Ip("10.0.0.1"),
                   .ports = {{"http", 1053}, {"other", 2053}},
                   .weight = 1,
                   .node = "a",
                   .local_source = std::nullopt}}};
  Send(BackendsChanged{set});
  Allocate("ns/dns", {"20.0.10.1"});
  EXPECT_EQ(kernel_.image().frontends.size(), 2u);
  EXPECT_EQ(kernel_.Behind(Key("20.0.10.1", 53, kUdp)), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(engine_->InUse().frontends, 2u);
  EXPECT_EQ(engine_->InUse().backends, 2u);
}

TEST_F(EngineTest, ABackendOfAnotherNodeIsReachedFromThisNodesAddress) {
  Begin();
  Send(NodeChanged{{"a", Ip("172.18.0.1"), std::nullopt}});
  Send(NodeChanged{{"b", Ip("172.18.0.2"), std::nullopt}});
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1"}, "b");
  Allocate("ns/web", {"20.0.10.1"});
  ASSERT_EQ(kernel_.image().backends.size(), 1u);
  EXPECT_EQ(kernel_.image().backends.begin()->second.source, Ip("172.18.0.1"));
  EXPECT_EQ(kernel_.image().backends.begin()->second.delivery, Delivery::kFullNat);
  Back("ns/web", {"10.0.0.1"}, "a");
  ASSERT_EQ(kernel_.image().backends.size(), 1u);
  EXPECT_EQ(kernel_.image().backends.begin()->second.delivery, Delivery::kDestinationNat);
}

// Where it answers to is not known: only with this node's own address do replies surely come back.
TEST_F(EngineTest, ABackendWithoutANodeIsReachedFromThisNodesAddressToo) {
  Begin();
  Send(NodeChanged{{.name = "a", .ipv4 = Ip("172.18.0.2"), .ipv6 = std::nullopt}});
  Declare("ns/web");
  Back("ns/web", {"192.168.1.10"}, "");
  Allocate("ns/web", {"20.0.10.1"});
  ASSERT_EQ(kernel_.image().backends.size(), 1u);
  EXPECT_EQ(kernel_.image().backends.begin()->second.source, Ip("172.18.0.2"));
}

TEST_F(EngineTest, WithoutAnAddressOfItsOwnANodeUsesWhatTheShellFound) {
  Begin();
  Declare("ns/web");
  BackendSet set{"ns/web",
                 1,
                 {{.id = "b",
                   .address = Ip("10.0.0.1"),
                   .ports = {{"http", 8080}},
                   .weight = 1,
                   .node = "b",
                   .local_source = Ip("172.18.0.9")}}};
  Send(BackendsChanged{set});
  Allocate("ns/web", {"20.0.10.1"});
  EXPECT_EQ(kernel_.image().backends.begin()->second.source, Ip("172.18.0.9"));
  set.backends[0].local_source.reset();
  Send(BackendsChanged{set});
  EXPECT_EQ(statuses_["ns/web"].reason, "no-backends");
  ASSERT_EQ(statuses_["ns/web"].findings.size(), 1u);
  EXPECT_EQ(statuses_["ns/web"].findings[0].reason, "no-source-address");
}

TEST_F(EngineTest, AServiceWithoutBackendsIsDegradedAndStillSaysItsAddress) {
  Begin();
  Declare("ns/web");
  Back("ns/web", {});
  Allocate("ns/web", {"20.0.10.1"});
  EXPECT_EQ(statuses_["ns/web"].state, State::kDegraded);
  EXPECT_EQ(statuses_["ns/web"].reason, "no-backends");
  EXPECT_EQ(statuses_["ns/web"].addresses, Ips({"20.0.10.1"}));
}

TEST_F(EngineTest, AnAddressIsCarriedForAWhileAfterItsAllocationWent) {
  Begin();
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1"});
  Allocate("ns/web", {"20.0.10.1"});
  Send(AllocationRemoved{"ns/web"});
  Send(ServiceRemoved{"ns/web"});
  Send(BackendsRemoved{"ns/web"});
  EXPECT_EQ(kernel_.Behind(Key("20.0.10.1")), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_FALSE(statuses_.contains("ns/web"));
  EXPECT_EQ(timer_, now_ + absl::Seconds(1));
  FireTimer();
  EXPECT_TRUE(kernel_.image().frontends.empty());
  EXPECT_TRUE(kernel_.image().backends.empty());
  EXPECT_TRUE(views_.empty());
  EXPECT_TRUE(backends_.empty());
}

TEST_F(EngineTest, AnAddressThatIsGivenOnGoesAtOnce) {
  Begin();
  for (const std::string key : {"ns/a", "ns/b"}) Declare(key);
  Back("ns/a", {"10.0.0.1"});
  Back("ns/b", {"10.0.0.2"});
  Allocate("ns/a", {"20.0.10.1"});
  Send(AllocationRemoved{"ns/a"});
  Allocate("ns/b", {"20.0.10.1"});
  EXPECT_EQ(kernel_.Behind(Key("20.0.10.1")), (std::set<std::string>{"10.0.0.2"}));
  EXPECT_EQ(statuses_["ns/b"].state, State::kReady);
  EXPECT_EQ(views_.at(Key("20.0.10.1")).service, "ns/b");
  now_ += absl::Seconds(2);
  Send(TimerFired{});
  EXPECT_EQ(kernel_.Behind(Key("20.0.10.1")), (std::set<std::string>{"10.0.0.2"}));
}

TEST_F(EngineTest, ARestartChangesNothingInTheKernel) {
  Begin();
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1", "10.0.0.2"});
  Allocate("ns/web", {"20.0.10.1"});
  const MapImage before = kernel_.image();
  Restart();
  Send(KernelReady{kLimits, before});
  Send(HostChanged{1, true, true});
  Allocate("ns/web", {"20.0.10.1"});
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1", "10.0.0.2"});
  Send(InputsSynced{});
  EXPECT_EQ(kernel_.image(), before);
  EXPECT_EQ(statuses_["ns/web"].state, State::kReady);
  EXPECT_EQ(views_.size(), 1u);
}

TEST_F(EngineTest, WhatNobodyWantsAfterARestartGoesOnlyOnceAllIsSynced) {
  Begin();
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1"});
  Allocate("ns/web", {"20.0.10.1"});
  Restart();
  Send(KernelReady{kLimits, kernel_.image()});
  EXPECT_EQ(kernel_.image().frontends.size(), 1u);
  Send(InputsSynced{});
  EXPECT_TRUE(kernel_.image().frontends.empty());
  EXPECT_TRUE(kernel_.image().backends.empty());
}

TEST_F(EngineTest, AFullMapIsThatServicesStatusWithMapAndRemedy) {
  kernel_.refuse = [](const MapOp& op) -> absl::Status {
    if (op.service != "ns/a" || !std::holds_alternative<WriteFrontend>(op.change)) return {};
    return absl::ResourceExhaustedError("map frontends: Argument list too long");
  };
  Begin();
  for (const std::string key : {"ns/a", "ns/b"}) {
    Declare(key);
    Back(key, {"10.0.0.1"});
  }
  Allocate("ns/a", {"20.0.10.1"});
  Allocate("ns/b", {"20.0.10.2"});
  EXPECT_EQ(statuses_["ns/a"].state, State::kFailed);
  EXPECT_EQ(statuses_["ns/a"].reason, "map-refused");
  EXPECT_EQ(statuses_["ns/a"].message, "map frontends: Argument list too long");
  EXPECT_NE(statuses_["ns/a"].remedy.find("max-frontends"), std::string::npos);
  EXPECT_TRUE(statuses_["ns/a"].addresses.empty());
  EXPECT_EQ(statuses_["ns/b"].state, State::kReady);
  kernel_.refuse = nullptr;
  FireTimer();
  EXPECT_EQ(statuses_["ns/a"].state, State::kReady);
}

TEST_F(EngineTest, WithoutAnAttachedInterfaceNoAddressIsSaid) {
  Begin();
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1"});
  Allocate("ns/web", {"20.0.10.1"});
  Send(HostChanged{0, true, true});
  EXPECT_EQ(statuses_["ns/web"].state, State::kPending);
  EXPECT_EQ(statuses_["ns/web"].reason, "no-interface");
  EXPECT_TRUE(statuses_["ns/web"].addresses.empty());
  Send(HostChanged{1, true, true});
  EXPECT_EQ(statuses_["ns/web"].state, State::kReady);
}

TEST_F(EngineTest, AFamilyThatIsNotForwardedIsNotSaid) {
  Begin();
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1", "2001:db8::1"});
  Allocate("ns/web", {"20.0.10.1", "2001:db8:20::1"});
  Send(HostChanged{1, true, false});
  EXPECT_EQ(statuses_["ns/web"].state, State::kDegraded);
  EXPECT_EQ(statuses_["ns/web"].reason, "forwarding-off");
  EXPECT_EQ(statuses_["ns/web"].addresses, Ips({"20.0.10.1"}));
  EXPECT_NE(statuses_["ns/web"].message.find("net.ipv6.conf.all.forwarding"), std::string::npos);
}

TEST_F(EngineTest, WithoutAKernelEveryServiceSaysWhy) {
  Declare("ns/web");
  Send(KernelUnavailable{"no-privilege", "the datapath needs CAP_BPF", "run as root"});
  EXPECT_EQ(statuses_["ns/web"].state, State::kFailed);
  EXPECT_EQ(statuses_["ns/web"].reason, "no-privilege");
  EXPECT_EQ(statuses_["ns/web"].remedy, "run as root");
  Declare("ns/other");
  EXPECT_EQ(statuses_["ns/other"].reason, "no-privilege");
}

TEST_F(EngineTest, PortsThatCannotBeCarriedAreNamedAndTheOthersWork) {
  Begin();
  Declare("ns/web", {{"http", kTcp, 80}, {"ip", 4, 5000}, {"zero", kTcp, 0}});
  Back("ns/web", {"10.0.0.1"});
  Allocate("ns/web", {"20.0.10.1"});
  EXPECT_EQ(statuses_["ns/web"].state, State::kDegraded);
  EXPECT_EQ(statuses_["ns/web"].reason, "port-not-carried");
  EXPECT_EQ(statuses_["ns/web"].findings.size(), 2u);
  EXPECT_EQ(statuses_["ns/web"].addresses, Ips({"20.0.10.1"}));
}

TEST_F(EngineTest, TheSameWordsAreSaidOnce) {
  Begin();
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1"});
  Allocate("ns/web", {"20.0.10.1"});
  const int said = said_;
  Allocate("ns/web", {"20.0.10.1"});
  Back("ns/web", {"10.0.0.1"});
  Send(TimerFired{});
  EXPECT_EQ(said_, said);
}

TEST_F(EngineTest, TwoBackendsOfOneAddressAndPortAreOne) {
  Begin();
  Declare("ns/web");
  Back("ns/web", {"10.0.0.1", "10.0.0.1"});
  Allocate("ns/web", {"20.0.10.1"});
  EXPECT_EQ(kernel_.image().backends.size(), 1u);
  EXPECT_EQ(statuses_["ns/web"].state, State::kReady);
}

TEST_F(EngineTest, AllowedSourcesShutOutTheRestOfBothFamilies) {
  Begin();
  Back("ns/web", {"10.0.0.1", "2001:db8::1"});
  Allocate("ns/web", {"20.0.10.1", "2001:db8:20::1"});
  Service service{.key = "ns/web", .generation = 1, .ports = {{"http", kTcp, 80}}, .admission = {}};
  const net::Prefix office = *net::Prefix::Parse("192.0.2.0/24");
  const net::Prefix guests = *net::Prefix::Parse("192.0.2.128/25");
  const net::Prefix any4 = *net::Prefix::Parse("0.0.0.0/0");
  const net::Prefix any6 = *net::Prefix::Parse("::/0");
  const auto rules = [&](const std::string& address) {
    const MapImage image = kernel_.image();
    const auto found = image.sources.find(image.frontends.at(Key(address)).group);
    return found == image.sources.end() ? SourceRules() : found->second;
  };
  service.admission = {.allowed = {office}, .denied = {guests}, .only_allowed = true};
  Send(ServiceChanged{service});
  EXPECT_EQ(rules("20.0.10.1"), (SourceRules{{any4, false}, {office, true}, {guests, false}}));
  EXPECT_EQ(rules("2001:db8:20::1"), (SourceRules{{any6, false}}));
  service.admission = {.allowed = {}, .denied = {guests}};
  Send(ServiceChanged{service});
  EXPECT_EQ(rules("20.0.10.1"), (SourceRules{{any4, true}, {guests, false}}));
  EXPECT_EQ(rules("2001:db8:20::1"), (SourceRules{{any6, true}}));
  service.admission = {};
  Send(ServiceChanged{service});
  EXPECT_EQ(rules("20.0.10.1"), SourceRules());
  EXPECT_FALSE(kernel_.image().frontends.at(Key("20.0.10.1")).restricted);
}

}  // namespace
}  // namespace portolan::datapath
