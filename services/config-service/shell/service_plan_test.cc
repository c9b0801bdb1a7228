// Edits that touch addresses in use: what config-service asks ipam-service and what it makes of the
// answer, over real sockets.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/config-service/shell/fake_ipam.h"
#include "services/config-service/shell/service.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using v1alpha1::EditResponse;

std::string Primary(const std::string& cidr) {
  return absl::StrCat(
      R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "primary",
          "blocks": {"block": [{"id": "a", "cidr": ")",
      cidr, R"("}]}}]}}})");
}

// Leaves the addresses alone.
std::string Service1(const std::string& name) {
  return absl::StrCat(
      R"({"portolan-service:services": {"service": [{"namespace": "default", "name": ")", name,
      R"(", "port": [{"name": "http", "port": 80}]}]}})");
}

class PlanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    file_ = directory_ + "/portolan.json";
    ipam_ = std::make_unique<FakeIpam>("unix:" + directory_ + "/i.sock");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Process> Run(bool with_file = false) {
    auto process = std::make_unique<Process>(directory_, with_file ? file_ : "", nullptr);
    EXPECT_TRUE(process->started.ok()) << process->started;
    return process;
  }
  void WriteFile(const std::string& text) { std::ofstream(file_) << text; }

  // The pool is there and default/web holds 20.0.10.5.
  std::unique_ptr<Process> RunWithAHolder() {
    auto process = Run();
    EXPECT_THAT(process->Merge(Primary("20.0.10.0/24")).warnings(), IsEmpty());
    ipam_->Hold("default/web", "20.0.10.5");
    return process;
  }
  static EditResponse Apply(Process& process, const std::string& data, bool allow_renumber) {
    return process.Edit(v1alpha1::EDIT_OPERATION_MERGE, data, false, allow_renumber);
  }
  static EditResponse Check(Process& process, const std::string& data,
                            bool allow_renumber = false) {
    return process.Edit(v1alpha1::EDIT_OPERATION_MERGE, data, true, allow_renumber);
  }
  static bool Allowed(World& world, bool allowed) {
    return world.Until([&] {
      const auto it = world.settings.find("settings");
      return it != world.settings.end() && it->second.allow_renumber() == allowed;
    });
  }
  // Asks until the answer has no warning; false after ten seconds.
  static bool UntilIpamIsBack(Process& process) {
    for (const absl::Time end = absl::Now() + absl::Seconds(10); absl::Now() < end;) {
      if (Check(process, Primary("20.0.0.0/16")).warnings_size() == 0) return true;
    }
    return false;
  }

  std::string directory_, file_;
  std::unique_ptr<FakeIpam> ipam_;
};

TEST_F(PlanTest, AnEditThatMovesAnAddressIsRefusedAndSaysWhichServiceLosesWhat) {
  const auto process = RunWithAHolder();
  for (const bool check : {true, false}) {
    const EditResponse response =
        process->Edit(v1alpha1::EDIT_OPERATION_MERGE, Primary("20.0.20.0/24"), check);
    ASSERT_EQ(response.problems_size(), 1);
    const v1alpha1::Problem& problem = response.problems(0);
    EXPECT_EQ(problem.rule(), "address-in-use");
    EXPECT_EQ(problem.path(), "/portolan-ipam:ipam/pools/pool[name='primary']");
    EXPECT_EQ(problem.source(), "edit:1");
    EXPECT_EQ(problem.message(),
              "service default/web would lose 20.0.10.5 of pool primary and get 20.0.20.0 of pool "
              "primary instead: no pool holds it");
    EXPECT_EQ(problem.remedy(), "commit with allow-renumber, or keep the block");
    ASSERT_EQ(response.moves_size(), 1);
    EXPECT_EQ(response.moves(0).service(), "default/web");
    EXPECT_EQ(response.moves(0).reason(), "not-in-pool");
    EXPECT_EQ(response.moves(0).new_address(), "20.0.20.0");
    EXPECT_EQ(response.revision(), 1u);
  }
  EXPECT_THAT(process->Get().data(), HasSubstr("20.0.10.0/24"));
  // Widening moves nobody.
  EXPECT_EQ(process->Merge(Primary("20.0.0.0/16")).revision(), 2u);
}

