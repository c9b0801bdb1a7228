#include "plugins/address_pickers/random/random.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/sdk/address_picker.h"
#include "plugins/sdk/testing_free_space.h"

namespace portolan::plugin {
namespace {

PickResult Pick(const std::string& service, const FreeSpace& free, uint64_t seed = 0,
                const std::string& settings = "") {
  std::unique_ptr<Stage> stage = NewRandomFactory()->Create(settings).value();
  return dynamic_cast<AddressPicker&>(*stage).Pick(
      {.service = service, .pool = "p", .seed = seed, .free = &free});
}

// Draws for many Services, and Pearson's statistic against "each free address alike".
double ChiSquare(const FreeSpace& free, size_t addresses, int draws) {
  std::map<net::IpAddress, int> hits;
  for (int i = 0; i < draws; ++i) ++hits[Pick(absl::StrCat("ns/service-", i), free).address];
  EXPECT_EQ(hits.size(), addresses);
  const double expected = static_cast<double>(draws) / static_cast<double>(addresses);
  double sum = 0;
  for (const auto& [address, count] : hits) {
    sum += (count - expected) * (count - expected) / expected;
  }
  return sum;
}

TEST(Random, EveryFreeAddressIsAsLikelyInAFragmentedPool) {
  // Sixteen free addresses in fragments of 1, 1, 2, 4 and 8, behind gaps of all sizes.
  ListFreeSpace free({TestRange("10.0.0.0", "10.0.0.63"), TestRange("10.0.9.0", "10.0.9.31")},
                     {TestRange("10.0.0.1", "10.0.0.1"), TestRange("10.0.0.40", "10.0.0.40"),
                      TestRange("10.0.0.50", "10.0.0.51"), TestRange("10.0.0.60", "10.0.0.63"),
                      TestRange("10.0.9.24", "10.0.9.31")});
  // With 15 degrees of freedom 37.7 is passed once in a thousand times; the draws are fixed.
  EXPECT_LT(ChiSquare(free, 16, 16'000), 37.7);
}

TEST(Random, EveryFreeAddressIsAsLikelyWhenNextToNothingIsFree) {
  // 4 of 65,536: the throws miss almost always, and the fragments are read.
  ListFreeSpace free({TestRange("10.0.0.0", "10.0.255.255")},
                     {TestRange("10.0.0.7", "10.0.0.7"), TestRange("10.0.8.0", "10.0.8.1"),
                      TestRange("10.0.255.255", "10.0.255.255")});
  EXPECT_LT(ChiSquare(free, 4, 1000), 16.3);  // 3 degrees of freedom, once in a thousand times
}

TEST(Random, AChoiceCostsFewQuestions) {
  std::vector<net::Range> fragments;
  for (uint32_t i = 0; i < 32'768; ++i) {
    const net::IpAddress address =
        net::IpAddress::FromValue(net::Family::kIpv4, 0x0a000000u + 2 * i);
    fragments.push_back(net::Range::Of(address, address).value());
  }
  ListFreeSpace half({TestRange("10.0.0.0", "10.0.255.255")}, fragments);
  for (int i = 0; i < 10; ++i) Pick(absl::StrCat("ns/", i), half);
  EXPECT_LT(half.questions(), 100);  // two for each choice, on average

  ListFreeSpace full({TestRange("10.0.0.0", "10.0.255.255")}, {TestRange("10.0.7.7", "10.0.7.7")});
  Pick("ns/service", full);
  EXPECT_LT(full.questions(), 300);
}

TEST(Random, SpreadsOverAnIpv6PrefixOfLength64) {
  const net::Range all = TestRange("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff");
  ListFreeSpace free({all}, {all});
  int upper_half = 0;
  std::set<net::IpAddress> seen;
  for (int i = 0; i < 1000; ++i) {
    const net::IpAddress address = Pick(absl::StrCat("ns/", i), free).address;
    EXPECT_TRUE(all.Contains(address));
    seen.insert(address);
    if (address >= TestAddress("2001:db8::8000:0:0:0")) ++upper_half;
  }
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_GT(upper_half, 430);
  EXPECT_LT(upper_half, 570);
}

TEST(Random, WorksOnTheWholeIpv6SpaceAndOnOneAddress) {
  const net::Range everything = TestRange("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  ListFreeSpace whole({everything}, {everything});
  EXPECT_NE(Pick("a/b", whole).address, Pick("a/c", whole).address);
  ListFreeSpace one({TestRange("10.0.0.1", "10.0.0.1")}, {TestRange("10.0.0.1", "10.0.0.1")});
  EXPECT_EQ(Pick("a/b", one).address, TestAddress("10.0.0.1"));
}

// Written down once: the same on every machine.
TEST(Random, TheSameServiceSeedAndFreeAddressesGiveTheSameChoice) {
  const net::Range all = TestRange("10.0.0.0", "10.0.0.255");
  EXPECT_EQ(Pick("default/web", ListFreeSpace({all}, {all})).address.ToString(), "10.0.0.207");
  // How the free space is cut into ranges does not matter.
  ListFreeSpace cut({all},
                    {TestRange("10.0.0.0", "10.0.0.99"), TestRange("10.0.0.100", "10.0.0.255")});
  EXPECT_EQ(Pick("default/web", cut).address.ToString(), "10.0.0.207");
}

TEST(Random, TheSeedOfTheSettingsHidesThatOfTheInstallation) {
  const net::Range v6 = TestRange("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff");
  ListFreeSpace free({v6}, {v6});
  EXPECT_NE(Pick("a/b", free, 1).address, Pick("a/b", free, 2).address);
  EXPECT_EQ(Pick("a/b", free, 1, R"({"seed": 7})").address,
            Pick("a/b", free, 2, R"({"seed": 7})").address);
  EXPECT_EQ(Pick("a/b", free, 7).address, Pick("a/b", free, 2, R"({"seed": 7})").address);
}

TEST(Random, DeclinesWhenNothingIsFree) {
  ListFreeSpace free({TestRange("10.0.0.0", "10.0.0.0")}, {});
  EXPECT_EQ(Pick("a/b", free).verdict, PickResult::Verdict::kDeclined);
}

TEST(Random, RefusesSettingsThatItDoesNotKnow) {
  EXPECT_FALSE(NewRandomFactory()->Create(R"({"speed": 1})").ok());
}

}  // namespace
}  // namespace portolan::plugin
