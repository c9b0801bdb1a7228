#include "services/ipam-service/shell/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "services/base/loop/loop.h"
#include "services/base/store/store.h"
#include "services/ipam-service/shell/convert.h"

namespace portolan::ipam {
namespace {

net::IpAddress Address(int last) {
  return net::IpAddress::FromValue(net::Family::kIpv4, 0x0a000000 + last);
}
JournalRow RowOf(int last, const std::string& service) {
  return {Address(last), service, 1, "p", 1000};
}

// A disk behind a gate: writes wait until it is opened, and are counted.
struct Disk {
  absl::Mutex mutex;
  bool open = true;
  std::map<std::string, std::string> rows;
  absl::Status failure;
  int commits = 0;
  int fails_from = INT32_MAX;  // the first commit that finds the disk full
  size_t max_rows = SIZE_MAX;
  size_t largest = 0;  // rows of one commit
};

class GatedStore : public store::Store {
 public:
  explicit GatedStore(Disk* disk) : disk_(disk) {}

  absl::Status Commit(const store::Batch& batch) override {
    absl::MutexLock lock(&disk_->mutex);
    disk_->mutex.Await(absl::Condition(&disk_->open));
    ++disk_->commits;
    disk_->largest = std::max(disk_->largest, batch.size());
    if (batch.size() > disk_->max_rows) return absl::InvalidArgumentError("too many rows");
    if (disk_->commits >= disk_->fails_from) return absl::ResourceExhaustedError("full");
    if (!disk_->failure.ok()) return disk_->failure;
    for (const store::Row& row : batch.create) {
      if (disk_->rows.contains(row.key)) return absl::AlreadyExistsError("exists");
    }
    for (const std::string& key : batch.erase) disk_->rows.erase(key);
    for (const store::Row& row : batch.create) disk_->rows[row.key] = row.value;
    for (const store::Row& row : batch.put) disk_->rows[row.key] = row.value;
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<store::Row>> List(absl::string_view prefix) const override {
    absl::MutexLock lock(&disk_->mutex);
    std::vector<store::Row> found;
    for (const auto& [key, value] : disk_->rows) {
      if (key.compare(0, prefix.size(), prefix.data(), prefix.size()) == 0) {
        found.push_back({key, value});
      }
    }
    return found;
  }
  size_t max_rows() const override { return disk_->max_rows; }

 private:
  Disk* const disk_;
};

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    journal_ = std::make_unique<Journal>(loop_.get(), std::make_unique<GatedStore>(&disk_),
                                         [this](const JournalDone& done) {
                                           done_.push_back(done);
                                           if (done_.size() == expected_) loop_->Stop();
                                         });
  }

  void SetOpen(bool open) {
    absl::MutexLock lock(&disk_.mutex);
    disk_.open = open;
  }
  void Wait(size_t outcomes) {
    expected_ = outcomes;
    loop_->Run();
    ASSERT_EQ(done_.size(), outcomes);
  }

