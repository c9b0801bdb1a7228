// kill -9 at every store call of 1,000 assignments and releases, at three moments of the call.
//
// A life that dies at its second call leaves the first one done, so each life begins one call later
// and every call of the workload is somebody's last. Load() only reads: to die in it is to die
// before the first write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "services/base/store/sqlite_store.h"
#include "services/ipam-service/shell/convert.h"
#include "services/ipam-service/shell/testing_life.h"
#include "services/ipam-service/shell/testing_witness.h"

namespace portolan::ipam {
namespace {

constexpr int kOperations = 1000;
constexpr int kMaxLives = 10 * kOperations;
constexpr int kSilenceMs = 30'000;  // of a child that hangs

// Reads lines until the child is gone. False: it hangs.
bool Listen(int pipe, Witness& witness) {
  std::string text;
  char buffer[4096];
  for (;;) {
    pollfd ready{.fd = pipe, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, kSilenceMs) <= 0) return false;
    const ssize_t size = read(pipe, buffer, sizeof(buffer));
    if (size <= 0) return true;
    text.append(buffer, size);
    size_t begin = 0;
    for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
      witness.Read(text.substr(begin, end - begin));
      begin = end + 1;
    }
    text.erase(0, begin);
  }
}

class KillTest : public testing::TestWithParam<DeathMoment> {
 protected:
  KillTest() {
    std::string pattern = testing::TempDir() + "/kill.XXXXXX";
    dir_ = mkdtemp(pattern.data());
    path_ = dir_ + "/ipam.sqlite";
  }
  ~KillTest() override {
    for (const char* suffix : {"", ".lock", "-wal", "-shm"}) unlink((path_ + suffix).c_str());
    rmdir(dir_.c_str());
  }

  // True: it was killed. False: it came to the end of the workload.
  bool LiveOnce(int last_call) {
    int ends[2];
    if (pipe(ends) != 0) abort();
    witness_.Restart();
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      Life(path_, {last_call, GetParam()}, &operations_, witness_.done(), ends[1]).Run();
      _exit(0);
    }
    close(ends[1]);
    const absl::Cleanup close_pipe = [&] { close(ends[0]); };
    if (!Listen(ends[0], witness_)) {
      ADD_FAILURE() << "a life hangs after operation " << witness_.done();
      kill(child, SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    EXPECT_TRUE(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << status;
    return killed;
  }

  std::multimap<std::string, std::string> RowsOfFile() const {
    const auto store = store::OpenSqlite(path_).value();
    const JournalLoaded loaded = FromRows(store->List(kAddressPrefix).value(), {}, {}).value();
    std::multimap<std::string, std::string> rows;
    for (const JournalRow& row : loaded.rows) {
      rows.emplace(row.address.ToString(), row.service);
      for (const RowMember& other : row.others) rows.emplace(row.address.ToString(), other.service);
    }
    return rows;
  }

  const std::vector<Operation> operations_ = OperationsOf(kOperations, 9);
  Witness witness_{&operations_};
  std::string dir_;
  std::string path_;
};

TEST_P(KillTest, NoAddressHasTwoOwnersAndNoneThatWasAcknowledgedIsLost) {
  int kills = 0;
  // The first life has no call to leave done; a call that is killed after it was made is done.
  while (LiveOnce(kills == 0 || GetParam() == DeathMoment::kAfter ? 1 : 2)) {
    ASSERT_LT(++kills, kMaxLives) << "after operation " << witness_.done();
    ASSERT_THAT(witness_.problems, testing::IsEmpty()) << "after kill " << kills;
  }
  const auto rows = RowsOfFile();
  witness_.CheckRows(rows);
  std::cout << "calls " << witness_.calls << ", kills " << kills << ", published "
            << witness_.published << ", lost " << witness_.lost << ", two owners "
            << witness_.two_owners << "\n";
  EXPECT_THAT(witness_.problems, testing::IsEmpty());
  EXPECT_TRUE(witness_.finished());
  EXPECT_EQ(witness_.done(), operations_.size());
  size_t acknowledged = 0;
  for (const auto& [key, addresses] : witness_.acknowledged()) acknowledged += addresses.size();
  EXPECT_EQ(rows.size(), acknowledged);
  EXPECT_GT(kills, kOperations / 2);
}

INSTANTIATE_TEST_SUITE_P(Moments, KillTest,
                         testing::Values(DeathMoment::kBefore, DeathMoment::kInside,
                                         DeathMoment::kAfter),
                         [](const auto& info) {
                           return info.param == DeathMoment::kBefore   ? "BeforeTheCall"
                                  : info.param == DeathMoment::kInside ? "InsideItsTransaction"
                                                                       : "BeforeItsOutcomeIsTold";
                         });

}  // namespace
}  // namespace portolan::ipam
