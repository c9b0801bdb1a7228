// Several services on one address: frontends are owned one by one.
#include <gtest/gtest.h>

#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/core/engine_world.h"

namespace portolan::datapath {
namespace {

constexpr char kShared[] = "20.0.10.1";
const ServicePort kHttp{"http", kTcp, 80};
const ServicePort kHttps{"http", kTcp, 443};

class EngineSharingTest : public EngineTest {
 protected:
  // ns/a on port 80 and ns/b on port 443.
  void Share() {
    Begin();
    Declare("ns/a", {kHttp});
    Declare("ns/b", {kHttps});
    Back("ns/a", {"10.0.0.1"});
    Back("ns/b", {"10.0.0.2"});
    Allocate("ns/a", {kShared}, /*since_unix_ms=*/1);
    Allocate("ns/b", {kShared}, /*since_unix_ms=*/2);
  }
  // All that flows of port 443 depend on is as it was.
  void ExpectUntouched(const MapImage& before) {
    const MapImage after = kernel_.image();
    EXPECT_EQ(after.frontends.at(Key(kShared, 443)), before.frontends.at(Key(kShared, 443)));
    for (const auto& [id, backend] : before.backends) {
      if (backend.address != Ip("10.0.0.2")) continue;
      ASSERT_TRUE(after.backends.contains(id));
      EXPECT_EQ(after.backends.at(id), backend);
    }
    EXPECT_EQ(kernel_.Behind(Key(kShared, 443)), (std::set<std::string>{"10.0.0.2"}));
  }
};

TEST_F(EngineSharingTest, TwoServicesWithDifferentPortsAreBothCarried) {
  Share();
  EXPECT_EQ(kernel_.Behind(Key(kShared, 80)), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(kernel_.Behind(Key(kShared, 443)), (std::set<std::string>{"10.0.0.2"}));
  for (const std::string key : {"ns/a", "ns/b"}) {
    EXPECT_EQ(statuses_[key].state, State::kReady) << key;
    EXPECT_EQ(statuses_[key].addresses, Ips({kShared})) << key;
    EXPECT_TRUE(statuses_[key].findings.empty()) << key;
  }
  EXPECT_EQ(views_.at(Key(kShared, 80)).service, "ns/a");
  EXPECT_EQ(views_.at(Key(kShared, 443)).service, "ns/b");
}

TEST_F(EngineSharingTest, OneThatIsRemovedLeavesTheFlowsOfTheOther) {
  Share();
  const MapImage before = kernel_.image();
  const ServiceStatus status = statuses_["ns/b"];
  Send(AllocationRemoved{"ns/a"});
  Send(ServiceRemoved{"ns/a"});
  Send(BackendsRemoved{"ns/a"});
  ExpectUntouched(before);
  EXPECT_EQ(kernel_.Behind(Key(kShared, 80)), (std::set<std::string>{"10.0.0.1"})) << "lingers";
  FireTimer();
  ExpectUntouched(before);
  EXPECT_EQ(kernel_.image().frontends.size(), 1u);
  EXPECT_EQ(statuses_["ns/b"], status);
  EXPECT_FALSE(statuses_.contains("ns/a"));
  EXPECT_EQ(views_.size(), 1u);
}

TEST_F(EngineSharingTest, OneThatMovesOffLeavesTheFlowsOfTheOther) {
  Share();
  const MapImage before = kernel_.image();
  Allocate("ns/a", {kShared, "20.0.10.9"});  // the old one drains beside the new one
  EXPECT_EQ(statuses_["ns/a"].addresses, Ips({kShared, "20.0.10.9"}));
  EXPECT_EQ(kernel_.Behind(Key("20.0.10.9", 80)), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(kernel_.Behind(Key(kShared, 80)), (std::set<std::string>{"10.0.0.1"}));
  Allocate("ns/a", {"20.0.10.9"});
  EXPECT_EQ(statuses_["ns/a"].addresses, Ips({"20.0.10.9"}));
  FireTimer();
  EXPECT_FALSE(kernel_.image().frontends.contains(Key(kShared, 80)));
  ExpectUntouched(before);
}

TEST_F(EngineSharingTest, TheLastOneToGoTakesTheAddressAlong) {
  Share();
  for (const std::string key : {"ns/a", "ns/b"}) {
    Send(AllocationRemoved{key});
    Send(ServiceRemoved{key});
    FireTimer();
  }
  EXPECT_TRUE(kernel_.image().frontends.empty());
  EXPECT_TRUE(views_.empty());
  EXPECT_TRUE(statuses_.empty());
}

TEST_F(EngineSharingTest, OfTwoWithOnePortTheFirstIsCarriedAndTheOtherIsTold) {
  Begin();
  for (const std::string key : {"ns/a", "ns/b"}) Declare(key);
  Back("ns/a", {"10.0.0.1"});
  Back("ns/b", {"10.0.0.2"});
  Allocate("ns/b", {kShared}, /*since_unix_ms=*/1);
  Allocate("ns/a", {kShared}, /*since_unix_ms=*/2);
  EXPECT_EQ(kernel_.Behind(Key(kShared)), (std::set<std::string>{"10.0.0.2"}));
  EXPECT_EQ(statuses_["ns/b"].state, State::kReady);
  EXPECT_EQ(statuses_["ns/a"].state, State::kFailed);
  EXPECT_EQ(statuses_["ns/a"].reason, "frontend-taken");
  EXPECT_EQ(statuses_["ns/a"].message,
            "carries 0 of 1 addresses: frontend/20.0.10.1/tcp/80 is carried for service ns/b, "
            "which had it first");
  EXPECT_TRUE(statuses_["ns/a"].addresses.empty());
  Send(AllocationRemoved{"ns/b"});
  EXPECT_EQ(kernel_.Behind(Key(kShared)), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(statuses_["ns/a"].state, State::kReady);
}

TEST_F(EngineSharingTest, AfterARestartTheOlderOfTwoWithOnePortIsCarriedWhoeverSpeaksFirst) {
  for (const bool older_first : {true, false}) {
    kernel_ = FakeKernel(kLimits);
    Restart();
    for (const std::string key : {"ns/a", "ns/b"}) Declare(key);
    Back("ns/a", {"10.0.0.1"});
    Back("ns/b", {"10.0.0.2"});
    if (older_first) Allocate("ns/b", {kShared}, /*since_unix_ms=*/1);
    Allocate("ns/a", {kShared}, /*since_unix_ms=*/2);
    if (!older_first) Allocate("ns/b", {kShared}, /*since_unix_ms=*/1);
    Begin();
    EXPECT_EQ(kernel_.Behind(Key(kShared)), (std::set<std::string>{"10.0.0.2"}));
    EXPECT_EQ(statuses_["ns/a"].reason, "frontend-taken");
    EXPECT_EQ(statuses_["ns/b"].state, State::kReady);
  }
}

TEST_F(EngineSharingTest, OnePortThatIsTakenLeavesTheOthersOfTheService) {
  Begin();
  Declare("ns/a", {kHttps});
  Declare("ns/b", {kHttp, kHttps});
  Back("ns/a", {"10.0.0.1"});
  Back("ns/b", {"10.0.0.2"});
  Allocate("ns/a", {kShared});
  Allocate("ns/b", {kShared});
  EXPECT_EQ(kernel_.Behind(Key(kShared, 443)), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(kernel_.Behind(Key(kShared, 80)), (std::set<std::string>{"10.0.0.2"}));
  EXPECT_EQ(statuses_["ns/b"].state, State::kDegraded);
  EXPECT_EQ(statuses_["ns/b"].reason, "frontend-taken");
  EXPECT_EQ(statuses_["ns/b"].addresses, Ips({kShared}));
  ASSERT_EQ(statuses_["ns/b"].findings.size(), 1u);
  EXPECT_EQ(statuses_["ns/b"].findings[0].subject, "frontend/20.0.10.1/tcp/443");
}

// Its intent may be here before ipam-service has moved it off the address.
TEST_F(EngineSharingTest, AnOlderServiceThatAddsATakenPortDoesNotGetIt) {
  Share();
  const MapImage before = kernel_.image();
  Declare("ns/a", {kHttp, kHttps});
  ExpectUntouched(before);
  EXPECT_EQ(statuses_["ns/b"].state, State::kReady);
  EXPECT_EQ(statuses_["ns/a"].reason, "frontend-taken");
  Declare("ns/a", {kHttp});
  ExpectUntouched(before);
  EXPECT_EQ(statuses_["ns/a"].state, State::kReady);
}

TEST_F(EngineSharingTest, OfALostAddressOnlyTheFrontendThatAnotherServiceGetsGoesAtOnce) {
  Begin();
  Declare("ns/a", {kHttp, kHttps});
  Declare("ns/b", {kHttps});
  Back("ns/a", {"10.0.0.1"});
  Back("ns/b", {"10.0.0.2"});
  Allocate("ns/a", {kShared});
  Send(AllocationRemoved{"ns/a"});
  Allocate("ns/b", {kShared});
  EXPECT_EQ(kernel_.Behind(Key(kShared, 443)), (std::set<std::string>{"10.0.0.2"}));
  EXPECT_EQ(kernel_.Behind(Key(kShared, 80)), (std::set<std::string>{"10.0.0.1"}));
  const MapImage before = kernel_.image();
  FireTimer();
  EXPECT_FALSE(kernel_.image().frontends.contains(Key(kShared, 80)));
  ExpectUntouched(before);
}

TEST_F(EngineSharingTest, ARestartOverASharedAddressChangesNothingInTheKernel) {
  Share();
  const MapImage before = kernel_.image();
  Restart();
  Send(KernelReady{kLimits, before});
  Send(HostChanged{1, true, true});
  for (const std::string key : {"ns/b", "ns/a"}) {
    Allocate(key, {kShared});
    Declare(key, {key == "ns/a" ? kHttp : kHttps});
    Back(key, {key == "ns/a" ? "10.0.0.1" : "10.0.0.2"});
  }
  Send(InputsSynced{});
  EXPECT_EQ(kernel_.image(), before);
  EXPECT_EQ(views_.size(), 2u);
}

TEST_F(EngineSharingTest, TheReasonIsThatOfTheAddressThatIsMissing) {
  Begin();
  Declare("ns/a", {kHttps});
  Declare("ns/b", {kHttp, kHttps});
  Back("ns/a", {"10.0.0.1"});
  Back("ns/b", {"10.0.0.2", "2001:db8::2"});
  Allocate("ns/a", {kShared});
  Allocate("ns/b", {"2001:db8:20::1", kShared});
  Send(HostChanged{.attached_interfaces = 1, .ipv4_forwarding = true, .ipv6_forwarding = false});
  EXPECT_EQ(statuses_["ns/b"].addresses, Ips({kShared}));
  EXPECT_EQ(statuses_["ns/b"].reason, "forwarding-off");
  EXPECT_EQ(statuses_["ns/b"].findings.size(), 2u);
}

TEST_F(EngineTest, AnAppliedServiceTakesNoFrontendOfAStreamAndEachIsToldTheOther) {
  Begin();
  for (const char* key : {"home/web", "apply/edge/web"}) {
    Declare(key);
    Back(key, {"10.0.0.1"});
    Allocate(key, {"20.0.10.1"});
  }
  EXPECT_EQ(views_.at(Key("20.0.10.1")).service, "home/web");
  ASSERT_EQ(statuses_["apply/edge/web"].findings.size(), 1u);
  EXPECT_EQ(statuses_["apply/edge/web"].reason, "frontend-taken");
  EXPECT_EQ(statuses_["apply/edge/web"].findings[0].message,
            "is carried for service home/web, which had it first");
  Declare("apply/edge/dns", {{"dns", kUdp, 53}});
  Back("apply/edge/dns", {"10.0.0.2"});
  Allocate("apply/edge/dns", {"20.0.10.1"});
  Declare("home/dns", {{"dns", kUdp, 53}});
  Back("home/dns", {"10.0.0.3"});
  Allocate("home/dns", {"20.0.10.1"});
  EXPECT_EQ(views_.at(Key("20.0.10.1", 53, kUdp)).service, "apply/edge/dns");
  ASSERT_EQ(statuses_["home/dns"].findings.size(), 1u);
  EXPECT_EQ(
      statuses_["home/dns"].findings[0].message,
      "is carried for service dns of owner edge (portolan datapath apply), which had it first");
}

}  // namespace
}  // namespace portolan::datapath
