#include "services/base/log/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace portolan {
namespace {

class LogTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(pipe(fds_), 0); }
  void TearDown() override {
    close(fds_[0]);
    close(fds_[1]);
  }
  std::string ReadAll() {
    close(fds_[1]);
    fds_[1] = -1;
    std::string text(1 << 16, '\0');
    text.resize(read(fds_[0], text.data(), text.size()));
    return text;
  }
  int fds_[2];
};

TEST_F(LogTest, WritesOneJsonObjectALine) {
  Log log("ipam", Log::Level::kInfo, fds_[1]);
  log.Info("address assigned", {{"key", "a/b"}, {"text", "line\nbreak \"quoted\""}});
  const std::string text = ReadAll();
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto line = nlohmann::json::parse(text);
  EXPECT_EQ(line["svc"], "ipam");
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["text"], "line\nbreak \"quoted\"");
}

TEST_F(LogTest, EveryByteOfAnAsciiTextArrivesAsItIs) {
  std::string ascii;
  for (char c = 1; c < 127; ++c) ascii.push_back(c);
  ascii.push_back(127);
  Log log("ipam", Log::Level::kInfo, fds_[1]);
  for (const char c : ascii) log.Info("one", {{"text", absl::string_view(&c, 1)}});
  const std::string text = ReadAll();
  std::string read;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    read += nlohmann::json::parse(line)["text"].get<std::string>();
  }
  EXPECT_EQ(read, ascii);
}

TEST_F(LogTest, LeavesOutWhatIsBelowTheThreshold) {
  Log log("ipam", Log::Level::kWarning, fds_[1]);
  log.Info("quiet");
  log.Error("loud");
  EXPECT_EQ(nlohmann::json::parse(ReadAll())["msg"], "loud");
}

TEST_F(LogTest, SurvivesBytesThatAreNotUtf8) {
  Log log("ipam", Log::Level::kInfo, fds_[1]);
  log.Info("bad name", {{"name", "\xff\xfe"}});
  EXPECT_TRUE(nlohmann::json::accept(ReadAll()));
}

}  // namespace
}  // namespace portolan
