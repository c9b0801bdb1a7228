// The datastores as a NETCONF server would use them, on a config-service that runs: operations of
// RFC 6241 and their errors, beside edits over gRPC.
#include "services/config-service/shell/datastores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr Datastore kRunning = Datastore::kRunning;
constexpr Datastore kCandidate = Datastore::kCandidate;
constexpr Datastore kStartup = Datastore::kStartup;

// XML; `attributes` of the pool.
std::string Pool(const std::string& name, const std::string& rest = "",
                 const std::string& attributes = "") {
  return absl::StrCat(
      "<ipam xmlns='urn:portolan:yang:portolan-ipam' "
      "xmlns:nc='urn:ietf:params:xml:ns:netconf:base:1.0'><pools><pool ",
      attributes, "><name>", name, "</name>", rest, "</pool></pools></ipam>");
}

std::string TagOf(const RpcErrors& errors) { return errors.empty() ? "" : errors.front().tag; }

constexpr char kNobodyReads[] = R"({"ietf-netconf-acm:nacm": {"exec-default": "deny"}})";

class DatastoresTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    Start();
  }
  void TearDown() override {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Start() {
    process_ = std::make_unique<Process>(directory_, "", nullptr);
    ASSERT_TRUE(process_->started.ok()) << process_->started;
    data_ = &process_->datastores();
    data_->OpenSession(1, {.user = "ann", .authenticated = true, .origin = "netconf"});
    data_->OpenSession(2, {.user = "bob", .authenticated = true, .origin = "netconf"});
  }

  RpcErrors Edit(uint64_t session, const std::string& config,
                 Datastores::TestOption test = Datastores::TestOption::kTestThenSet) {
    return data_->Edit(session, kCandidate, {.config = config, .test_option = test});
  }
  std::string Text(Datastore datastore) {
    return data_->Read(datastore)->Print(yang::Format::kJson, yang::Defaults::kExplicit);
  }
  bool Has(Datastore datastore, const std::string& pool) {
    return Text(datastore).find(absl::StrCat("\"", pool, "\"")) != std::string::npos;
  }
  // Over gRPC.
  std::string RuleOfApply(const std::string& data) {
    const auto response = process_->Merge(data);
    return response.problems().empty() ? "" : response.problems(0).rule();
  }
  // Edits of others go on until it holds, ten seconds at most.
  bool Until(const std::function<bool()>& wish) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (!wish()) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return true;
  }

  std::string directory_;
  std::unique_ptr<Process> process_;
  Datastores* data_ = nullptr;
};

TEST_F(DatastoresTest, CandidateIsRunningUntilItIsEdited) {
  process_->Merge(Pool("a"));
  EXPECT_TRUE(Has(kCandidate, "a"));
  EXPECT_THAT(Edit(1, Pool("b")), IsEmpty());
  EXPECT_TRUE(Has(kCandidate, "b"));
  EXPECT_FALSE(Has(kRunning, "b"));
}

TEST_F(DatastoresTest, CommitPutsTheCandidateInForceWithItsAuthor) {
  Edit(1, Pool("a"));
  Edit(1, Pool("b"));
  EXPECT_THAT(data_->Commit(1, {}), IsEmpty());
  EXPECT_TRUE(Has(kRunning, "a"));
  EXPECT_TRUE(Has(kRunning, "b"));
  const auto history = process_->History();
  ASSERT_EQ(history.commits_size(), 1);
  EXPECT_EQ(history.commits(0).author().user(), "ann");
  EXPECT_TRUE(history.commits(0).authenticated());
  EXPECT_EQ(history.commits(0).operation(), "commit");
}

TEST_F(DatastoresTest, DiscardChangesMakesTheCandidateRunningAgain) {
  Edit(1, Pool("a"));
  EXPECT_THAT(data_->DiscardChanges(1), IsEmpty());
  EXPECT_FALSE(Has(kCandidate, "a"));
}

TEST_F(DatastoresTest, CreateAndDeleteSayWhatStandsInTheWayAndLeaveTheCandidate) {
  Edit(1, Pool("a"));
  // Two entries, the second of which is there.
  const RpcErrors exists = Edit(1, Pool("b", "</pool><pool nc:operation='create'><name>a</name>"));
  EXPECT_EQ(TagOf(exists), "data-exists");
  EXPECT_EQ(exists[0].path, "/portolan-ipam:ipam/pools/pool[name='a']");
  EXPECT_EQ(exists[0].type, "application");
  EXPECT_FALSE(Has(kCandidate, "b"));
  EXPECT_EQ(TagOf(Edit(1, Pool("q", "", "nc:operation='delete'"))), "data-missing");
  EXPECT_THAT(Edit(1, Pool("q", "", "nc:operation='remove'")), IsEmpty());
}

