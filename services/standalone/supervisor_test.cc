#include "services/standalone/supervisor.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/wire/server.h"

namespace portolan::standalone {
namespace {

using config::v1alpha1::PipelineStage;

// What happened to the stages, in order: "create a", "start a", "end a". Stages run on threads.
class Diary {
 public:
  void Write(const std::string& line) {
    absl::MutexLock lock(&mutex_);
    lines_.push_back(line);
  }
  std::vector<std::string> lines() {
    absl::MutexLock lock(&mutex_);
    return lines_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::string> lines_;
};

class FakeService : public process::Service {
 public:
  FakeService(std::string name, Diary* diary, absl::Status start)
      : name_(std::move(name)), diary_(diary), start_(std::move(start)) {
    diary_->Write(absl::StrCat("create ", name_));
  }
  ~FakeService() override { diary_->Write(absl::StrCat("end ", name_)); }
  absl::Status Start(const process::Upstreams&) override {
    diary_->Write(absl::StrCat("start ", name_));
    return start_;
  }

 private:
  const std::string name_;
  Diary* const diary_;
  const absl::Status start_;
};

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    server_ = *wire::Server::Start("", {hub_.service()});
    channel_ = server_->InProcessChannel();
  }
  void TearDown() override {
    supervisor_.reset();
    hub_.Shutdown();
  }

  void Configure(const std::string& stage, bool enabled) {
    PipelineStage entry;
    entry.set_name(stage);
    entry.set_enabled(enabled);
    configured_.Upsert(stage, entry);
  }

  void Supervise(std::set<std::string> failing = {}) {
    std::vector<Supervisor::Entry> entries;
    for (const std::string name : {"a", "b"}) {
      const absl::Status start =
          failing.contains(name) ? absl::UnavailableError("no root") : absl::OkStatus();
      entries.push_back({name, [this, name, start](const process::Context&) {
                           return std::make_unique<FakeService>(name, &diary_, start);
                         }});
    }
    const process::Context base{"node", "", "", loop_.get(), &hub_, &SystemClock(), &log_};
    supervisor_ = std::make_unique<Supervisor>(
        base, std::move(entries), process::Upstreams{channel_, channel_, channel_, channel_},
        [this](absl::Status status) { failure_ = std::move(status); });
  }

  // Runs the main loop until the diary says so; false after ten seconds.
  bool RunUntil(const std::vector<std::string>& lines) {
    return RunUntil([&] { return diary_.lines() == lines; });
  }
  bool RunUntil(const std::function<bool()>& wish) {
    bool fulfilled = false;
    const absl::Time deadline = SystemClock().Now() + absl::Seconds(10);
    std::function<void()> look = [&] {
      fulfilled = wish();
      if (fulfilled || SystemClock().Now() > deadline) return loop_->Stop();
      loop_->RunAfter(absl::Milliseconds(1), look);
    };
    loop_->Post(look);
    loop_->Run();
    return fulfilled;
  }

  Diary diary_;
  const Log log_{"test", Log::Level::kError};
  std::unique_ptr<Loop> loop_ = NewLoop();
  wire::Hub hub_;
  wire::Writer configured_ = hub_.NewWriter<PipelineStage>();
  std::unique_ptr<wire::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::optional<absl::Status> failure_;
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(SupervisorTest, CreatesAllStagesBeforeItStartsAnyAndOnlyAfterTheConfigurationIsKnown) {
  Supervise();
  Configure("a", true);
  EXPECT_TRUE(diary_.lines().empty());
  configured_.MarkSynced();
  EXPECT_TRUE(RunUntil({"create a", "create b", "start a", "start b"}));
}

TEST_F(SupervisorTest, StopsInTheReverseOrder) {
  configured_.MarkSynced();
  Supervise();
  ASSERT_TRUE(RunUntil({"create a", "create b", "start a", "start b"}));
  supervisor_.reset();
  EXPECT_EQ(diary_.lines().back(), "end a");
}

TEST_F(SupervisorTest, ADisabledStageIsNotThereAndFollowsItsEntryLater) {
  Configure("a", false);
  configured_.MarkSynced();
  Supervise();
  ASSERT_TRUE(RunUntil({"create b", "start b"}));
  Configure("a", true);
  ASSERT_TRUE(RunUntil({"create b", "start b", "create a", "start a"}));
  Configure("b", false);
  EXPECT_TRUE(RunUntil({"create b", "start b", "create a", "start a", "end b"}));
}

TEST_F(SupervisorTest, AnEntryThatGoesAwayMeansEnabledAgain) {
  Configure("a", false);
  configured_.MarkSynced();
  Supervise();
  ASSERT_TRUE(RunUntil({"create b", "start b"}));
  configured_.Remove("a");
  EXPECT_TRUE(RunUntil({"create b", "start b", "create a", "start a"}));
}

TEST_F(SupervisorTest, AStageThatDoesNotStartIsReportedWithItsNameAndReason) {
  configured_.MarkSynced();
  Supervise({"b"});
  ASSERT_TRUE(RunUntil([&] { return failure_.has_value(); }));
  EXPECT_EQ(failure_->message(), "b: no root");
}

TEST_F(SupervisorTest, AStageThatIsEnabledLaterAndFailsLeavesTheOthersAlone) {
  Configure("b", false);
  configured_.MarkSynced();
  Supervise({"b"});
  ASSERT_TRUE(RunUntil({"create a", "start a"}));
  Configure("b", true);
  EXPECT_TRUE(RunUntil({"create a", "start a", "create b", "start b", "end b"}));
  EXPECT_FALSE(failure_.has_value());
}

}  // namespace
}  // namespace portolan::standalone
