#include "services/bgp-exporter/shell/drain_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace portolan::bgp {
namespace {

class DrainFileTest : public testing::Test {
 protected:
  DrainFileTest() : directory_(testing::TempDir() + "/drain_file_" + std::to_string(getpid())) {
    std::filesystem::create_directories(directory_);
  }
  ~DrainFileTest() override { std::filesystem::remove_all(directory_); }

  const std::string directory_;
  const absl::Time time_ = absl::FromUnixMillis(1'790'000'000'123);
};

TEST_F(DrainFileTest, ANodeIsNotDrainedAtFirst) {
  EXPECT_EQ(DrainFile(directory_).Read(), std::nullopt);
}

TEST_F(DrainFileTest, ADrainIsFoundByTheNextLife) {
  ASSERT_TRUE(DrainFile(directory_).Write(time_).ok());
  EXPECT_EQ(DrainFile(directory_).Read(), time_);
}

TEST_F(DrainFileTest, ALaterDrainReplacesTheOneBefore) {
  DrainFile file(directory_);
  ASSERT_TRUE(file.Write(time_).ok());
  ASSERT_TRUE(file.Write(time_ + absl::Seconds(1)).ok());
  EXPECT_EQ(file.Read(), time_ + absl::Seconds(1));
}

TEST_F(DrainFileTest, AnUndrainLeavesNothing) {
  DrainFile file(directory_);
  ASSERT_TRUE(file.Write(time_).ok());
  ASSERT_TRUE(file.Write(std::nullopt).ok());
  EXPECT_EQ(file.Read(), std::nullopt);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
  EXPECT_TRUE(file.Write(std::nullopt).ok()) << "a second time";
}

TEST_F(DrainFileTest, AFileThatCannotBeReadIsADrainThatIsDue) {
  DrainFile file(directory_);
  std::ofstream(file.path()) << "soon\n";
  EXPECT_EQ(file.Read(), absl::InfinitePast());
  std::ofstream(file.path(), std::ios::trunc).close();
  EXPECT_EQ(file.Read(), absl::InfinitePast());
}

TEST_F(DrainFileTest, ADirectoryThatIsNotThereIsAnErrorThatNamesTheFile) {
  DrainFile file(directory_ + "/none");
  const absl::Status status = file.Write(time_);
  EXPECT_NE(std::string(status.message()).find("/none/bgp-exporter.drain"), std::string::npos)
      << status;
}

}  // namespace
}  // namespace portolan::bgp
