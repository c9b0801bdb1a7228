// What other services say of an edit, over real sockets: their word counts for RPCs, for the file
// and for NETCONF's datastores alike.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "services/base/loop/loop.h"
#include "services/base/process/review_board.h"
#include "services/base/wire/server.h"
#include "services/config-service/shell/service.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

using review::v1alpha1::ReviewRequest;
using review::v1alpha1::ReviewResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kLan[] = R"({"portolan-l2:l2": {"policies": {"policy": [{"name": "lan"}]}}})";
constexpr char kPool[] = R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "p"}]}}})";

// The process that runs l2-announcer: says of every edit what it is told to say.
class FakeL2 {
 public:
  explicit FakeL2(std::string address) : address_(std::move(address)), loop_(NewLoop()) {
    seat_ = board_.Take("l2", loop_.get(), [this](const ReviewRequest& request) {
      absl::MutexLock lock(&mutex_);
      asked_.push_back(request);
      return answer_;
    });
    server_ = wire::Server::Start(address_, {&board_}).value();
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~FakeL2() {
    server_.reset();
    loop_->Post([this] {
      seat_.reset();
      loop_->Stop();
    });
    thread_.join();
  }
  void Say(review::v1alpha1::Severity severity) {
    absl::MutexLock lock(&mutex_);
    review::v1alpha1::Finding* finding = answer_.add_findings();
    finding->set_severity(severity);
    finding->set_path("/portolan-l2:l2/policies");
    finding->set_rule("no-lan");
    finding->set_message("there is no LAN");
    finding->set_remedy("lay a cable");
  }
  std::vector<ReviewRequest> asked() {
    absl::MutexLock lock(&mutex_);
    return asked_;
  }

 private:
  const std::string address_;
  process::ReviewBoard board_;
  const std::unique_ptr<Loop> loop_;
  std::unique_ptr<process::ReviewBoard::Seat> seat_;
  std::unique_ptr<wire::Server> server_;
  std::thread thread_;
  absl::Mutex mutex_;
  ReviewResponse answer_;
  std::vector<ReviewRequest> asked_;
};

class ReviewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    file_ = directory_ + "/portolan.json";
    WriteFile("{}");
    l2_ = std::make_unique<FakeL2>(Address());
    process_ = std::make_unique<Process>(
        directory_, file_, nullptr,
        std::vector<process::Peer>{{"l2-announcer", wire::Connect(Address())}});
    ASSERT_TRUE(process_->started.ok()) << process_->started;
  }
  void TearDown() override {
    process_.reset();
    l2_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::string Address() const { return absl::StrCat("unix:", directory_, "/l.sock"); }
  void WriteFile(const std::string& text) { std::ofstream(file_) << text; }

  std::string directory_, file_;
  std::unique_ptr<FakeL2> l2_;
  std::unique_ptr<Process> process_;
};

TEST_F(ReviewTest, OnlyWhoIsConcernedIsAskedAndGetsTheWholePart) {
  EXPECT_THAT(process_->Merge(kPool).problems(), IsEmpty());
  EXPECT_THAT(l2_->asked(), IsEmpty());
  EXPECT_THAT(process_->Merge(kLan).problems(), IsEmpty());
  ASSERT_THAT(l2_->asked(), SizeIs(1));
  EXPECT_EQ(l2_->asked()[0].component(), "l2");
  ASSERT_EQ(l2_->asked()[0].l2().policies_size(), 1);
  EXPECT_EQ(l2_->asked()[0].l2().policies(0).name(), "lan");
}

TEST_F(ReviewTest, AServiceThatRefusesMakesTheCommitFailWithItsReasonAndNothingChanged) {
  l2_->Say(review::v1alpha1::SEVERITY_REFUSE);
  const uint64_t before = process_->Get().revision();
  const v1alpha1::EditResponse response = process_->Merge(kLan);
  ASSERT_EQ(response.problems_size(), 1);
  EXPECT_EQ(response.problems(0).path(), "/portolan-l2:l2/policies");
  EXPECT_EQ(response.problems(0).rule(), "no-lan");
  EXPECT_EQ(response.problems(0).message(), "there is no LAN");
  EXPECT_EQ(response.problems(0).remedy(), "lay a cable");
  EXPECT_EQ(process_->Get().revision(), before);
  EXPECT_THAT(process_->Get().data(), Not(HasSubstr("lan")));
}

TEST_F(ReviewTest, TheSameHoldsForACandidateAndForTheFile) {
  l2_->Say(review::v1alpha1::SEVERITY_REFUSE);
  Datastores& datastores = process_->datastores();
  datastores.OpenSession(7, {.user = "ann"});
  EXPECT_THAT(
      datastores.Edit(7, Datastore::kCandidate, {.config = kLan, .format = yang::Format::kJson}),
      IsEmpty());
  const RpcErrors errors = datastores.Commit(7, {});
  ASSERT_THAT(errors, SizeIs(1));
  EXPECT_THAT(errors[0].message, HasSubstr("there is no LAN"));

  WriteFile(kLan);
  process_->Reload();
  World world(*process_);
  const std::string key = "config//configuration/" + file_;
  ASSERT_TRUE(world.Until([&] { return world.statuses[key].reason() == "no-lan"; }));
  EXPECT_EQ(world.statuses[key].state(), status::v1alpha1::STATE_REJECTED);
}

TEST_F(ReviewTest, WhatIsOnlySaidIsAWarningAndTheCommitIsMade) {
  l2_->Say(review::v1alpha1::SEVERITY_WARN);
  const v1alpha1::EditResponse response = process_->Merge(kLan);
  EXPECT_THAT(response.problems(), IsEmpty());
  EXPECT_THAT(response.warnings(), ElementsAre("there is no LAN; lay a cable"));
  EXPECT_THAT(process_->Get().data(), HasSubstr("lan"));
}

TEST_F(ReviewTest, AServiceThatIsAwayIsAWarningToo) {
  l2_.reset();
  const v1alpha1::EditResponse response = process_->Merge(kLan);
  EXPECT_THAT(response.problems(), IsEmpty());
  ASSERT_EQ(response.warnings_size(), 1);
  EXPECT_THAT(response.warnings(0), HasSubstr("l2-announcer of this node could not be asked"));
}

}  // namespace
}  // namespace portolan::config
