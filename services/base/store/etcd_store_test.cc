// The election and the store on real etcd clusters.
#include "services/base/store/etcd_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "services/base/clock/clock.h"
#include "services/base/store/testing_etcd.h"

namespace portolan::store {
namespace {

using ::testing::HasSubstr;

// One process that stands for election, and what it was told.
class Candidate {
 public:
  Candidate(EtcdOptions options, std::string name, absl::Duration ttl = absl::Seconds(2))
      : options_(std::move(options)) {
    election_ = std::make_unique<Election>(
        EtcdClient::New(options_).value(), Election::Options{"p/leader", std::move(name), ttl},
        &SystemClock(),
        Election::Handlers{[this](std::shared_ptr<Leadership> won) {
                             absl::MutexLock lock(&mutex_);
                             leadership_ = std::move(won);
                             waits_ = "";
                           },
                           [this](const absl::Status&) {
                             absl::MutexLock lock(&mutex_);
                             leadership_ = nullptr;
                             ++losses_;
                           },
                           [this](const std::string& why) {
                             absl::MutexLock lock(&mutex_);
                             waits_ = why;
                           }});
  }

  std::shared_ptr<Leadership> leadership() {
    absl::MutexLock lock(&mutex_);
    return leadership_;
  }
  std::string waits() {
    absl::MutexLock lock(&mutex_);
    return waits_;
  }
  int losses() {
    absl::MutexLock lock(&mutex_);
    return losses_;
  }
  bool AwaitElected() {
    return Eventually([this] { return leadership() != nullptr; });
  }
  std::unique_ptr<Store> Open(size_t page = 1000) {
    return NewEtcdStore(EtcdClient::New(options_).value(), "p/row/", leadership(), page);
  }
  void Resign() { election_.reset(); }

 private:
  const EtcdOptions options_;
  absl::Mutex mutex_;
  std::shared_ptr<Leadership> leadership_;
  std::string waits_;
  int losses_ = 0;
  std::unique_ptr<Election> election_;
};

std::map<std::string, std::string> RowsOf(const Store& store) {
  const std::vector<Row> rows = store.List("").value();
  std::map<std::string, std::string> found;
  for (const Row& row : rows) found[row.key] = row.value;
  return found;
}

class EtcdTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!TestingEtcd::IsInstalled()) GTEST_SKIP() << TestingEtcd::kMissing;
  }
  void Run(TestingEtcd::Options options) {
    etcd_ = std::make_unique<TestingEtcd>(std::move(options));
    client_ = {.endpoints = etcd_->endpoints()};
  }
  std::unique_ptr<TestingEtcd> etcd_;
  EtcdOptions client_;
};

TEST_F(EtcdTest, AStandbyKnowsItsLeaderAndTakesOverAtOnceWhenItResigns) {
  Run({});
  auto leader = std::make_unique<Candidate>(client_, "0", absl::Seconds(60));
  ASSERT_TRUE(leader->AwaitElected());
  // Often, for a resignation races with the destructor that asked for it.
  for (int i = 1; i <= 50; ++i) {
    const int64_t term = leader->leadership()->term();
    auto standby = std::make_unique<Candidate>(client_, absl::StrCat(i), absl::Seconds(60));
    const std::string expected = absl::StrCat("standby, leader is ", i - 1);
    ASSERT_TRUE(Eventually([&] { return standby->waits() == expected; })) << standby->waits();
    const absl::Time before = absl::Now();
    leader->Resign();
    ASSERT_TRUE(standby->AwaitElected()) << i;
    EXPECT_LT(absl::Now() - before, absl::Seconds(5)) << "far below the lease's minute";
    EXPECT_GT(standby->leadership()->term(), term);
    leader = std::move(standby);
  }
}

TEST_F(EtcdTest, ADeposedLeaderWritesNothingAndIsToldSo) {
  Run({});
  Candidate first(client_, "a", absl::Seconds(60));
  ASSERT_TRUE(first.AwaitElected());
  const std::unique_ptr<Store> old = first.Open();
  ASSERT_TRUE(old->Commit({.create = {{"x", "1"}}}).ok());
  etcd_->Control("del p/leader");  // as an expired lease does
  Candidate second(client_, "b", absl::Seconds(60));
  ASSERT_TRUE(second.AwaitElected());
  ASSERT_TRUE(first.leadership()->Holds()) << "by its own clock, so far";
  for (const Batch& batch : {Batch{.create = {{"y", "1"}}}, Batch{.put = {{"x", "2"}}},
                             Batch{.erase = {"x"}}, Batch{.create = {{"x", "1"}}}}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(old->Commit(batch)));
  }
  EXPECT_EQ(*second.Open()->List(""), (std::vector<Row>{{"x", "1"}}));
  EXPECT_TRUE(Eventually([&] { return first.waits() == "standby, leader is b"; }));
  EXPECT_TRUE(absl::IsFailedPrecondition(old->Commit({.put = {{"x", "2"}}})));
}

