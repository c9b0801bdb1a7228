// A world of backends that a plugin of the test's own asks.
#include "services/datapath-loader/shell/health_checker.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

using plugin::HealthCheck;
using plugin::HealthTarget;

// What backends would say, by "ADDRESS:PORT".
struct World {
  std::map<std::string, absl::Status> answers;
  std::set<std::string> mute;
  std::map<std::string, int> asked;
  int under_way = 0;
};

class WorldCheck : public HealthCheck {
 public:
  explicit WorldCheck(World* world) : world_(world) {}
  std::unique_ptr<Attempt> Begin(Loop* loop, const HealthTarget& target, Done done) const override {
    const std::string name = absl::StrCat(target.address.ToString(), ":", target.port);
    world_->asked[name]++;
    auto attempt = std::make_unique<WorldAttempt>(world_);
    if (world_->mute.contains(name)) return attempt;
    const auto answer = world_->answers.find(name);
    absl::Status said = answer == world_->answers.end() ? absl::OkStatus() : answer->second;
    loop->Post([alive = std::weak_ptr<bool>(attempt->alive), said,
                done = std::make_shared<Done>(std::move(done))] {
      if (!alive.expired()) (*done)(said);
    });
    return attempt;
  }

 private:
  struct WorldAttempt : Attempt {
    explicit WorldAttempt(World* world) : world(world) { world->under_way++; }
    ~WorldAttempt() override { world->under_way--; }
    World* world;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  };
  World* world_;
};

class HealthCheckerTest : public testing::Test {
 protected:
  HealthCheckerTest() {
    EXPECT_TRUE(registry_
                    .Register(std::make_unique<plugin::FunctionFactory<HealthCheck>>(
                        "world",
                        [this](absl::string_view) -> absl::StatusOr<std::unique_ptr<HealthCheck>> {
                          return std::make_unique<WorldCheck>(&world_);
                        }))
                    .ok());
    checker_ = std::make_unique<HealthChecker>(
        loop_.get(), registry_, [this](const HealthChanged& change) { said_.push_back(change); });
  }
  // Runs the loop until it holds, at most ten seconds.
  void Until(const std::function<bool()>& holds) {
    bool late = false;
    const Loop::TimerId end = loop_->RunAfter(absl::Seconds(10), [&] {
      late = true;
      loop_->Stop();
    });
    const std::function<void()> look = [&] {
      if (holds()) return loop_->Stop();
      if (!late) loop_->RunAfter(absl::Milliseconds(1), [&look] { look(); });
    };
    loop_->Post([&look] { look(); });
    loop_->Run();
    loop_->Cancel(end);
    EXPECT_TRUE(holds());
  }
  void UntilSaid(size_t count) {
    Until([&] { return said_.size() >= count; });
    EXPECT_EQ(said_.size(), count);
  }
  static HealthPlan Plan() {
    return {.type = "world",
            .target = {},
            .interval = absl::Milliseconds(5),
            .timeout = absl::Milliseconds(20),
            .failures = 3,
            .successes = 2};
  }
  static BackendView View(const std::string& backend, const std::string& address,
                          BackendState state = BackendState::kActive) {
    return {.port = 80,
            .backend = backend,
            .address = *net::IpAddress::Parse(address),
            .target_port = 8080,
            .state = state};
  }

  World world_;
  plugin::Registry registry_;
  const std::unique_ptr<Loop> loop_ = NewLoop();
  std::vector<HealthChanged> said_;
  std::unique_ptr<HealthChecker> checker_;
};

TEST_F(HealthCheckerTest, SaysWhoFailsAfterSoManyFailuresAndWhoIsBackAfterSoManySuccesses) {
  world_.answers["10.0.0.1:8080"] = absl::UnavailableError("refused");
  ASSERT_TRUE(checker_->SetPlan("ns/web", Plan()).ok());
  checker_->SetBackends("ns/web", {View("one", "10.0.0.1"), View("two", "10.0.0.2")});
  UntilSaid(1);
  EXPECT_EQ(said_[0].key, "ns/web");
  EXPECT_EQ(said_[0].backend, "one");
  EXPECT_EQ(said_[0].failure, "refused");
  EXPECT_EQ(world_.asked["10.0.0.1:8080"], 3);
  world_.answers.clear();
  world_.asked.clear();
  UntilSaid(2);
  EXPECT_EQ(said_[1].backend, "one");
  EXPECT_EQ(said_[1].failure, std::nullopt);
  EXPECT_GE(world_.asked["10.0.0.1:8080"], 2);
}

