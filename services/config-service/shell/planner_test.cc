// Whom config-service asks when ipam-service runs in several places.
#include "services/config-service/shell/planner.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "services/base/wire/server.h"
#include "services/config-service/shell/fake_ipam.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;

class PlannerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-planner-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    first_ = std::make_unique<FakeIpam>(At("first"));
    second_ = std::make_unique<FakeIpam>(At("second"));
    first_->Hold("default/of-first", "20.0.10.5");
    second_->Hold("default/of-second", "20.0.10.6");
  }
  void TearDown() override {
    first_.reset();
    second_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string At(const std::string& name) const {
    return absl::StrCat("unix:", directory_, "/", name, ".sock");
  }
  // What there is to be moved when no pool is left, or why that is not known.
  std::string Ask(absl::Duration deadline = absl::Seconds(20)) const {
    Planner planner(wire::Channels({wire::Connect(At("first")), wire::Connect(At("second"))}),
                    deadline);
    std::string text;
    absl::Notification answered;
    planner.Ask({}, [&](const Planner::Answer& answer) {
      text = answer.ok() ? answer->moves.front().service : std::string(answer.status().message());
      answered.Notify();
    });
    answered.WaitForNotification();
    return text;
  }

  std::string directory_;
  std::unique_ptr<FakeIpam> first_;
  std::unique_ptr<FakeIpam> second_;
};

TEST_F(PlannerTest, TheFirstThatAnswersIsNotAskedTwiceAndTheOthersNotAtAll) {
  EXPECT_EQ(Ask(), "default/of-first");
  EXPECT_EQ(first_->asked().size(), 1u);
  EXPECT_TRUE(second_->asked().empty());
}

TEST_F(PlannerTest, AsksTheNextWhenOneIsAway) {
  first_->GoAway();
  EXPECT_EQ(Ask(), "default/of-second");
}

TEST_F(PlannerTest, SaysWhatTheLastOneSaidWhenNobodyAnswers) {
  first_->GoAway();
  second_->BeOld();
  EXPECT_THAT(Ask(), HasSubstr("older version"));
}

TEST_F(PlannerTest, TheDeadlineIsForAllTogether) {
  first_->Hang(true);
  EXPECT_THAT(Ask(absl::Milliseconds(200)), HasSubstr("did not answer in 200ms"));
  EXPECT_TRUE(second_->asked().empty()) << "who hangs may lead, and no time is left";
}

}  // namespace
}  // namespace portolan::config
