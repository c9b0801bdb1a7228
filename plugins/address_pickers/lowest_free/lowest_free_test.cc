#include "plugins/address_pickers/lowest_free/lowest_free.h"

#include <gtest/gtest.h>

#include "plugins/sdk/address_picker.h"
#include "plugins/sdk/testing_free_space.h"

namespace portolan::plugin {
namespace {

std::unique_ptr<Stage> Picker() { return NewLowestFreeFactory()->Create("").value(); }

PickResult Pick(const FreeSpace& free) {
  return dynamic_cast<AddressPicker&>(*Picker()).Pick(
      {.service = "a/b", .pool = "p", .free = &free});
}

TEST(LowestFree, TakesTheLowestAddressNotTheSmallestHole) {
  ListFreeSpace free({TestRange("10.0.0.0", "10.0.0.255")},
                     {TestRange("10.0.0.3", "10.0.0.199"), TestRange("10.0.0.201", "10.0.0.202")});
  EXPECT_EQ(Pick(free).address, TestAddress("10.0.0.3"));
}

TEST(LowestFree, WorksAtTheEndOfTheIpv6Space) {
  const std::string last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  ListFreeSpace free({TestRange("::", last)}, {TestRange(last, last)});
  EXPECT_EQ(Pick(free).address, TestAddress(last));
}

TEST(LowestFree, DeclinesWhenNothingIsFree) {
  ListFreeSpace free({TestRange("10.0.0.0", "10.0.0.0")}, {});
  EXPECT_EQ(Pick(free).verdict, PickResult::Verdict::kDeclined);
}

TEST(LowestFree, HasNoSettings) {
  EXPECT_FALSE(NewLowestFreeFactory()->Create("{\"seed\": 1}").ok());
}

}  // namespace
}  // namespace portolan::plugin