TEST_F(HealthCheckerTest, OneFailureAmongSuccessesIsNoVerdict) {
  world_.answers["10.0.0.1:8080"] = absl::UnavailableError("refused");
  ASSERT_TRUE(checker_->SetPlan("ns/web", Plan()).ok());
  checker_->SetBackends("ns/web", {View("one", "10.0.0.1")});
  Until([&] { return world_.asked["10.0.0.1:8080"] == 2; });
  world_.answers.clear();
  Until([&] { return world_.asked["10.0.0.1:8080"] >= 3 && world_.under_way == 0; });
  world_.answers["10.0.0.1:8080"] = absl::UnavailableError("refused");
  const int before = world_.asked["10.0.0.1:8080"];
  UntilSaid(1);
  EXPECT_GE(world_.asked["10.0.0.1:8080"], before + 3) << "counts from the beginning again";
}

TEST_F(HealthCheckerTest, SilenceIsAFailureAfterTheTimeOut) {
  world_.mute.insert("10.0.0.1:8080");
  ASSERT_TRUE(checker_->SetPlan("ns/web", Plan()).ok());
  checker_->SetBackends("ns/web", {View("one", "10.0.0.1")});
  UntilSaid(1);
  EXPECT_EQ(said_[0].failure, "no answer within 20ms");
}

TEST_F(HealthCheckerTest, APortOfThePlanIsAskedInsteadOfTheBackends) {
  HealthPlan plan = Plan();
  plan.target.port = 9090;
  ASSERT_TRUE(checker_->SetPlan("ns/web", plan).ok());
  checker_->SetBackends("ns/web", {View("one", "2001:db8::1")});
  Until([&] { return world_.asked["2001:db8::1:9090"] > 0; });
  EXPECT_EQ(world_.asked.size(), 1u);
}

TEST_F(HealthCheckerTest, WhoIsDownOrCannotBeUsedIsNotAsked) {
  ASSERT_TRUE(checker_->SetPlan("ns/web", Plan()).ok());
  checker_->SetBackends("ns/web",
                        {View("one", "10.0.0.1"), View("two", "10.0.0.2", BackendState::kDown),
                         View("three", "10.0.0.3", BackendState::kUnused),
                         View("four", "10.0.0.4", BackendState::kFailing)});
  Until([&] { return world_.asked["10.0.0.1:8080"] > 1 && world_.asked["10.0.0.4:8080"] > 1; });
  EXPECT_EQ(world_.asked.size(), 2u);
}

TEST_F(HealthCheckerTest, WithoutAPlanNobodyIsAskedAndWhoFailedIsWell) {
  world_.answers["10.0.0.1:8080"] = absl::UnavailableError("refused");
  ASSERT_TRUE(checker_->SetPlan("ns/web", Plan()).ok());
  checker_->SetBackends("ns/web", {View("one", "10.0.0.1")});
  UntilSaid(1);
  ASSERT_TRUE(checker_->SetPlan("ns/web", Plan()).ok()) << "an equal one changes nothing";
  UntilSaid(1);
  ASSERT_TRUE(checker_->SetPlan("ns/web", std::nullopt).ok());
  EXPECT_EQ(world_.under_way, 0);
  const int before = world_.asked["10.0.0.1:8080"];
  UntilSaid(2);
  EXPECT_EQ(said_[1].failure, std::nullopt);
  EXPECT_EQ(world_.asked["10.0.0.1:8080"], before);
}

TEST_F(HealthCheckerTest, AnotherAddressIsAnotherBackend) {
  world_.answers["10.0.0.1:8080"] = absl::UnavailableError("refused");
  ASSERT_TRUE(checker_->SetPlan("ns/web", Plan()).ok());
  checker_->SetBackends("ns/web", {View("one", "10.0.0.1")});
  UntilSaid(1);
  checker_->SetBackends("ns/web", {View("one", "10.0.0.2")});
  UntilSaid(2);
  EXPECT_EQ(said_[1].failure, std::nullopt);
}

TEST_F(HealthCheckerTest, AnUnknownTypeIsAnErrorThatNamesTheKnownOnes) {
  HealthPlan plan = Plan();
  plan.type = "telepathy";
  const absl::Status status = checker_->SetPlan("ns/web", plan);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("world"), absl::string_view::npos) << status;
}

TEST_F(HealthCheckerTest, ItsEndLeavesNothingUnderWay) {
  world_.mute.insert("10.0.0.1:8080");
  ASSERT_TRUE(checker_->SetPlan("ns/web", Plan()).ok());
  checker_->SetBackends("ns/web", {View("one", "10.0.0.1")});
  Until([&] { return world_.under_way > 0; });
  checker_.reset();
  EXPECT_EQ(world_.under_way, 0);
}

}  // namespace
}  // namespace portolan::datapath
