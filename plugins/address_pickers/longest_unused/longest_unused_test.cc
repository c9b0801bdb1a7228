#include "plugins/address_pickers/longest_unused/longest_unused.h"

#include <gtest/gtest.h>

#include <string>

#include "plugins/sdk/address_picker.h"
#include "plugins/sdk/testing_free_space.h"

namespace portolan::plugin {
namespace {

PickResult Pick(const FreeSpace& free) {
  std::unique_ptr<Stage> stage = NewLongestUnusedFactory()->Create("").value();
  return dynamic_cast<AddressPicker&>(*stage).Pick({.service = "a/b", .pool = "p", .free = &free});
}

History HistoryWith(const std::string& settings) {
  std::unique_ptr<Stage> stage = NewLongestUnusedFactory()->Create(settings).value();
  return dynamic_cast<AddressPicker&>(*stage).history();
}

TEST(LongestUnused, TakesTheLowestAddressThatWasNeverUsed) {
  ListFreeSpace free({TestRange("10.0.0.0", "10.0.0.9")}, {TestRange("10.0.0.1", "10.0.0.9")},
                     {TestAddress("10.0.0.2"), TestAddress("10.0.0.1")});
  EXPECT_EQ(Pick(free).address, TestAddress("10.0.0.3"));
}

TEST(LongestUnused, ThenTheOneThatWasGivenUpLongestAgo) {
  ListFreeSpace free({TestRange("10.0.0.0", "10.0.0.9")}, {TestRange("10.0.0.1", "10.0.0.2")},
                     {TestAddress("10.0.0.2"), TestAddress("10.0.0.1")});
  EXPECT_EQ(Pick(free).address, TestAddress("10.0.0.2"));
}

TEST(LongestUnused, DeclinesWhenNothingIsFree) {
  ListFreeSpace free({TestRange("10.0.0.0", "10.0.0.0")}, {});
  EXPECT_EQ(Pick(free).verdict, PickResult::Verdict::kDeclined);
}

TEST(LongestUnused, AsksForHistoryAndForACoolDownInSeconds) {
  EXPECT_EQ(HistoryWith(""), (History{.kept = true}));
  EXPECT_EQ(HistoryWith(R"({"cool-down": 90})"),
            (History{.kept = true, .cool_down = absl::Seconds(90)}));
}

TEST(LongestUnused, RefusesACoolDownThatNobodyLivesToSee) {
  const auto factory = NewLongestUnusedFactory();
  EXPECT_TRUE(factory->Create(R"({"cool-down": 31536000})").ok());
  EXPECT_FALSE(factory->Create(R"({"cool-down": 31536001})").ok());
  EXPECT_FALSE(factory->Create(R"({"cooldown": 1})").ok());
}

}  // namespace
}  // namespace portolan::plugin