TEST_F(PlanTest, TheQuestionIsTheWholeProposalWithTheEditsPermission) {
  const auto process = RunWithAHolder();
  const std::string edit =
      R"({"portolan-ipam:ipam": {"settings": {"drain-time": 7},
          "pools": {"pool": [{"name": "second", "avoid-buggy-ips": true}]},
          "quotas": {"quota": [{"name": "few", "max-addresses": 2}]}}})";
  Check(*process, edit);
  Check(*process, edit, true);
  const auto asked = ipam_->asked();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[1].pools_size(), 2);
  EXPECT_EQ(asked[1].pools(0).blocks(0).last(), "20.0.10.255");
  EXPECT_TRUE(asked[1].pools(1).avoid_buggy_ips());
  EXPECT_EQ(asked[1].settings().drain_time_s(), 7u);
  EXPECT_EQ(asked[1].settings().address_picker(), "lowest-free");
  EXPECT_FALSE(asked[1].settings().allow_renumber());
  EXPECT_EQ(asked[1].quotas(0).max_addresses(), 2u);
  EXPECT_TRUE(asked[2].settings().allow_renumber());
}

TEST_F(PlanTest, WhoWouldGainAnAddressIsToldAndRefusesNothing) {
  const auto process = RunWithAHolder();
  ipam_->LetWait("default/waits");
  for (const bool check : {true, false}) {
    const EditResponse response =
        process->Edit(v1alpha1::EDIT_OPERATION_MERGE, Primary("20.0.10.0/23"), check);
    EXPECT_THAT(response.problems(), IsEmpty());
    EXPECT_THAT(response.moves(), IsEmpty());
    ASSERT_EQ(response.gains_size(), 1);
    EXPECT_EQ(response.gains(0).service(), "default/waits");
    EXPECT_EQ(response.gains(0).address(), "20.0.10.0");
    EXPECT_EQ(response.gains(0).pool(), "primary");
  }
  EXPECT_EQ(process->Get().revision(), 2u);
}

TEST_F(PlanTest, WithThePermissionItGoesOnAndTheRevisionSaysSoUntilTheNextCommit) {
  const auto process = RunWithAHolder();
  World world(*process);
  ASSERT_TRUE(Allowed(world, false));
  const EditResponse response = Apply(*process, Primary("20.0.20.0/24"), true);
  EXPECT_THAT(response.problems(), IsEmpty());
  EXPECT_EQ(response.revision(), 2u);
  ASSERT_EQ(response.moves_size(), 1);
  EXPECT_EQ(response.moves(0).address(), "20.0.10.5");
  ASSERT_TRUE(Allowed(world, true));
  // A refused edit and a check change nothing of it.
  EXPECT_EQ(process->Merge(Primary("20.0.30.1/24")).problems(0).rule(), "cidr");
  EXPECT_THAT(Check(*process, Service1("a")).problems(), IsEmpty());
  EXPECT_EQ(process->Merge(Service1("a")).revision(), 3u);
  EXPECT_TRUE(Allowed(world, false));
}

TEST_F(PlanTest, ARestartPublishesThePermissionOfTheRevisionThatRuns) {
  {
    const auto process = RunWithAHolder();
    Apply(*process, Primary("20.0.20.0/24"), true);
  }
  {
    const auto process = Run();
    World world(*process);
    EXPECT_TRUE(Allowed(world, true));
    ipam_->Hold("default/web", "20.0.20.0");
    EXPECT_EQ(process->Merge(Primary("20.0.20.0/23")).revision(), 3u);
  }
  const auto process = Run();
  World world(*process);
  EXPECT_TRUE(Allowed(world, false));
}

TEST_F(PlanTest, WithoutAnIpamServiceTheCommitGoesOnWithAWarningAndItComesBack) {
  const auto process = RunWithAHolder();
  ipam_->GoAway();
  const EditResponse away = process->Merge(Primary("20.0.20.0/24"));
  EXPECT_THAT(away.problems(), IsEmpty());
  EXPECT_EQ(away.revision(), 2u);
  EXPECT_THAT(away.warnings(), ElementsAre(HasSubstr(
                                   "addresses that the edit makes illegal stay until a commit with "
                                   "allow-renumber")));
  EXPECT_TRUE(away.moves_unknown());
  // Where addresses are not touched nobody is asked.
  const EditResponse untouched = process->Merge(Service1("a"));
  EXPECT_THAT(untouched.warnings(), IsEmpty());
  EXPECT_FALSE(untouched.moves_unknown());

  ipam_->ComeBack();
  ASSERT_TRUE(UntilIpamIsBack(*process));
  EXPECT_THAT(process->Merge(Primary("20.0.30.0/24")).problems(), SizeIs(1));

  ipam_->BeOld();
  const EditResponse old = Check(*process, Primary("20.0.30.0/24"));
  EXPECT_THAT(old.problems(), IsEmpty());
  EXPECT_THAT(old.warnings(), SizeIs(1));
}

