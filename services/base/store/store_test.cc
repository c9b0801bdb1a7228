#include "services/base/store/store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "services/base/clock/clock.h"
#include "services/base/store/etcd_store.h"
#include "services/base/store/sqlite_store.h"
#include "services/base/store/testing_etcd.h"

namespace portolan::store {
namespace {

class Directory {
 public:
  Directory() {
    std::string pattern = testing::TempDir() + "/storeXXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Every kind of store keeps the same contract.
class StoreTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "memory") {
      store_ = std::make_unique<MemoryStore>();
    } else if (std::string(GetParam()) == "etcd") {
      if (!TestingEtcd::IsInstalled()) GTEST_SKIP() << TestingEtcd::kMissing;
      etcd_ = std::make_unique<TestingEtcd>();
      OpenEtcd();
    } else {
      auto opened = OpenSqlite(directory_.File("s.sqlite"));
      ASSERT_TRUE(opened.ok()) << opened.status();
      store_ = *std::move(opened);
    }
  }
  // As the leader of an election that nobody else stands for.
  void OpenEtcd() {
    const EtcdOptions options{.endpoints = etcd_->endpoints()};
    election_ = std::make_unique<Election>(
        *EtcdClient::New(options), Election::Options{"t/leader", "test", absl::Seconds(60)},
        &SystemClock(),
        Election::Handlers{[this](std::shared_ptr<Leadership> won) {
                             leadership_ = std::move(won);
                             elected_.Notify();
                           },
                           [](const absl::Status&) {}, [](const std::string&) {}});
    elected_.WaitForNotification();
    store_ = NewEtcdStore(*EtcdClient::New(options), "t/row/", leadership_);
  }

  Directory directory_;
  std::unique_ptr<TestingEtcd> etcd_;
  absl::Notification elected_;
  std::shared_ptr<Leadership> leadership_;
  std::unique_ptr<Election> election_;
  std::unique_ptr<Store> store_;
};

TEST_P(StoreTest, ListsByPrefixInKeyOrder) {
  const std::string binary("a\0b", 3);
  ASSERT_TRUE(store_->Commit({.put = {{"b", "2"}, {binary, "x"}, {"a", "1"}}}).ok());
  EXPECT_EQ(*store_->List(""), (std::vector<Row>{{"a", "1"}, {binary, "x"}, {"b", "2"}}));
  EXPECT_EQ(*store_->List("a"), (std::vector<Row>{{"a", "1"}, {binary, "x"}}));
  EXPECT_TRUE(store_->List("c")->empty());
}

TEST_P(StoreTest, CreateOfAnExistingKeyDoesNothingAtAll) {
  ASSERT_TRUE(store_->Commit({.create = {{"a", "1"}}}).ok());
  const absl::Status status =
      store_->Commit({.erase = {"z"}, .create = {{"b", "2"}, {"a", "3"}}, .put = {{"c", "4"}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(status.message().find("a"), absl::string_view::npos);
  EXPECT_EQ(*store_->List(""), (std::vector<Row>{{"a", "1"}}));
}

TEST_P(StoreTest, EraseComesBeforeCreateSoThatAnAddressCanChangeHandsInOneBatch) {
  ASSERT_TRUE(store_->Commit({.create = {{"a", "old"}}}).ok());
  ASSERT_TRUE(store_->Commit({.erase = {"a", "missing"}, .create = {{"a", "new"}}}).ok());
  EXPECT_EQ(*store_->List(""), (std::vector<Row>{{"a", "new"}}));
}

TEST_P(StoreTest, PutReplacesWhatIsThereAndWhatTheSameBatchCreates) {
  ASSERT_TRUE(store_->Commit({.create = {{"a", "1"}}}).ok());
  ASSERT_TRUE(store_->Commit({.create = {{"b", "1"}}, .put = {{"a", "2"}, {"b", "3"}}}).ok());
  EXPECT_EQ(*store_->List(""), (std::vector<Row>{{"a", "2"}, {"b", "3"}}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, StoreTest, testing::Values("memory", "sqlite", "etcd"));

TEST(SqliteStoreTest, KeepsCommittedRowsAcrossSigkill) {
  Directory directory;
  const std::string path = directory.File("s.sqlite");
  const pid_t child = fork();
  if (child == 0) {
    auto store = OpenSqlite(path);
    const bool good = store.ok() && (*store)->Commit({.create = {{"20.0.10.0", "a/b"}}}).ok();
    if (!good) _exit(1);
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed before the kill";
  auto store = OpenSqlite(path);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(*(*store)->List(""), (std::vector<Row>{{"20.0.10.0", "a/b"}}));
}

TEST(SqliteStoreTest, RefusesASecondHolderAndNamesTheRemedy) {
  Directory directory;
  auto first = OpenSqlite(directory.File("s.sqlite"));
  ASSERT_TRUE(first.ok());
  auto second = OpenSqlite(directory.File("s.sqlite"));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(second.status().message().find("another process"), absl::string_view::npos);
}

TEST(SqliteStoreTest, RefusesAFileThatIsNotSqlite) {
  Directory directory;
  std::ofstream(directory.File("s.sqlite")) << std::string(8192, 'x');
  EXPECT_EQ(OpenSqlite(directory.File("s.sqlite")).status().code(), absl::StatusCode::kDataLoss);
}

TEST(SqliteStoreTest, RefusesAFileOfANewerVersion) {
  Directory directory;
  const std::string path = directory.File("s.sqlite");
  ASSERT_TRUE(OpenSqlite(path).ok());
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version=2", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  EXPECT_EQ(OpenSqlite(path).status().code(), absl::StatusCode::kFailedPrecondition);
}

// RLIMIT_FSIZE stands in for a disk that takes no more bytes.
TEST(SqliteStoreTest, AFullDiskRefusesTheBatchKeepsTheRowsAndRecovers) {
  Directory directory;
  auto store = OpenSqlite(directory.File("s.sqlite"));
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE((*store)->Commit({.create = {{"kept", "1"}}}).ok());
  struct sigaction ignore = {}, before = {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGXFSZ, &ignore, &before);
  rlimit limit, small;
  getrlimit(RLIMIT_FSIZE, &limit);
  small = limit;
  small.rlim_cur = 64 * 1024;
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status refused = (*store)->Commit({.create = {{"big", std::string(1 << 20, 'x')}}});
  setrlimit(RLIMIT_FSIZE, &limit);
  sigaction(SIGXFSZ, &before, nullptr);
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(*(*store)->List(""), (std::vector<Row>{{"kept", "1"}}));
  EXPECT_TRUE((*store)->Commit({.create = {{"after", "2"}}}).ok());
}

TEST(SqliteStoreTest, CreatesTheFileForItsOwnerOnly) {
  Directory directory;
  auto store = OpenSqlite(directory.File("s.sqlite"));
  struct stat info = {};
  ASSERT_EQ(stat(directory.File("s.sqlite").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

}  // namespace
}  // namespace portolan::store
