// The whole service over real streams and a real SQLite file.
#include "services/ipam-service/shell/service.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "services/base/log/log.h"
#include "services/base/store/store.h"
#include "services/ipam-service/shell/testing_service.h"

namespace portolan::ipam {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A store whose first failures are chosen by the test.
class FullStore : public store::Store {
 public:
  explicit FullStore(std::shared_ptr<std::atomic<bool>> full) : full_(std::move(full)) {}
  absl::Status Commit(const store::Batch& batch) override {
    if (*full_) return absl::ResourceExhaustedError("database or disk is full");
    return memory_.Commit(batch);
  }
  absl::StatusOr<std::vector<store::Row>> List(absl::string_view prefix) const override {
    return memory_.List(prefix);
  }

 private:
  const std::shared_ptr<std::atomic<bool>> full_;
  store::MemoryStore memory_;
};

TEST_F(ServiceTest, AServiceWaitsForAPoolAndKeepsItsAddressOverARestart) {
  {
    Process process(dir_);
    ASSERT_TRUE(process.Start().ok());
    process.AddService("default/web");
    process.Sync();
    process.WaitForReason("default/web", "no-pool");
    process.Add(PoolOf("first", "20.0.10.0", "20.0.10.255", 24));
    process.WaitForAddresses("default/web", "20.0.10.1");
    process.WaitForReason("default/web", "assigned");
    process.AddService("default/late");
    process.WaitForAddresses("default/late", "20.0.10.2");
    process.RemoveService("default/web");
    process.WaitForAddresses("default/web", "");
  }
  Process again(dir_);
  ASSERT_TRUE(again.Start().ok());
  again.Add(PoolOf("first", "20.0.10.0", "20.0.10.255", 24));
  again.AddService("default/late");
  again.Sync();
  again.WaitForAddresses("default/late", "20.0.10.2");
  // The address of one that is gone is given again when its erasure is durable, which the end of
  // the first process may have come before.
  again.AddService("default/aaa", "", "20.0.10.1");
  again.WaitForAddresses("default/aaa", "20.0.10.1");
}

// The lines of a log, until they are read.
class LogPipe {
 public:
  LogPipe() { EXPECT_EQ(pipe2(fds_, O_CLOEXEC | O_NONBLOCK), 0); }
  ~LogPipe() {
    close(fds_[0]);
    close(fds_[1]);
  }
  Log log() const { return Log("ipam-test", Log::Level::kInfo, fds_[1]); }
  // "MESSAGE KEY" of each line.
  std::vector<std::string> Read() const {
    std::string text(1 << 16, '\0');
    text.resize(std::max<ssize_t>(read(fds_[0], text.data(), text.size()), 0));
    std::vector<std::string> lines;
    for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      const auto json = nlohmann::json::parse(line);
      lines.push_back(absl::StrCat(json["msg"].get<std::string>(), " ",
                                   json.value("key", json.value("ready", ""))));
    }
    return lines;
  }

 private:
  int fds_[2];
};

TEST_F(ServiceTest, ARestartLogsOneLineOfAllThatWorksAsBefore) {
  const auto pool = PoolOf("first", "20.0.10.0", "20.0.10.255", 24);
  {
    Process process(dir_);
    ASSERT_TRUE(process.Start().ok());
    process.Add(pool);
    process.AddService("default/a");
    process.AddService("default/b");
    process.Sync();
    process.WaitForAddresses("default/a", "20.0.10.1");
    process.WaitForAddresses("default/b", "20.0.10.2");
  }
  LogPipe lines;
  Process again(dir_, nullptr, lines.log());
  ASSERT_TRUE(again.Start().ok());
  again.Add(pool);
  again.AddService("default/a");
  again.AddService("default/b");
  again.AddService("default/red", "red");
  again.Add(PoolOf("second", "20.0.10.128", "20.0.10.129", 0));  // overlaps
  again.Sync();
  again.WaitForReason("default/red", "assigned");
  again.WaitForReason("default/a", "assigned");
  EXPECT_THAT(lines.Read(), ElementsAre("journal loaded ", "pool status second", "started 3",
                                        "service status default/red"))
      << "two Services and a pool are as before";
}

TEST_F(ServiceTest, ASecondProcessOnTheSameJournalIsRefused) {
  Process first(dir_);
  ASSERT_TRUE(first.Start().ok());
  Process second(dir_);
  const absl::Status status = second.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ipam.sqlite"));
}

TEST_F(ServiceTest, AFullDiskIsToldAndEndsByItself) {
  auto full = std::make_shared<std::atomic<bool>>(true);
  Process process(dir_, std::make_unique<FullStore>(full));
  ASSERT_TRUE(process.Start().ok());
  process.Add(PoolOf("first", "20.0.10.0", "20.0.10.255", 24));
  process.AddService("default/web");
  process.Sync();
  process.WaitForReason("default/web", "store-full");
  EXPECT_EQ(process.StatusOf("default/web").state(), status::v1alpha1::STATE_FAILED);
  *full = false;
  process.WaitForAddresses("default/web", "20.0.10.1");
}

