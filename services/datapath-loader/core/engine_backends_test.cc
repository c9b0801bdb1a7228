// Backends in their conditions: active, draining, down, and failing their health check.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/core/engine_world.h"

namespace portolan::datapath {
namespace {

constexpr char kVip[] = "20.0.10.1";

class EngineBackendsTest : public EngineTest {
 protected:
  void SetUp() override {
    Begin();
    Declare("ns/web");
    Allocate("ns/web", {kVip});
  }
  // 10.0.0.1, 10.0.0.2, ... of this node.
  void Put(const std::vector<Condition>& conditions, absl::Time deadline = absl::InfiniteFuture()) {
    BackendSet set{"ns/web", 1, {}};
    for (size_t i = 0; i < conditions.size(); i++) {
      const std::string address = absl::StrCat("10.0.0.", i + 1);
      set.backends.push_back({.id = address,
                              .address = Ip(address),
                              .ports = {{"http", 8080}},
                              .node = "a",
                              .local_source = std::nullopt,
                              .condition = conditions[i],
                              .drain_deadline = deadline});
    }
    Send(BackendsChanged{set});
  }
  void Fail(const std::string& backend) {
    Send(HealthChanged{"ns/web", backend, "connection refused"});
  }
  std::set<std::string> Behind() const { return kernel_.Behind(Key(kVip)); }
  // 0: it has none.
  uint32_t IdOf(const std::string& address) const {
    for (const auto& [id, entry] : kernel_.image().backends) {
      if (entry.address == Ip(address)) return id;
    }
    return 0;
  }
  BackendState StateOf(const std::string& backend) {
    for (const BackendView& view : backends_["ns/web"]) {
      if (view.backend == backend) return view.state;
    }
    ADD_FAILURE() << backend << " is not spoken of";
    return BackendState::kUnused;
  }
  const ServiceStatus& status() { return statuses_["ns/web"]; }
};

TEST_F(EngineBackendsTest, ADrainingOneKeepsItsFlowsUntilItsDeadlineAndIsGoneThen) {
  Put({Condition::kActive, Condition::kActive});
  const uint32_t id = IdOf("10.0.0.2");
  const uint32_t other = IdOf("10.0.0.1");
  Put({Condition::kActive, Condition::kDraining}, now_ + absl::Seconds(30));
  EXPECT_EQ(Behind(), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_TRUE(kernel_.image().backends.at(id).rests);
  EXPECT_EQ(StateOf("10.0.0.2"), BackendState::kDraining);
  EXPECT_EQ(timer_, now_ + absl::Seconds(30));
  FireTimer();
  EXPECT_EQ(IdOf("10.0.0.2"), 0u);
  EXPECT_EQ(IdOf("10.0.0.1"), other);
  EXPECT_EQ(StateOf("10.0.0.2"), BackendState::kDown);
}

TEST_F(EngineBackendsTest, ADrainingOneThatComesBackHasItsFlowsStill) {
  Put({Condition::kActive, Condition::kDraining});
  const uint32_t id = IdOf("10.0.0.2");
  Put({Condition::kActive, Condition::kActive});
  EXPECT_EQ(IdOf("10.0.0.2"), id);
  EXPECT_FALSE(kernel_.image().backends.at(id).rests);
}

TEST_F(EngineBackendsTest, DrainingOnesAreTheLastResort) {
  Put({Condition::kDraining, Condition::kDraining});
  EXPECT_EQ(Behind(), (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_FALSE(kernel_.image().backends.at(IdOf("10.0.0.1")).rests);
  EXPECT_EQ(status().state, State::kReady);
  Put({Condition::kDown, Condition::kDraining});
  EXPECT_EQ(Behind(), (std::set<std::string>{"10.0.0.2"}));
}

TEST_F(EngineBackendsTest, OneThatIsDownLosesItsFlowsAndComesBackInAnotherLife) {
  Put({Condition::kActive, Condition::kActive});
  const uint32_t id = IdOf("10.0.0.2");
  const BackendEntry other = kernel_.image().backends.at(IdOf("10.0.0.1"));
  Put({Condition::kActive, Condition::kDown});
  EXPECT_EQ(IdOf("10.0.0.2"), 0u);
  EXPECT_EQ(kernel_.image().backend_epochs[id], 1);
  EXPECT_EQ(kernel_.image().backends.at(IdOf("10.0.0.1")), other);
  EXPECT_EQ(status().state, State::kReady);
  Put({Condition::kActive, Condition::kActive});
  EXPECT_NE(IdOf("10.0.0.2"), id);
  EXPECT_EQ(Behind(), (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
}

TEST_F(EngineBackendsTest, OneThatFailsItsCheckIsDownUntilItSucceeds) {
  Put({Condition::kActive, Condition::kActive});
  Fail("10.0.0.2");
  EXPECT_EQ(Behind(), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_EQ(IdOf("10.0.0.2"), 0u);
  EXPECT_EQ(StateOf("10.0.0.2"), BackendState::kFailing);
  EXPECT_EQ(status().state, State::kDegraded);
  EXPECT_EQ(status().findings,
            (std::vector<Finding>{{"backend/10.0.0.2", "health-check-failed",
                                   "fails its health check: connection refused"}}));
  EXPECT_EQ(status().addresses, Ips({kVip}));
  Send(HealthChanged{"ns/web", "10.0.0.2", std::nullopt});
  EXPECT_EQ(Behind(), (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(status().state, State::kReady);
}

TEST_F(EngineBackendsTest, WhenAllFailAllAreUsedAndTheStatusSaysSo) {
  Put({Condition::kActive, Condition::kActive});
  Fail("10.0.0.1");
  Fail("10.0.0.2");
  EXPECT_EQ(Behind(), (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(status().state, State::kDegraded);
  EXPECT_NE(status().message.find("used because all fail"), std::string::npos);
}

TEST_F(EngineBackendsTest, ADrainingOneThatServesIsBetterThanAnActiveOneThatFails) {
  Put({Condition::kActive, Condition::kDraining});
  Fail("10.0.0.1");
  EXPECT_EQ(Behind(), (std::set<std::string>{"10.0.0.2"}));
}

TEST_F(EngineBackendsTest, ACheckThatCannotBeDoneIsAFindingAndTheServiceWorks) {
  Put({Condition::kActive});
  Service service{"ns/web", 1, {{"http", kTcp, 80}}};
  service.health_problem = "there is no health check \"x\"";
  Send(ServiceChanged{service});
  EXPECT_EQ(status().state, State::kDegraded);
  EXPECT_EQ(status().reason, "health-check");
  EXPECT_EQ(status().addresses, Ips({kVip}));
}

TEST_F(EngineBackendsTest, WhatFailedIsForgottenWithTheBackend) {
  Put({Condition::kActive, Condition::kActive});
  Fail("10.0.0.2");
  Put({Condition::kActive});
  Put({Condition::kActive, Condition::kActive});
  EXPECT_EQ(Behind(), (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
}

TEST_F(EngineBackendsTest, ABackendOfWeightZeroIsNoLastResort) {
  BackendSet set{"ns/web", 1, {}};
  set.backends.push_back({.id = "b",
                          .address = Ip("10.0.0.1"),
                          .ports = {{"http", 8080}},
                          .weight = 0,
                          .node = "a",
                          .local_source = std::nullopt});
  Send(BackendsChanged{set});
  EXPECT_TRUE(Behind().empty());
  EXPECT_EQ(StateOf("b"), BackendState::kResting);
  EXPECT_EQ(status().reason, "no-backends");
}

TEST_F(EngineBackendsTest, MoreBackendsThanTheMapHoldsAreThatServicesStatusAndOthersForward) {
  Declare("ns/small");
  Allocate("ns/small", {"20.0.10.2"});
  Put(std::vector<Condition>(150, Condition::kActive));
  EXPECT_EQ(status().state, State::kReady);
  BackendSet set{"ns/web", 1, {}};
  for (int i = 0; i < 300; i++) {
    const std::string address = absl::StrCat("10.1.", i / 250, ".", i % 250 + 1);
    set.backends.push_back({.id = address,
                            .address = Ip(address),
                            .ports = {{"http", 8080}},
                            .node = "a",
                            .local_source = std::nullopt});
  }
  Send(BackendsChanged{set});
  EXPECT_EQ(status().reason, "map-refused");
  EXPECT_NE(status().remedy.find("max-backends"), std::string::npos);
  EXPECT_EQ(Behind().size(), 150u) << "what was before stays in force";
  Back("ns/small", {"10.0.9.9"});
  EXPECT_EQ(kernel_.Behind(Key("20.0.10.2")), (std::set<std::string>{"10.0.9.9"}));
  EXPECT_EQ(statuses_["ns/small"].state, State::kReady);
}

}  // namespace
}  // namespace portolan::datapath
