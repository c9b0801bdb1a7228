// kill -9 at every store call of 1,000 assignments and releases on SQLite.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "services/ipam-service/shell/testing_kills.h"

namespace portolan::ipam {
namespace {

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

  std::string dir_;
  std::string path_;
};

TEST_P(KillTest, NoAddressHasTwoOwnersAndNoneThatWasAcknowledgedIsLost) {
  Kills([this] { return OpenMortalSqlite(path_); }, GetParam()).Run();
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