TEST_F(ServiceTest, PlansAndExplainsWhenAsked) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  const config::v1alpha1::Pool pool = PoolOf("first", "20.0.10.0", "20.0.10.255", 24);
  v1alpha1::PlanRequest proposal;
  *proposal.add_pools() = PoolOf("second", "20.0.20.0", "20.0.20.255", 24);
  v1alpha1::PlanResponse plan;
  const auto ask_plan = [&](auto& stub, auto* context) {
    return stub.Plan(context, proposal, &plan);
  };
  EXPECT_EQ(process.Ask(ask_plan).error_code(), grpc::StatusCode::UNAVAILABLE);
  process.Add(pool);
  process.AddService("default/web");
  process.Sync();
  process.WaitForAddresses("default/web", "20.0.10.1");

  ASSERT_TRUE(process.Ask(ask_plan).ok());
  ASSERT_EQ(plan.moves_size(), 1);
  EXPECT_EQ(plan.moves(0).service(), "default/web");
  EXPECT_EQ(plan.moves(0).address(), "20.0.10.1");
  EXPECT_EQ(plan.moves(0).new_address(), "20.0.20.1");
  EXPECT_EQ(plan.moves(0).new_pool(), "second");
  EXPECT_EQ(plan.moves(0).reason(), "not-in-pool");
  *proposal.add_pools() = pool;
  ASSERT_TRUE(process.Ask(ask_plan).ok());
  EXPECT_EQ(plan.moves_size(), 0);
  EXPECT_EQ(process.AddressesOf("default/web"), "20.0.10.1");

  v1alpha1::ExplainRequest question;
  v1alpha1::ExplainResponse answer;
  const auto ask_why = [&](auto& stub, auto* context) {
    return stub.Explain(context, question, &answer);
  };
  question.set_service("default/web");
  ASSERT_TRUE(process.Ask(ask_why).ok());
  ASSERT_EQ(answer.slots_size(), 1);
  EXPECT_EQ(answer.slots(0).address(), "20.0.10.1");
  EXPECT_EQ(answer.slots(0).outcome(), "granted");
  EXPECT_EQ(answer.slots(0).considered(0).reason(), "serves");
  question.set_service("default/nobody");
  EXPECT_EQ(process.Ask(ask_why).error_code(), grpc::StatusCode::NOT_FOUND);

  process.StopService();
  EXPECT_EQ(process.Ask(ask_plan).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(process.Ask(ask_why).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServiceTest, APlanKnowsTheProposedQuotasAndWhoWaits) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  process.Add(PoolOf("one", "20.0.10.1", "20.0.10.1", 0));
  process.Sync();
  process.AddService("default/first");
  process.WaitForAddresses("default/first", "20.0.10.1");
  process.AddService("default/second");
  process.WaitForReason("default/second", "pool-exhausted");

  v1alpha1::PlanRequest proposal;
  *proposal.add_pools() = PoolOf("one", "20.0.10.1", "20.0.10.9", 0);
  v1alpha1::PlanResponse plan;
  const auto ask = [&](auto& stub, auto* context) { return stub.Plan(context, proposal, &plan); };
  ASSERT_TRUE(process.Ask(ask).ok());
  EXPECT_EQ(plan.moves_size(), 0);
  ASSERT_EQ(plan.gains_size(), 1);
  EXPECT_EQ(plan.gains(0).service(), "default/second");
  EXPECT_EQ(plan.gains(0).address(), "20.0.10.2");
  EXPECT_EQ(plan.gains(0).pool(), "one");

  // Who moves needs a new address, which the quota does not allow.
  *proposal.mutable_pools(0) = PoolOf("one", "20.0.20.1", "20.0.20.9", 0);
  proposal.add_quotas()->set_name("few");
  proposal.mutable_quotas(0)->set_max_addresses(0);
  ASSERT_TRUE(process.Ask(ask).ok());
  ASSERT_EQ(plan.moves_size(), 1);
  EXPECT_EQ(plan.moves(0).service(), "default/first");
  EXPECT_EQ(plan.moves(0).new_address(), "");
  EXPECT_EQ(plan.gains_size(), 0);
}

TEST_F(ServiceTest, ASelectorMismatchIsExplained) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  config::v1alpha1::Pool pool = PoolOf("colors", "20.0.20.0", "20.0.20.255", 24);
  auto* expression = pool.mutable_service_selector()->add_match_expressions();
  expression->set_key("color");
  expression->set_operator_(config::v1alpha1::SELECTOR_OPERATOR_IN);
  for (const char* color : {"yellow", "red", "blue"}) expression->add_values(color);
  process.Add(pool);
  process.AddService("default/green", "green");
  process.AddService("default/red", "red");
  process.Sync();
  process.WaitForAddresses("default/red", "20.0.20.1");
  process.WaitForReason("default/green", "selector-mismatch");
  EXPECT_THAT(process.StatusOf("default/green").findings(0).message(),
              HasSubstr("color In [yellow, red, blue]"));
}

}  // namespace
}  // namespace portolan::ipam
