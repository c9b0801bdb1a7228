#include "services/ipam-service/core/free_ranges.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/base/rng/rng.h"

namespace portolan::ipam {
namespace {

net::IpAddress V4(uint32_t value) { return net::IpAddress::FromValue(net::Family::kIpv4, value); }
net::IpAddress V6(absl::uint128 value) {
  return net::IpAddress::FromValue(net::Family::kIpv6, value);
}
net::Range Of(net::IpAddress first, net::IpAddress last) {
  return net::Range::Of(first, last).value();
}

std::string Text(const FreeRanges& ranges) {
  std::string text;
  for (const net::Range& range : ranges.Lowest(1000)) absl::StrAppend(&text, range.ToString(), ";");
  return text;
}

TEST(FreeRanges, NeighboursMergeIntoOneRange) {
  FreeRanges ranges(net::Family::kIpv4);
  ranges.Insert(Of(V4(10), V4(19)));
  ranges.Insert(Of(V4(30), V4(39)));
  ranges.Insert(Of(V4(20), V4(29)));
  EXPECT_EQ(Text(ranges), "0.0.0.10-0.0.0.39;");
  EXPECT_EQ(ranges.count().ToString(), "30");
}

TEST(FreeRanges, OverlapsAreNotCountedTwice) {
  FreeRanges ranges(net::Family::kIpv4);
  ranges.Insert(Of(V4(10), V4(19)));
  ranges.Insert(Of(V4(15), V4(25)));
  ranges.Insert(Of(V4(12), V4(13)));
  EXPECT_EQ(ranges.count().ToString(), "16");
}

TEST(FreeRanges, ErasingSplitsARange) {
  FreeRanges ranges(net::Family::kIpv4);
  ranges.Insert(Of(V4(10), V4(12)));
  EXPECT_TRUE(ranges.Erase(V4(11)));
  EXPECT_FALSE(ranges.Erase(V4(11)));
  EXPECT_EQ(Text(ranges), "0.0.0.10-0.0.0.10;0.0.0.12-0.0.0.12;");
}

TEST(FreeRanges, TheWholeIpv6SpaceIsOneRangeWithAnExactCount) {
  FreeRanges ranges(net::Family::kIpv6);
  ranges.Insert(Of(V6(0), V6(absl::Uint128Max())));
  EXPECT_EQ(ranges.count().ToString(), "340282366920938463463374607431768211456");
  EXPECT_TRUE(ranges.Erase(V6(absl::Uint128Max())));
  EXPECT_EQ(ranges.count().ToString(), "340282366920938463463374607431768211455");
  EXPECT_TRUE(ranges.Erase(V6(0)));
  ranges.Insert(V6(absl::Uint128Max()));
  ranges.Insert(V6(0));
  EXPECT_EQ(ranges.count().ToString(), "340282366920938463463374607431768211456");
  EXPECT_EQ(ranges.Lowest(10).size(), 1u);
}

TEST(FreeRanges, LooksUpwardsAndDownwards) {
  FreeRanges ranges(net::Family::kIpv4);
  ranges.Insert(Of(V4(10), V4(19)));
  ranges.Insert(Of(V4(30), V4(39)));
  EXPECT_EQ(ranges.FirstFrom(V4(0)), Of(V4(10), V4(19)));
  EXPECT_EQ(ranges.FirstFrom(V4(15)), Of(V4(15), V4(19)));
  EXPECT_EQ(ranges.FirstFrom(V4(20)), Of(V4(30), V4(39)));
  EXPECT_EQ(ranges.FirstFrom(V4(40)), std::nullopt);
  EXPECT_EQ(ranges.LastUpTo(V4(100)), Of(V4(30), V4(39)));
  EXPECT_EQ(ranges.LastUpTo(V4(35)), Of(V4(30), V4(35)));
  EXPECT_EQ(ranges.LastUpTo(V4(29)), Of(V4(10), V4(19)));
  EXPECT_EQ(ranges.LastUpTo(V4(9)), std::nullopt);
}

TEST(FreeRanges, AgreesWithAPlainSetOverRandomOperations) {
  Rng rng(7);
  FreeRanges ranges(net::Family::kIpv4);
  std::set<uint32_t> plain;
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t at = static_cast<uint32_t>(rng.Below(64));
    if (rng.Below(2) == 0) {
      ASSERT_EQ(ranges.Erase(V4(at)), plain.erase(at) == 1);
    } else {
      const uint32_t last = at + static_cast<uint32_t>(rng.Below(4));
      ranges.Insert(Of(V4(at), V4(last)));
      for (uint32_t i = at; i <= last; ++i) plain.insert(i);
    }
    ASSERT_EQ(ranges.count().ToString(), absl::StrCat(plain.size()));
    const uint32_t probe = static_cast<uint32_t>(rng.Below(70));
    ASSERT_EQ(ranges.Contains(V4(probe)), plain.contains(probe));
    auto first = plain.lower_bound(probe);
    auto found = ranges.FirstFrom(V4(probe));
    ASSERT_EQ(found.has_value(), first != plain.end());
    if (!found.has_value()) continue;
    ASSERT_EQ(found->first(), V4(*first));
  }
}

}  // namespace
}  // namespace portolan::ipam