TEST_F(EtcdTest, LosesTheLeadershipByItsOwnClockWhenEtcdIsAwayAndWinsItAgain) {
  Run({});
  Candidate only(client_, "a");
  ASSERT_TRUE(only.AwaitElected());
  const std::unique_ptr<Store> store = only.Open();
  etcd_->Kill(0);
  const absl::Time before = absl::Now();
  ASSERT_TRUE(Eventually([&] { return only.losses() == 1; }));
  EXPECT_LT(absl::Now() - before, absl::Milliseconds(2500)) << "the lease has two seconds";
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Commit({.put = {{"x", "1"}}})));
  ASSERT_TRUE(Eventually([&] { return only.waits().find("store is away") != std::string::npos; }));
  etcd_->Start(0);
  EXPECT_TRUE(only.AwaitElected());
}

TEST_F(EtcdTest, AWriteWhileEtcdIsAwayHasAnUnknownOutcome) {
  Run({});
  Candidate only(client_, "a", absl::Seconds(60));
  ASSERT_TRUE(only.AwaitElected());
  const std::unique_ptr<Store> store = only.Open();
  etcd_->Kill(0);
  EXPECT_TRUE(absl::IsUnavailable(store->Commit({.create = {{"x", "1"}}})));
  EXPECT_TRUE(absl::IsUnavailable(store->List("").status()));
  etcd_->Start(0);
  etcd_->AwaitHealthy(0);
  EXPECT_TRUE(Eventually([&] { return store->Commit({.create = {{"x", "1"}}}).ok(); }));
}

TEST_F(EtcdTest, TakesAsManyRowsAsItSaysAndRefusesMore) {
  Run({});
  Candidate only(client_, "a", absl::Seconds(60));
  ASSERT_TRUE(only.AwaitElected());
  const std::unique_ptr<Store> store = only.Open();
  ASSERT_EQ(store->max_rows(), kMaxEtcdRows);
  Batch batch;
  for (size_t i = 0; i < kMaxEtcdRows; ++i) batch.create.push_back({absl::StrCat("k", i), "v"});
  EXPECT_TRUE(store->Commit(batch).ok());
  EXPECT_THAT(std::string(store->Commit(batch).message()), HasSubstr("key exists: k0"));
  batch.create.push_back({"one more", "v"});
  EXPECT_TRUE(absl::IsInvalidArgument(store->Commit(batch)));
}

// A key that is written and compacted away without a pause while pages are read.
TEST_F(EtcdTest, ListsEveryRowOnceWhileTheHistoryIsCompactedBetweenPages) {
  Run({});
  Candidate only(client_, "a", absl::Seconds(60));
  ASSERT_TRUE(only.AwaitElected());
  const std::unique_ptr<Store> store = only.Open(/*page=*/10);
  for (int i = 0; i < 20; ++i) {
    Batch batch;
    for (int k = 0; k < 100; ++k) batch.create.push_back({absl::StrCat(1000 + i * 100 + k), "v"});
    ASSERT_TRUE(store->Commit(batch).ok());
  }
  std::atomic<bool> done = false;
  std::atomic<int> compactions = 0;
  std::thread compactor([&] {
    while (!done) {
      const std::string put = etcd_->Control("put p/other x -w fields");
      const size_t at = put.find("\"Revision\" : ");
      if (at == std::string::npos) continue;
      bool ok = false;
      etcd_->Control(absl::StrCat("compaction ", atoll(put.c_str() + at + 13)), &ok);
      compactions += ok ? 1 : 0;
    }
  });
  for (int i = 0; i < 5; ++i) {
    const int before = compactions;
    EXPECT_TRUE(Eventually([&] { return compactions > before; }));
    const auto rows = store->List("");
    EXPECT_TRUE(rows.ok()) << rows.status();
    if (!rows.ok()) break;
    EXPECT_EQ(rows->size(), 2000u);
    for (size_t k = 0; k < rows->size(); ++k) EXPECT_EQ((*rows)[k].key, absl::StrCat(1000 + k));
  }
  done = true;
  compactor.join();
}

