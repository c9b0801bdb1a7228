#include "plugins/sdk/shared_object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "plugins/sdk/address_picker.h"
#include "plugins/sdk/testing_free_space.h"

namespace portolan::plugin {
namespace {

using ::testing::HasSubstr;

std::string Example(const std::string& file) {
  return absl::StrCat(std::getenv("TEST_SRCDIR"), "/", std::getenv("TEST_WORKSPACE"), "/plugins/",
                      file);
}
std::string HighestFree() { return Example("examples/highest_free/highest_free.so"); }

std::unique_ptr<Stage> Load(const std::string& settings) {
  auto factory = LoadAddressPicker("top", HighestFree());
  EXPECT_TRUE(factory.ok()) << factory.status();
  EXPECT_EQ((*factory)->name(), "top");
  auto stage = (*factory)->Create(settings);
  EXPECT_TRUE(stage.ok()) << stage.status();
  return *std::move(stage);
}

TEST(SharedObject, TheExamplePicksTheHighestFreeAddressOfBothFamilies) {
  std::unique_ptr<Stage> stage = Load("");
  const auto& picker = dynamic_cast<AddressPicker&>(*stage);
  ListFreeSpace v4({TestRange("10.0.0.0", "10.0.0.9")},
                   {TestRange("10.0.0.1", "10.0.0.2"), TestRange("10.0.0.4", "10.0.0.5")});
  EXPECT_EQ(picker.Pick({.service = "a/b", .pool = "p", .free = &v4}).address,
            TestAddress("10.0.0.5"));
  ListFreeSpace v6({TestRange("2001:db8::", "2001:db8::ffff")},
                   {TestRange("2001:db8::7", "2001:db8::7")});
  EXPECT_EQ(picker.Pick({.service = "a/b", .pool = "p", .family = net::Family::kIpv6, .free = &v6})
                .address,
            TestAddress("2001:db8::7"));
}

TEST(SharedObject, ADeclineCarriesTheReason) {
  std::unique_ptr<Stage> stage = Load("{}");
  ListFreeSpace full({TestRange("10.0.0.0", "10.0.0.9")}, {});
  PickResult result =
      dynamic_cast<AddressPicker&>(*stage).Pick({.service = "a/b", .pool = "p", .free = &full});
  EXPECT_EQ(result.verdict, PickResult::Verdict::kDeclined);
  EXPECT_EQ(result.message, "nothing is free");
}

TEST(SharedObject, BadSettingsAreThePluginsOwnWords) {
  auto stage = LoadAddressPicker("top", HighestFree()).value()->Create("{\"x\":1}");
  EXPECT_EQ(stage.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(stage.status().message()), HasSubstr("highest-free has only skip"));
  for (const char* bad :
       {"{\"skip\": 65536}", "{\"skip\": -1}", "{\"skip\": 1} x", "{\"skip\": 1"}) {
    EXPECT_FALSE(LoadAddressPicker("top", HighestFree()).value()->Create(bad).ok()) << bad;
  }
}

TEST(SharedObject, SettingsReachThePlugin) {
  std::unique_ptr<Stage> stage = Load(R"({"skip":300})");
  const auto& picker = dynamic_cast<AddressPicker&>(*stage);
  ListFreeSpace v4({TestRange("10.0.0.0", "10.0.2.5")}, {TestRange("10.0.0.0", "10.0.2.5")});
  EXPECT_EQ(picker.Pick({.service = "a/b", .pool = "p", .free = &v4}).address,
            TestAddress("10.0.0.217"));
  ListFreeSpace small({TestRange("0.0.0.0", "0.0.0.9")}, {TestRange("0.0.0.0", "0.0.0.9")});
  EXPECT_EQ(picker.Pick({.service = "a/b", .pool = "p", .free = &small}).verdict,
            PickResult::Verdict::kDeclined);
}

TEST(SharedObject, AMissingFileIsNamed) {
  auto factory = LoadAddressPicker("top", "/nowhere/x.so");
  EXPECT_EQ(factory.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(factory.status().message()), HasSubstr("/nowhere/x.so"));
}

TEST(SharedObject, ARelativePathIsRefused) {
  EXPECT_EQ(LoadAddressPicker("top", "x.so").status().code(), absl::StatusCode::kNotFound);
}

TEST(SharedObject, AnObjectOfAnotherVersionIsRefused) {
  auto factory = LoadAddressPicker("top", Example("sdk/testing_wrong_version.so"));
  EXPECT_EQ(factory.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(factory.status().message()), HasSubstr("version 99"));
}

TEST(SharedObject, AnObjectWithoutTheSymbolIsRefused) {
  auto factory = LoadAddressPicker("top", Example("sdk/testing_no_symbol.so"));
  EXPECT_EQ(factory.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(factory.status().message()), HasSubstr("portolan_address_picker_v1"));
}

}  // namespace
}  // namespace portolan::plugin