TEST_F(DatastoresTest, LeafIsDeletedWithoutItsValue) {
  Edit(1, Pool("a", "<priority>7</priority>"));
  EXPECT_THAT(Edit(1, Pool("a", "<priority nc:operation='delete'/>")), IsEmpty());
  EXPECT_THAT(Text(kCandidate), Not(HasSubstr("priority")));
}

TEST_F(DatastoresTest, UnknownElementAndBadValueAreToldApart) {
  EXPECT_EQ(TagOf(Edit(1, Pool("a", "<colour>red</colour>"))), "unknown-element");
  EXPECT_EQ(TagOf(Edit(1, Pool("a", "<priority>high</priority>"))), "invalid-value");
  EXPECT_EQ(TagOf(Edit(1, "<ipam")), "invalid-value");
}

TEST_F(DatastoresTest, RuleBetweenEntriesHasPathAndAppTag) {
  const char* block = "<blocks><block><id>x</id><cidr>20.0.0.0/24</cidr></block></blocks>";
  Edit(1, Pool("a", block));
  const RpcErrors overlap = Edit(1, Pool("b", block));
  EXPECT_EQ(TagOf(overlap), "operation-failed");
  EXPECT_EQ(overlap[0].app_tag, "pool-overlap");
  EXPECT_THAT(overlap[0].path, HasSubstr("pool[name="));
  EXPECT_FALSE(Has(kCandidate, "b"));
}

TEST_F(DatastoresTest, TestOnlyChangesNothingAndSetDoesNotTest) {
  const std::string bad = Pool("a", "<blocks><block><id>x</id></block></blocks>");
  using Test = Datastores::TestOption;
  EXPECT_THAT(Edit(1, Pool("b"), Test::kTestOnly), IsEmpty());
  EXPECT_FALSE(Has(kCandidate, "b"));
  EXPECT_THAT(Edit(1, bad, Test::kTestOnly), Not(IsEmpty()));
  EXPECT_THAT(Edit(1, bad, Test::kSet), IsEmpty());
  EXPECT_THAT(data_->Validate(kCandidate), Not(IsEmpty()));
  EXPECT_THAT(data_->Commit(1, {}), Not(IsEmpty()));
  EXPECT_FALSE(Has(kRunning, "a"));
  EXPECT_TRUE(Has(kCandidate, "a"));
}

TEST_F(DatastoresTest, OnlyTheCandidateIsEdited) {
  EXPECT_EQ(TagOf(data_->Edit(1, kRunning, {.config = Pool("a")})), "operation-not-supported");
  EXPECT_EQ(TagOf(data_->Copy(1, kCandidate, kRunning)), "operation-not-supported");
  EXPECT_EQ(TagOf(data_->CopyText(1, Pool("a"), yang::Format::kXml, kRunning)),
            "operation-not-supported");
  EXPECT_EQ(TagOf(data_->Delete(1, kRunning)), "operation-not-supported");
  EXPECT_EQ(TagOf(data_->Copy(1, kRunning, kRunning)), "invalid-value");
}

TEST_F(DatastoresTest, LockIsDeniedNamingItsHolder) {
  EXPECT_THAT(data_->Lock(1, kRunning), IsEmpty());
  const RpcErrors denied = data_->Lock(2, kRunning);
  EXPECT_EQ(TagOf(denied), "lock-denied");
  EXPECT_EQ(denied[0].session, 1u);
  EXPECT_EQ(TagOf(data_->Lock(1, kRunning)), "lock-denied");
  EXPECT_EQ(TagOf(data_->Unlock(2, kRunning)), "operation-failed");
  EXPECT_THAT(data_->Unlock(1, kRunning), IsEmpty());
  EXPECT_EQ(TagOf(data_->Unlock(1, kRunning)), "operation-failed");
  EXPECT_THAT(data_->Lock(2, kRunning), IsEmpty());
}

TEST_F(DatastoresTest, LockedCandidateIsInUseForOthers) {
  data_->Lock(1, kCandidate);
  EXPECT_EQ(TagOf(Edit(2, Pool("a"))), "in-use");
  EXPECT_EQ(TagOf(data_->Commit(2, {})), "in-use");
  EXPECT_EQ(TagOf(data_->DiscardChanges(2)), "in-use");
  EXPECT_EQ(TagOf(data_->Copy(2, kRunning, kCandidate)), "in-use");
  EXPECT_THAT(Edit(1, Pool("a")), IsEmpty());
  EXPECT_THAT(data_->Commit(1, {}), IsEmpty());
}