TEST_F(PlanTest, APlanThatHangsIsCutOffAndHoldsUpNobodyElse) {
  const auto process = RunWithAHolder();
  ipam_->Hang(true);
  EditResponse hanging;
  std::thread client([&] { hanging = process->Merge(Primary("20.0.20.0/24")); });
  ASSERT_TRUE(ipam_->WaitForHanging(1));
  // While it hangs:
  EXPECT_EQ(process->Get().revision(), 1u);
  EXPECT_THAT(Check(*process, Service1("a")).problems(), IsEmpty());
  EditResponse check;
  std::thread checker([&] { check = Check(*process, Primary("20.0.30.0/24")); });
  EXPECT_TRUE(ipam_->WaitForHanging(2));  // a check does not wait for the commit before it
  client.join();
  checker.join();
  EXPECT_EQ(hanging.revision(), 2u);
  EXPECT_THAT(hanging.warnings(), ElementsAre(HasSubstr("it did not answer in 5s")));
  EXPECT_THAT(check.warnings(), ElementsAre(HasSubstr("it did not answer in 5s")));
  ipam_->Hang(false);
  EXPECT_EQ(process->Merge(Primary("20.0.30.0/24")).problems_size(), 1);
}

TEST_F(PlanTest, AProcessStopsWhileAPlanHangs) {
  auto process = RunWithAHolder();
  ipam_->Hang(true);
  v1alpha1::EditRequest request;
  request.set_operation(v1alpha1::EDIT_OPERATION_MERGE);
  request.set_data(Primary("20.0.20.0/24"));
  const auto stub = v1alpha1::Config::NewStub(process->channel);
  grpc::Status status;
  std::thread client([&] {
    grpc::ClientContext context;
    EditResponse response;
    status = stub->Apply(&context, request, &response);
  });
  ASSERT_TRUE(ipam_->WaitForHanging(1));
  process.reset();
  client.join();
  EXPECT_FALSE(status.ok());
  ipam_->Hang(false);
  EXPECT_THAT(Run()->Get().data(), HasSubstr("20.0.10.0/24"));
}

TEST_F(PlanTest, LoadingAFileAsksOnlyWhileItRuns) {
  WriteFile(Primary("20.0.10.0/24"));
  ipam_->Hold("default/web", "20.0.99.1");  // in no pool
  const auto process = Run(true);
  EXPECT_THAT(ipam_->asked(), IsEmpty());

  WriteFile(Primary("20.0.20.0/24"));
  process->Reload();
  World world(*process);
  const std::string key = "config//configuration/" + file_;
  ASSERT_TRUE(world.Until([&] {
    return world.statuses.count(key) > 0 &&
           world.statuses[key].state() == status::v1alpha1::STATE_REJECTED;
  }));
  EXPECT_EQ(world.statuses[key].reason(), "address-in-use");
  EXPECT_THAT(world.statuses[key].message(), HasSubstr("default/web"));
  EXPECT_THAT(ipam_->asked(), SizeIs(1));
  EXPECT_THAT(process->Get().data(), Not(HasSubstr("20.0.20.0")));
}

TEST_F(PlanTest, QuotasAndNamespacesReachReaders) {
  const auto process = Run();
  World world(*process);
  process->Merge(
      R"({"portolan-ipam:ipam": {"quotas": {"quota": [{"name": "few", "max-addresses": 2}]}},
          "portolan-service:services": {"namespace": [
              {"name": "prod", "label": [{"key": "tier", "value": "gold"}]}]}})");
  ASSERT_TRUE(world.Until(
      [&] { return world.quotas.count("few") > 0 && world.namespaces.count("prod") > 0; }));
  EXPECT_EQ(world.quotas["few"].max_addresses(), 2u);
  EXPECT_EQ(world.namespaces["prod"].labels().at("tier"), "gold");
  process->Delete("/portolan-ipam:ipam/quotas/quota[name='few']");
  process->Delete("/portolan-service:services/namespace[name='prod']");
  EXPECT_TRUE(world.Until([&] { return world.quotas.empty() && world.namespaces.empty(); }));
}

TEST_F(PlanTest, WarningOfAPoolThatGivesNothingIsInTheAnswer) {
  const auto process = Run();
  const EditResponse response = process->Merge(
      R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "p",
          "blocks": {"block": [{"id": "a", "cidr": "20.0.10.0/24"}]},
          "excluded": {"block": [{"id": "x", "cidr": "20.0.0.0/16"}]}}]}}})");
  EXPECT_EQ(response.revision(), 1u);
  EXPECT_THAT(response.warnings(), ElementsAre(HasSubstr("pool p has no address to give")));
}

}  // namespace
}  // namespace portolan::config
