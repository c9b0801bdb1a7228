#include "services/base/rng/rng.h"

#include <gtest/gtest.h>

#include <vector>

namespace portolan {
namespace {

TEST(RngTest, GivesThePublishedNumbersOfSplitMix64) {
  Rng rng(1234567);
  EXPECT_EQ(rng.Next(), 6457827717110365317u);
  EXPECT_EQ(rng.Next(), 3203168211198807973u);
}

TEST(RngTest, BelowStaysBelowAndReachesEveryValue) {
  Rng rng(1);
  std::vector<int> seen(7);
  for (int i = 0; i < 1000; ++i) ++seen.at(rng.Below(7));
  for (int count : seen) EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace portolan
