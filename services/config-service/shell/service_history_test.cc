// History, rollback and commits on trial, over a real UNIX socket and over restarts.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/config-service/shell/service.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using v1alpha1::EditRequest;
using v1alpha1::EditResponse;
using v1alpha1::HistoryResponse;

std::string Pool1(const std::string& name, int priority) {
  return absl::StrCat(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": ")", name,
                      R"(", "priority": )", priority, "}]}}}");
}

EditRequest Merge(const std::string& data) {
  EditRequest request;
  request.set_operation(v1alpha1::EDIT_OPERATION_MERGE);
  request.set_data(data);
  return request;
}

EditRequest RollbackTo(uint64_t revision) {
  EditRequest request;
  request.set_operation(v1alpha1::EDIT_OPERATION_ROLLBACK);
  request.set_to_revision(revision);
  return request;
}

EditRequest OnTrial(EditRequest request, uint32_t seconds, const std::string& persist_id = "") {
  request.set_confirm_within_s(seconds);
  request.set_persist_id(persist_id);
  return request;
}

std::string RuleOf(const EditResponse& response) {
  return response.problems().empty() ? "" : response.problems(0).rule();
}

class HistoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Process> Run() {
    auto process = std::make_unique<Process>(directory_, "", nullptr);
    EXPECT_TRUE(process->started.ok()) << process->started;
    return process;
  }

  // The machine was started anew since the journal was written.
  void Reboot() {
    const std::string path = directory_ + "/running.json";
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    const std::string member = "\"boot-id\": \"";
    ASSERT_THAT(text.str(), HasSubstr(member));
    std::ofstream(path) << absl::StrReplaceAll(text.str(), {{member, member + "other"}});
  }

  std::string directory_;
};

TEST_F(HistoryTest, SecretsAreInNoDifferenceAndInWhatIsReadOnlyWhenAskedFor) {
  const auto bgp = [](const std::string& password) {
    return absl::StrCat(R"({"portolan-bgp:bgp": {"instances": {"instance": [{"name": "i",
        "local-as": 1, "peers": {"peer": [{"name": "p", "address": "10.0.0.1", "remote-as": 2,
        "password": ")",
                        password, R"("}]}}]}}})");
  };
  {
    const auto process = Run();
    process->Send(Merge(bgp("first-word")));
    const EditResponse response = process->Send(Merge(bgp("second-word")));
    ASSERT_EQ(response.differences_size(), 1);
    EXPECT_EQ(response.differences(0).before(), "***");
    EXPECT_EQ(response.differences(0).after(), "***");
  }
  const auto process = Run();
  EXPECT_THAT(process->History().DebugString(),
              AllOf(HasSubstr("/password"), Not(HasSubstr("-word"))));
  for (const std::string path : {"", "/portolan-bgp:bgp", "//*[local-name() = 'password']"}) {
    EXPECT_THAT(process->Get(path).data(), Not(HasSubstr("-word"))) << path;
    EXPECT_THAT(process->Get(path, /*secrets=*/true).data(), HasSubstr("second-word")) << path;
  }
}

TEST_F(HistoryTest, SaysWhoFromWhereWhenWhyAndWhat) {
  const absl::Time before = absl::Now();
  const auto process = Run();
  process->Send(Merge(Pool1("a", 1)));
  EditRequest request = Merge(Pool1("a", 2));
  request.mutable_author()->set_user("ann");
  request.mutable_author()->set_origin("portolan on\nrouter1");
  request.mutable_author()->set_comment("the new floor");
  process->Send(request);

  const HistoryResponse history = process->History();
  ASSERT_EQ(history.commits_size(), 2);
  const v1alpha1::Commit& commit = history.commits(0);
  EXPECT_EQ(commit.revision(), 2u);
  EXPECT_EQ(commit.author().user(), "ann");
  EXPECT_FALSE(commit.authenticated());
  EXPECT_EQ(commit.author().origin(), "portolan on router1");
  EXPECT_EQ(commit.author().comment(), "the new floor");
  EXPECT_EQ(commit.operation(), "merge");
  EXPECT_GE(commit.time_ms(), absl::ToUnixMillis(before));
  EXPECT_LE(commit.time_ms(), absl::ToUnixMillis(absl::Now()));
  ASSERT_EQ(commit.differences_size(), 1);
  EXPECT_EQ(commit.differences(0).kind(), v1alpha1::DIFFERENCE_KIND_CHANGED);
  EXPECT_EQ(commit.differences(0).path(), "/portolan-ipam:ipam/pools/pool[name='a']/priority");
  EXPECT_EQ(commit.differences(0).before(), "1");
  EXPECT_EQ(commit.differences(0).after(), "2");
}