TEST_F(DatastoresTest, EditedCandidateIsNotLocked) {
  Edit(2, Pool("a"));
  const RpcErrors denied = data_->Lock(1, kCandidate);
  EXPECT_EQ(TagOf(denied), "lock-denied");
  EXPECT_EQ(denied[0].session, 0u);
  data_->DiscardChanges(2);
  EXPECT_THAT(data_->Lock(1, kCandidate), IsEmpty());
}

TEST_F(DatastoresTest, UnlockAndEndOfTheSessionDiscardTheLockedCandidate) {
  data_->Lock(1, kCandidate);
  Edit(1, Pool("a"));
  data_->Unlock(1, kCandidate);
  EXPECT_FALSE(Has(kCandidate, "a"));
  data_->Lock(1, kCandidate);
  Edit(1, Pool("a"));
  data_->CloseSession(1);
  EXPECT_FALSE(Has(kCandidate, "a"));
  EXPECT_THAT(data_->Lock(2, kCandidate), IsEmpty());
}

TEST_F(DatastoresTest, KilledSessionLosesItsLocks) {
  data_->Lock(1, kRunning);
  EXPECT_EQ(TagOf(data_->KillSession(2, 2)), "invalid-value");
  EXPECT_EQ(TagOf(data_->KillSession(2, 9)), "invalid-value");
  EXPECT_THAT(data_->KillSession(2, 1), IsEmpty());
  EXPECT_THAT(data_->Lock(2, kRunning), IsEmpty());
}

TEST_F(DatastoresTest, LockedRunningRefusesEveryoneElseAndNamesTheHolder) {
  data_->Lock(1, kRunning);
  const auto response = process_->Merge(Pool("a"));
  ASSERT_EQ(response.problems_size(), 1);
  EXPECT_EQ(response.problems(0).rule(), "locked");
  EXPECT_THAT(response.problems(0).message(), HasSubstr("session 1"));
  EXPECT_EQ(process_->Edit(v1alpha1::EDIT_OPERATION_MERGE, Pool("a"), true).problems_size(), 0);
  Edit(2, Pool("b"));
  EXPECT_EQ(TagOf(data_->Commit(2, {})), "in-use");
  EXPECT_THAT(data_->Commit(1, {}), IsEmpty());
  data_->Unlock(1, kRunning);
  EXPECT_EQ(RuleOfApply(Pool("a")), "");
}

TEST_F(DatastoresTest, CandidateThatWasOvertakenIsRefusedAndUndoesNothing) {
  Edit(1, Pool("a"));
  process_->Merge(Pool("b"));
  const RpcErrors errors = data_->Commit(1, {});
  EXPECT_EQ(TagOf(errors), "operation-failed");
  EXPECT_EQ(errors[0].app_tag, "running-changed");
  EXPECT_TRUE(Has(kRunning, "b"));
  data_->DiscardChanges(1);
  Edit(1, Pool("a"));
  EXPECT_THAT(data_->Commit(1, {}), IsEmpty());
}

TEST_F(DatastoresTest, ConfirmedCommitIsConfirmedByItsSession) {
  Edit(1, Pool("a"));
  EXPECT_THAT(data_->Commit(1, {.confirmed = true}), IsEmpty());
  EXPECT_TRUE(Has(kRunning, "a"));
  EXPECT_EQ(TagOf(data_->Commit(2, {})), "in-use");
  EXPECT_EQ(TagOf(data_->Lock(2, kRunning)), "lock-denied");
  EXPECT_THAT(data_->Commit(1, {}), IsEmpty());
  EXPECT_EQ(process_->History().trial_revision(), 0u);
}

TEST_F(DatastoresTest, ConfirmedCommitGoesBackWithItsSession) {
  Edit(1, Pool("a"));
  data_->Commit(1, {.confirmed = true});
  data_->CloseSession(1);
  EXPECT_TRUE(Until([&] { return !Has(kRunning, "a"); }));
}

TEST_F(DatastoresTest, ConfirmedCommitGoesBackInTimeThoughRunningIsLocked) {
  data_->Lock(1, kRunning);
  Edit(1, Pool("a"));
  data_->Commit(1, {.confirmed = true, .timeout = absl::Seconds(1)});
  EXPECT_TRUE(Until([&] { return !Has(kRunning, "a"); }));
}

TEST_F(DatastoresTest, PersistIdOutlivesTheSessionAndIsNeeded) {
  Edit(1, Pool("a"));
  data_->Commit(1, {.confirmed = true, .persist = "token"});
  data_->CloseSession(1);
  EXPECT_EQ(TagOf(data_->Commit(2, {})), "invalid-value");
  EXPECT_EQ(TagOf(data_->Commit(2, {.persist_id = "wrong"})), "invalid-value");
  EXPECT_THAT(data_->Commit(2, {.persist_id = "token"}), IsEmpty());
  EXPECT_EQ(TagOf(data_->Commit(2, {.persist_id = "token"})), "invalid-value");
  EXPECT_TRUE(Has(kRunning, "a"));
}

