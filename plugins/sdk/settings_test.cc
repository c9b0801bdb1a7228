#include "plugins/sdk/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace portolan::plugin {
namespace {

using ::testing::HasSubstr;

struct Read {
  absl::Status status;
  std::optional<uint64_t> seed, wait;
};

Read ReadText(absl::string_view text) {
  Read read;
  read.status = ReadSettings("mine", text, {{"seed", &read.seed}, {"wait", &read.wait, 100}});
  return read;
}

TEST(Settings, NoTextAndAnEmptyObjectLeaveTheDefaults) {
  for (const char* text : {"", " \n", "{}", " { } "}) {
    const Read read = ReadText(text);
    EXPECT_TRUE(read.status.ok()) << text;
    EXPECT_EQ(read.seed, std::nullopt);
  }
}

TEST(Settings, EveryNumberOf64BitsIsReadExactly) {
  const Read read = ReadText(R"({"wait": 100, "seed": 18446744073709551615})");
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_EQ(read.seed, 18446744073709551615u);
  EXPECT_EQ(read.wait, 100u);
}

TEST(Settings, ANumberMayBeTextAsYangWritesIt) {
  const Read read = ReadText(R"({"seed": "18446744073709551615"})");
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_EQ(read.seed, 18446744073709551615u);
}

TEST(Settings, WhatDoesNotFitIsNamed) {
  const struct {
    const char* text;
    const char* message;
  } kCases[] = {
      {R"({"sed": 1})", R"(there is no "sed", only "seed", "wait")"},
      {R"({"wait": 101})", R"("wait" must be a whole number from 0 to 100, not 101)"},
      {R"({"wait": -1})", R"("wait" must be a whole number from 0 to 100, not -1)"},
      {R"({"wait": 1.5})", R"("wait" must be a whole number from 0 to 100, not 1.5)"},
      {R"({"seed": "seven"})", R"("seed" must be a whole number)"},
      {R"({"wait": "101"})", R"("wait" must be a whole number from 0 to 100, not "101")"},
      {R"({"seed": 18446744073709551616})", R"("seed" must be a whole number)"},
      {R"([1])", "not a JSON object"},
      {R"({"seed": 1)", "not a JSON object"},
      {R"(seed=1)", "not a JSON object"},
  };
  for (const auto& bad : kCases) {
    const Read read = ReadText(bad.text);
    EXPECT_EQ(read.status.code(), absl::StatusCode::kInvalidArgument) << bad.text;
    EXPECT_THAT(std::string(read.status.message()), HasSubstr(bad.message));
    EXPECT_THAT(std::string(read.status.message()), HasSubstr(R"(settings of plugin "mine")"));
  }
}

}  // namespace
}  // namespace portolan::plugin