TEST_F(EtcdTest, AFullEtcdRefusesNewRowsServesTheOldAndRecovers) {
  Run({.flags = {"--quota-backend-bytes=4194304"}});
  Candidate only(client_, "a", absl::Seconds(60));
  ASSERT_TRUE(only.AwaitElected());
  const std::unique_ptr<Store> store = only.Open();
  absl::Status status;
  std::map<std::string, std::string> acknowledged;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    const Row row{absl::StrCat("k", 100 + i), std::string(200'000, 'x')};
    status = store->Commit({.create = {row}});
    if (status.ok()) acknowledged[row.key] = row.value;
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  const std::map<std::string, std::string> found = RowsOf(*store);
  EXPECT_TRUE(found == acknowledged) << "a refused row is not there, an acknowledged one is";
  const std::string put = etcd_->Control("get p/leader -w fields");
  etcd_->Control(
      absl::StrCat("compaction ", atoll(put.c_str() + put.find("\"Revision\" : ") + 13)));
  ASSERT_TRUE(store->List("").ok());
  etcd_->Control("del --prefix p/row/k1");
  const std::string now = etcd_->Control("get p/leader -w fields");
  etcd_->Control(
      absl::StrCat("compaction ", atoll(now.c_str() + now.find("\"Revision\" : ") + 13)));
  etcd_->Control("defrag");
  etcd_->Control("alarm disarm");
  EXPECT_TRUE(Eventually([&] { return store->Commit({.create = {{"after", "1"}}}).ok(); }));
}

TEST_F(EtcdTest, SaysWhoItIsOverTlsAndWithAPassword) {
  const char* base = getenv("TEST_TMPDIR");
  const std::string at = absl::StrCat(base == nullptr ? "/tmp" : base, "/pki");
  const std::string make = absl::StrCat(
      "mkdir -p ", at, " && cd ", at,
      " && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out "
      "ca.pem"
      " && openssl req -newkey rsa:2048 -nodes -subj /CN=node -keyout node.key -out node.csr"
      " && printf 'subjectAltName=IP:127.0.0.1\\n' > ext"
      " && openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
      " -extfile ext -out node.pem");
  ASSERT_EQ(system(absl::StrCat("(", make, ") >", at, ".log 2>&1").c_str()), 0);
  Run({.flags = {"--cert-file=" + at + "/node.pem", "--key-file=" + at + "/node.key"},
       .ca_file = at + "/ca.pem"});
  bool ok = false;
  etcd_->Control("user add root:secret", &ok);
  ASSERT_TRUE(ok);
  etcd_->Control("user grant-role root root");
  etcd_->Control("auth enable", &ok);
  ASSERT_TRUE(ok);

  client_.ca_file = at + "/ca.pem";
  client_.user = "root";
  client_.password = "wrong";
  const auto refused = EtcdClient::New(client_).value()->Grant(absl::Seconds(5));
  EXPECT_TRUE(absl::IsUnauthenticated(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("correct user and password"));

  client_.password = "secret";
  Candidate only(client_, "a", absl::Seconds(60));
  ASSERT_TRUE(only.AwaitElected());
  EXPECT_TRUE(only.Open()->Commit({.create = {{"x", "1"}}}).ok());

  client_.cert_file = at + "/node.pem";
  EXPECT_TRUE(absl::IsInvalidArgument(EtcdClient::New(client_).status()));
  client_.key_file = at + "/none.key";
  EXPECT_THAT(std::string(EtcdClient::New(client_).status().message()), HasSubstr("none.key"));
}

// 1,000 rows come and go while the member that leads the cluster is killed, comes back, and another
// one goes. A write is repeated until it is acknowledged, as the ledger does.
TEST_F(EtcdTest, AThreeMemberClusterThatLosesMembersLosesNoAcknowledgedRow) {
  Run({.members = 3});
  Candidate only(client_, "a", absl::Seconds(10));
  ASSERT_TRUE(only.AwaitElected());
  const std::unique_ptr<Store> store = only.Open();
  std::map<std::string, std::string> acknowledged;
  int unknown = 0;
  absl::Duration longest;
  int killed = -1;
  for (int i = 0; i < 1000; ++i) {
    if (i == 300) etcd_->Kill(killed = etcd_->Leader());
    if (i == 600) etcd_->Start(killed);
    if (i == 700) etcd_->AwaitHealthy(killed);
    if (i == 700) etcd_->Kill(killed = (killed + 1) % 3);
    if (i == 900) etcd_->Start(killed);
    const std::string key = absl::StrCat(i / 2);
    const bool releases = i % 2 == 1 && i % 6 != 1;  // two of three that came go again
    if (i % 2 == 1 && !releases) continue;
    const absl::Time before = absl::Now();
    bool maybe_there = false;
    ASSERT_TRUE(Eventually([&] {
      Batch batch;
      if (releases) batch.erase.push_back(key);
      if (!releases) (maybe_there ? batch.put : batch.create).push_back({key, "owner"});
      const absl::Status status = store->Commit(batch);
      EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
      unknown += status.ok() ? 0 : 1;
      maybe_there = true;
      return status.ok();
    })) << i;
    longest = std::max(longest, absl::Now() - before);
    if (releases) acknowledged.erase(key);
    if (!releases) acknowledged[key] = "owner";
  }
  const std::map<std::string, std::string> found = RowsOf(*store);
  EXPECT_EQ(found, acknowledged);
  EXPECT_GT(unknown, 0) << "nothing was killed while it was asked";
  RecordProperty("longest_ms", absl::ToInt64Milliseconds(longest));
  EXPECT_EQ(only.losses(), 0) << "an election inside etcd is none of ours";
}

}  // namespace
}  // namespace portolan::store