TEST_F(DatastoresTest, CancelCommitGoesBackAtOnce) {
  EXPECT_EQ(TagOf(data_->CancelCommit(1, "")), "operation-failed");
  Edit(1, Pool("a"));
  data_->Commit(1, {.confirmed = true});
  EXPECT_THAT(data_->CancelCommit(1, ""), IsEmpty());
  EXPECT_FALSE(Has(kRunning, "a"));
}

TEST_F(DatastoresTest, StartupIsWhatAMachineWithoutRunningBeginsWith) {
  EXPECT_EQ(Text(kStartup), "{}\n");
  Edit(1, Pool("a"));
  EXPECT_THAT(data_->Copy(1, kCandidate, kStartup), IsEmpty());
  EXPECT_TRUE(Has(kStartup, "a"));
  process_->Merge(Pool("b"));
  process_.reset();
  Start();
  EXPECT_FALSE(Has(kRunning, "a"));  // what was running goes on
  process_.reset();
  std::filesystem::remove(directory_ + "/running.json");
  Start();
  EXPECT_TRUE(Has(kRunning, "a"));
  EXPECT_FALSE(Has(kRunning, "b"));
}

TEST_F(DatastoresTest, StartupIsDeletedAndTakesOnlyWhatIsValid) {
  EXPECT_THAT(data_->CopyText(1, Pool("a"), yang::Format::kXml, kStartup), IsEmpty());
  EXPECT_EQ(TagOf(data_->CopyText(1, Pool("b", "<blocks><block><id>x</id></block></blocks>"),
                                  yang::Format::kXml, kStartup)),
            "data-missing");
  EXPECT_TRUE(Has(kStartup, "a"));
  EXPECT_THAT(data_->Delete(1, kStartup), IsEmpty());
  EXPECT_THAT(data_->Delete(1, kStartup), IsEmpty());
  EXPECT_FALSE(Has(kStartup, "a"));
}

TEST_F(DatastoresTest, BadStartupIsSaidSoAndStopsOnlyAStartThatNeedsIt) {
  process_.reset();
  std::ofstream(directory_ + "/startup.json") << "{\"a:b\": 1}";
  Process needs_it(directory_, "", nullptr);
  EXPECT_EQ(needs_it.started.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(needs_it.started.message()), HasSubstr("startup.json"));
}

TEST_F(DatastoresTest, ManySessionsEditAndCommitAtOnce) {
  std::atomic<int> committed = 0;
  std::vector<std::thread> threads;
  for (uint64_t session = 10; session < 18; ++session) {
    threads.emplace_back([&, session] {
      data_->OpenSession(session, {.user = absl::StrCat(session)});
      for (int i = 0; i < 5; ++i) {
        if (!data_->Lock(session, kCandidate).empty()) continue;
        if (Edit(session, Pool(absl::StrCat("p", session, "-", i))).empty() &&
            data_->Commit(session, {}).empty()) {
          ++committed;
        }
        data_->Unlock(session, kCandidate);
      }
      data_->CloseSession(session);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(committed, 0);
  EXPECT_EQ(process_->Get().revision(), static_cast<uint64_t>(committed));
}

// ---- access ----

TEST_F(DatastoresTest, RulesOfAccessHoldFromTheCommitOnAndAfterARestart) {
  const auto is_denied = [&] {
    return !process_->access().MayCall({.user = "ann"}, "ietf-netconf", "get").empty();
  };
  EXPECT_FALSE(is_denied());
  EXPECT_EQ(RuleOfApply(kNobodyReads), "");
  EXPECT_TRUE(is_denied());
  process_.reset();
  Start();
  EXPECT_TRUE(is_denied());
  EXPECT_TRUE(process_->Delete("/ietf-netconf-acm:nacm").problems().empty());
  EXPECT_FALSE(is_denied());
}

TEST_F(DatastoresTest, RulesOfAccessOfTheFileOfTheFirstStartHold) {
  process_.reset();
  const std::string file = directory_ + "/home.json";
  std::ofstream(file) << kNobodyReads;
  process_ = std::make_unique<Process>(directory_, file, nullptr);
  ASSERT_TRUE(process_->started.ok()) << process_->started;
  EXPECT_FALSE(process_->access().MayCall({.user = "ann"}, "ietf-netconf", "get").empty());
}

}  // namespace
}  // namespace portolan::config