TEST_F(HistoryTest, SurvivesARestart) {
  { Run()->Send(Merge(Pool1("a", 1))); }
  { Run()->Send(Merge(Pool1("b", 1))); }
  const HistoryResponse history = Run()->History();
  ASSERT_EQ(history.commits_size(), 2);
  EXPECT_EQ(history.commits(0).revision(), 2u);
  EXPECT_EQ(history.commits(1).revision(), 1u);
  EXPECT_GT(history.commits(1).time_ms(), 0);
}

TEST_F(HistoryTest, RefusedEditIsNotInIt) {
  const auto process = Run();
  EXPECT_EQ(RuleOf(process->Send(Merge("{\"portolan-ipam:ipam\": {\"colour\": 1}}"))),
            "unknown-node");
  EXPECT_EQ(process->History().commits_size(), 0);
}

TEST_F(HistoryTest, RevisionThatIsNotKeptIsNotFound) {
  const auto process = Run();
  v1alpha1::HistoryRequest request;
  request.set_revision(7);
  HistoryResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(process->stub->History(&context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(HistoryTest, CheckSaysWhatWouldChange) {
  const auto process = Run();
  process->Send(Merge(Pool1("a", 1)));
  const EditResponse response = process->Send(Merge(Pool1("a", 2)), true);
  ASSERT_EQ(response.differences_size(), 1);
  EXPECT_EQ(response.differences(0).after(), "2");
  EXPECT_EQ(process->Get().revision(), 1u);
}

TEST_F(HistoryTest, RollbackBringsBackWhatWasAsANewRevision) {
  const auto process = Run();
  process->Send(Merge(Pool1("a", 1)));
  process->Send(Merge(Pool1("b", 1)));
  const EditResponse response = process->Send(RollbackTo(1));
  EXPECT_EQ(RuleOf(response), "");
  EXPECT_EQ(response.revision(), 3u);
  EXPECT_THAT(process->Get().data(), Not(HasSubstr("\"b\"")));
  EXPECT_EQ(process->History().commits(0).operation(), "rollback to 1");
  World world(*process);
  EXPECT_TRUE(world.Until([&] { return world.pools.size() == 1; }));
  // And forth again.
  process->Send(RollbackTo(2));
  EXPECT_TRUE(world.Until([&] { return world.pools.size() == 2; }));
}

TEST_F(HistoryTest, RollbackToWhatIsNotKeptIsRefused) {
  const auto process = Run();
  process->Send(Merge(Pool1("a", 1)));
  const EditResponse response = process->Send(RollbackTo(9));
  EXPECT_EQ(RuleOf(response), "no-such-revision");
  EXPECT_THAT(response.problems(0).remedy(), HasSubstr("portolan config history"));
  EXPECT_EQ(process->Get().revision(), 1u);
}

// A client that forgot to say where to must not empty the configuration.
TEST_F(HistoryTest, RollbackToNowhereIsAWrongCall) {
  const auto process = Run();
  EditResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(process->stub->Apply(&context, RollbackTo(0), &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(HistoryTest, UnconfirmedCommitGoesBackByItself) {
  const auto process = Run();
  World world(*process);
  process->Send(Merge(Pool1("a", 1)));
  EXPECT_EQ(RuleOf(process->Send(OnTrial(Merge(Pool1("b", 1)), 1))), "");
  EXPECT_EQ(process->History().trial_revision(), 2u);
  EXPECT_EQ(process->History().trial_base(), 1u);
  ASSERT_TRUE(world.Until([&] { return world.pools.size() == 2; }));
  ASSERT_TRUE(world.Until([&] { return world.pools.size() == 1; }));
  const HistoryResponse history = process->History();
  EXPECT_EQ(history.trial_revision(), 0u);
  ASSERT_EQ(history.commits_size(), 3);
  EXPECT_EQ(history.commits(0).operation(), "back to 1");
  EXPECT_EQ(history.commits(0).author().user(), "portolan");
  EXPECT_EQ(history.commits(0).author().comment(), "not confirmed in time");
}

TEST_F(HistoryTest, ConfirmedCommitStaysAndOthersGoOn) {
  const auto process = Run();
  process->Send(OnTrial(Merge(Pool1("a", 1)), 600));
  EXPECT_EQ(RuleOf(process->Send(Merge(Pool1("b", 1)))), "confirm-pending");
  EXPECT_EQ(RuleOf(process->EndTrial(true)), "");
  EXPECT_EQ(process->History().trial_revision(), 0u);
  EXPECT_EQ(process->History().commits(0).operation(), "confirm");
  EXPECT_EQ(RuleOf(process->Send(Merge(Pool1("b", 1)))), "");
  EXPECT_EQ(RuleOf(process->EndTrial(true)), "nothing-to-confirm");
  EXPECT_EQ(RuleOf(process->EndTrial(false)), "nothing-to-confirm");
}

TEST_F(HistoryTest, CancelledCommitGoesBackAtOnce) {
  const auto process = Run();
  process->Send(Merge(Pool1("a", 1)));
  process->Send(OnTrial(Merge(Pool1("b", 1)), 600));
  EXPECT_EQ(RuleOf(process->EndTrial(false)), "");
  EXPECT_THAT(process->Get().data(), Not(HasSubstr("\"b\"")));
  EXPECT_EQ(process->History().commits(0).operation(), "cancel, back to 1");
}

// Before the first commit nothing was written, so there is no file to go back to.
TEST_F(HistoryTest, FirstCommitOfAllCanBeOnTrial) {
  const auto process = Run();
  process->Send(OnTrial(Merge(Pool1("a", 1)), 600));
  EXPECT_EQ(RuleOf(process->EndTrial(false)), "");
  EXPECT_EQ(process->Get().data(), "{}\n");
}

TEST_F(HistoryTest, PersistIdIsNeeded) {
  const auto process = Run();
  process->Send(OnTrial(Merge(Pool1("a", 1)), 600, "token"));
  EXPECT_EQ(RuleOf(process->EndTrial(true)), "persist-id");
  EXPECT_EQ(RuleOf(process->Send(OnTrial(Merge(Pool1("b", 1)), 600, "wrong"))), "persist-id");
  EXPECT_EQ(RuleOf(process->Send(OnTrial(Merge(Pool1("b", 1)), 600, "token"))), "");
  EXPECT_EQ(RuleOf(process->EndTrial(true, "token")), "");
}

TEST_F(HistoryTest, TrialGoesOnOverARestart) {
  { Run()->Send(OnTrial(Merge(Pool1("a", 1)), 600)); }
  const auto process = Run();
  const HistoryResponse history = process->History();
  EXPECT_EQ(history.trial_revision(), 1u);
  EXPECT_GT(history.trial_left_s(), 0u);
  EXPECT_LE(history.trial_left_s(), 600u);
  EXPECT_EQ(RuleOf(process->EndTrial(true)), "");
}

TEST_F(HistoryTest, TrialEndsThoughTheProcessWasAwayAtItsDeadline) {
  {
    const auto process = Run();
    process->Send(Merge(Pool1("a", 1)));
    process->Send(OnTrial(Merge(Pool1("b", 1)), 1));
  }
  const auto process = Run();
  World world(*process);
  EXPECT_TRUE(world.Until([&] { return world.pools.size() == 1; }));
}

// RFC 6241, section 8.4.1: a machine that starts anew goes back.
TEST_F(HistoryTest, TrialEndsWhenTheMachineStartsAnew) {
  {
    const auto process = Run();
    process->Send(Merge(Pool1("a", 1)));
    process->Send(OnTrial(Merge(Pool1("b", 1)), 600));
  }
  Reboot();
  const auto process = Run();
  World world(*process);
  ASSERT_TRUE(world.Until([&] { return world.pools.size() == 1; }));
  EXPECT_EQ(process->History().commits(0).author().comment(), "not confirmed before a restart");
}

}  // namespace
}  // namespace portolan::config