  std::unique_ptr<Loop> loop_ = NewLoop();
  Disk disk_;
  std::vector<JournalDone> done_;
  size_t expected_ = 0;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, WhatWaitsBecomesOneWriteAndIsAnsweredInOrder) {
  SetOpen(false);
  for (int i = 0; i < 500; ++i) {
    journal_->Commit({.batch = static_cast<uint64_t>(i + 1), .create = {RowOf(i, "a/b")}});
  }
  SetOpen(true);
  Wait(500);
  for (size_t i = 0; i < done_.size(); ++i) {
    EXPECT_EQ(done_[i].batch, i + 1);
    EXPECT_TRUE(done_[i].status.ok());
  }
  EXPECT_LE(disk_.commits, 3);
  EXPECT_EQ(journal_->Load().value().rows.size(), 500u);
}

TEST_F(JournalTest, WritesOfOneAddressKeepTheirOrder) {
  SetOpen(false);
  journal_->Commit({.batch = 1, .create = {RowOf(7, "a/first")}});
  journal_->Commit({.batch = 2, .erase = {Address(7)}});
  journal_->Commit({.batch = 3, .create = {RowOf(7, "a/second")}});
  journal_->Commit({.batch = 4, .put = {RowOf(7, "a/third")}});
  SetOpen(true);
  Wait(4);
  for (const JournalDone& done : done_) EXPECT_TRUE(done.status.ok()) << done.batch;
  EXPECT_EQ(journal_->Load().value().rows.at(0).service, "a/third");
}

TEST_F(JournalTest, OnlyTheGuiltyWriteOfAGroupFails) {
  disk_.rows[JournalKey(Address(2))] = ToRow(RowOf(2, "other/allocator")).value;
  SetOpen(false);
  for (int i = 1; i <= 3; ++i) {
    journal_->Commit({.batch = static_cast<uint64_t>(i), .create = {RowOf(i, "a/b")}});
  }
  SetOpen(true);
  Wait(3);
  EXPECT_TRUE(done_[0].status.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(done_[1].status));
  EXPECT_TRUE(done_[2].status.ok());
  EXPECT_EQ(journal_->Load().value().rows.size(), 3u);
}

TEST_F(JournalTest, AFullDiskIsToldToEveryWriteOfTheGroup) {
  disk_.failure = absl::ResourceExhaustedError("full");
  journal_->Commit({.batch = 1, .create = {RowOf(1, "a/b")}});
  journal_->Commit({.batch = 2, .create = {RowOf(2, "a/b")}});
  Wait(2);
  for (const JournalDone& done : done_) EXPECT_TRUE(absl::IsResourceExhausted(done.status));
}

TEST_F(JournalTest, CountsEveryTransactionWithItsGroupAndWhyItFailed) {
  disk_.rows[JournalKey(Address(2))] = ToRow(RowOf(2, "other/allocator")).value;
  journal_->Commit({.batch = 1, .create = {RowOf(1, "a/b")}});
  Wait(1);
  journal_->Commit({.batch = 2, .create = {RowOf(2, "a/b")}});
  Wait(2);
  disk_.failure = absl::ResourceExhaustedError("full");
  journal_->Commit({.batch = 3, .create = {RowOf(3, "a/b")}});
  Wait(3);
  disk_.failure = absl::UnavailableError("away");
  journal_->Commit({.batch = 4, .create = {RowOf(4, "a/b")}});
  Wait(4);
  const JournalFigures figures = journal_->Figures();
  EXPECT_EQ(figures.writes, static_cast<uint64_t>(disk_.commits));
  EXPECT_EQ(figures.failures_exists, 1u);
  EXPECT_EQ(figures.failures_full, 1u);
  EXPECT_EQ(figures.failures_other, 1u);
  EXPECT_EQ(figures.queued, 0u);
  EXPECT_EQ(figures.group_size.counts().front(), 4u);  // of one commit each
  EXPECT_GT(figures.write_seconds.sum(), 0);
}

TEST_F(JournalTest, AGroupIsNoLargerThanTheStoreTakes) {
  SetOpen(false);
  disk_.max_rows = 8;
  for (int i = 0; i < 100; ++i) {
    journal_->Commit({.batch = static_cast<uint64_t>(i + 1), .create = {RowOf(i, "a/b")}});
  }
  SetOpen(true);
  Wait(100);
  for (size_t i = 0; i < done_.size(); ++i) {
    EXPECT_EQ(done_[i].batch, i + 1);
    EXPECT_TRUE(done_[i].status.ok()) << done_[i].status;
  }
  EXPECT_EQ(disk_.largest, 8u);
  EXPECT_EQ(journal_->Load().value().rows.size(), 100u);
}

TEST_F(JournalTest, AnErasureAndItsReleaseAreNeverInTwoTransactions) {
  disk_.max_rows = 3;
  for (int i = 0; i < 20; ++i) disk_.rows[JournalKey(Address(i))] = ToRow(RowOf(i, "a/b")).value;
  SetOpen(false);
  for (int i = 0; i < 20; ++i) {
    journal_->Commit({.batch = static_cast<uint64_t>(i + 1),
                      .erase = {Address(i)},
                      .put_releases = {{Address(i), "a/b", 1000}}});
  }
  disk_.fails_from = 11;
  SetOpen(true);
  Wait(20);
  EXPECT_EQ(disk_.largest, 2u);
  const JournalLoaded loaded = journal_->Load().value();
  EXPECT_EQ(loaded.rows.size(), 10u);
  EXPECT_EQ(loaded.releases.size(), 10u);
  for (const JournalRow& row : loaded.rows) {
    for (const ReleaseRow& release : loaded.releases) EXPECT_NE(row.address, release.address);
  }
}

JournalCommit PoolsAndReleases(uint64_t batch) {
  JournalCommit commit{.batch = batch};
  for (int i = 0; i < 10; ++i) {
    commit.put_pools.push_back({absl::StrCat("pool-", i), 1000 + i});
    commit.erase_releases.push_back(Address(i));
  }
  return commit;
}

TEST_F(JournalTest, PoolsAndReleasesThatAreTooManyAreWrittenInPartsAndAnsweredOnce) {
  disk_.max_rows = 3;
  for (int i = 0; i < 11; ++i) {
    const store::Row row = ToRow(ReleaseRow{Address(i), "a/b", 1000});
    disk_.rows[row.key] = row.value;
  }
  SetOpen(false);
  journal_->Commit({.batch = 1, .create = {RowOf(50, "a/b")}});
  journal_->Commit(PoolsAndReleases(2));
  journal_->Commit({.batch = 3, .create = {RowOf(51, "a/b")}});
  SetOpen(true);
  Wait(3);
  for (size_t i = 0; i < done_.size(); ++i) {
    EXPECT_EQ(done_[i].batch, i + 1);
    EXPECT_TRUE(done_[i].status.ok()) << done_[i].status;
  }
  EXPECT_EQ(disk_.commits, 9);  // 20 rows in 7, and one before and one behind them
  EXPECT_EQ(disk_.largest, 3u);
  const JournalLoaded loaded = journal_->Load().value();
  EXPECT_EQ(loaded.rows.size(), 2u);
  EXPECT_EQ(loaded.pools.size(), 10u);
  ASSERT_EQ(loaded.releases.size(), 1u);
  EXPECT_EQ(loaded.releases.front().address, Address(10));
}

TEST_F(JournalTest, APartThatFailsIsTheOutcomeOfTheWholeAndTheLast) {
  disk_.max_rows = 3;
  disk_.fails_from = 5;
  journal_->Commit(PoolsAndReleases(1));
  Wait(1);
  EXPECT_TRUE(absl::IsResourceExhausted(done_[0].status)) << done_[0].status;
  EXPECT_EQ(disk_.commits, 5);
}

TEST_F(JournalTest, NothingIsReportedAfterItIsGone) {
  journal_->Commit({.batch = 1, .create = {RowOf(1, "a/b")}});
  journal_.reset();
  loop_->Post([this] { loop_->Stop(); });
  loop_->Run();
  EXPECT_TRUE(done_.empty());
}

}  // namespace
}  // namespace portolan::ipam
