#include "plugins/sdk/usable_index.h"

#include <gtest/gtest.h>

#include <vector>

#include "plugins/sdk/testing_free_space.h"

namespace portolan::plugin {
namespace {

TEST(UsableIndex, CountsOverGaps) {
  const std::vector<net::Range> ranges = {TestRange("10.0.0.4", "10.0.0.5"),
                                          TestRange("10.0.1.9", "10.0.1.9"),
                                          TestRange("10.0.2.0", "10.0.2.1")};
  const UsableIndex index(ranges);
  EXPECT_EQ(index.last(), 4u);
  const char* expected[] = {"10.0.0.4", "10.0.0.5", "10.0.1.9", "10.0.2.0", "10.0.2.1"};
  for (uint64_t i = 0; i < 5; ++i) EXPECT_EQ(index.At(i), TestAddress(expected[i])) << i;
}

TEST(UsableIndex, TheWholeIpv6SpaceFits) {
  const std::vector<net::Range> ranges = {
      TestRange("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")};
  const UsableIndex index(ranges);
  EXPECT_EQ(index.last(), absl::Uint128Max());
  EXPECT_EQ(index.At(absl::Uint128Max()), ranges[0].last());
  EXPECT_EQ(index.At(0), ranges[0].first());
}

}  // namespace
}  // namespace portolan::plugin
