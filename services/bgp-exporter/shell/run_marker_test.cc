#include "services/bgp-exporter/shell/run_marker.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace portolan::bgp {
namespace {

class RunMarkerTest : public testing::Test {
 protected:
  RunMarkerTest() : directory_(testing::TempDir() + "/run_marker_" + std::to_string(getpid())) {
    std::filesystem::create_directories(directory_);
  }
  ~RunMarkerTest() override { std::filesystem::remove_all(directory_); }

  LastLife Start() {
    LastLife last;
    EXPECT_TRUE(RunMarker(directory_).Set(last).ok());
    return last;
  }

  const std::string directory_;
};

TEST_F(RunMarkerTest, AFirstStartHasNoLastLife) {
  const LastLife last = Start();
  EXPECT_FALSE(last.ended_without_order);
  EXPECT_FALSE(last.same_boot);
}

TEST_F(RunMarkerTest, AKilledLifeIsNoticed) {
  Start();
  const LastLife last = Start();
  EXPECT_TRUE(last.ended_without_order);
  EXPECT_TRUE(last.same_boot);
}

TEST_F(RunMarkerTest, AnOrderlyEndLeavesNothing) {
  Start();
  RunMarker(directory_).Clear();
  EXPECT_FALSE(Start().ended_without_order);
}

TEST_F(RunMarkerTest, ALifeBeforeARebootKeptNoForwardingState) {
  Start();
  std::ofstream(RunMarker(directory_).path()) << "another-boot\n";
  const LastLife last = Start();
  EXPECT_TRUE(last.ended_without_order);
  EXPECT_FALSE(last.same_boot);
}

TEST_F(RunMarkerTest, AMarkThatCannotBeSetIsAnErrorThatNamesTheFile) {
  LastLife last;
  const absl::Status status = RunMarker(directory_ + "/missing").Set(last);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find("missing/bgp-exporter.running"), std::string::npos);
  EXPECT_FALSE(last.ended_without_order);
}

}  // namespace
}  // namespace portolan::bgp
