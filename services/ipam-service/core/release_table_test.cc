// What is remembered of given-up addresses, and how a pool sorts them.
#include "services/ipam-service/core/release_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "services/ipam-service/core/pool_history.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Moment At(int64_t seconds) {
  return {absl::FromUnixSeconds(seconds), absl::FromUnixSeconds(1'700'000'000 + seconds)};
}
net::IpAddress V4(uint32_t number) {
  return net::IpAddress::FromValue(net::Family::kIpv4, 0x0a000000u + number);
}

TEST(ReleaseTable, TheLastReleaseReplacesTheOneBefore) {
  ReleaseTable table;
  table.Note(V4(1), "a/first", At(1));
  table.Note(V4(1), "a/second", At(2));
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.Find(V4(1))->service, "a/second");
  EXPECT_EQ(table.RowOf(V4(1)), (ReleaseRow{V4(1), "a/second", 1'700'000'002'000}));
  EXPECT_EQ(table.Find(V4(2)), nullptr);
}

TEST(ReleaseTable, StampsGrowThoughTheClockStandsOrGoesBack) {
  ReleaseTable table;
  Moment now = At(100);
  table.Note(V4(1), "a/b", now);
  table.Note(V4(2), "a/b", now);
  now.wall -= absl::Hours(1);
  table.Note(V4(3), "a/b", now);
  EXPECT_EQ(table.Find(V4(2))->released_unix_ms, table.Find(V4(1))->released_unix_ms + 1);
  EXPECT_EQ(table.Find(V4(3))->released_unix_ms, table.Find(V4(1))->released_unix_ms + 2);
}

TEST(ReleaseTable, ARowOfTheFutureWasGivenUpJustNow) {
  ReleaseTable table;
  table.Load({V4(1), "a/b", 1'700'000'040'000}, At(100));
  table.Load({V4(2), "a/b", 1'800'000'000'000}, At(100));
  EXPECT_EQ(table.Find(V4(1))->released_at, At(40).steady);
  EXPECT_EQ(table.Find(V4(2))->released_at, At(100).steady);
  table.Note(V4(3), "a/b", At(101));
  EXPECT_GT(table.Find(V4(3))->released_unix_ms, table.Find(V4(2))->released_unix_ms);
}

TEST(ReleaseTable, BeyondItsLimitTheLongestAgoAreForgottenManyAtOnce) {
  ReleaseTable table;
  for (uint32_t i = 0; i < ReleaseTable::kMaxReleases; ++i) table.Note(V4(i), "a/b", At(1));
  EXPECT_THAT(table.Surplus(), IsEmpty());
  table.Note(V4(0), "a/b", At(2));  // the newest now
  EXPECT_THAT(table.Surplus(), IsEmpty());
  table.Note(V4(ReleaseTable::kMaxReleases), "a/b", At(2));
  const std::vector<net::IpAddress> surplus = table.Surplus();
  ASSERT_EQ(surplus.size(), ReleaseTable::kForgottenAtOnce);
  EXPECT_EQ(surplus.front(), V4(1));
  EXPECT_EQ(surplus.back(), V4(ReleaseTable::kForgottenAtOnce));
  for (const net::IpAddress& address : surplus) table.Forget(address);
  EXPECT_THAT(table.Surplus(), IsEmpty());
  EXPECT_EQ(table.Find(V4(1)), nullptr);
  EXPECT_NE(table.Find(V4(0)), nullptr);
}

class PoolHistoryTest : public testing::Test {
 protected:
  PoolHistoryTest() {
    table_.Note(V4(2), "a/b", At(1));
    table_.Note(V4(1), "a/b", At(5));
    history_.AddFree(BlockOf("10.0.0.1-10.0.0.3").range);
    cooling_ = history_.AddPast(BlockOf("10.0.0.0-10.0.0.9").range, At(11).steady);
  }

  ReleaseTable table_;
  PoolHistory history_{net::Family::kIpv4, &table_, absl::Seconds(10)};
  std::vector<net::IpAddress> cooling_;
};

TEST_F(PoolHistoryTest, SortsWhatIsFreeByItsPast) {
  EXPECT_THAT(cooling_, ElementsAre(V4(1)));
  EXPECT_EQ(history_.LowestUnused(), V4(3));
  EXPECT_EQ(history_.LongestReleased(), V4(2));
  EXPECT_EQ(history_.Cooling(V4(1))->service, "a/b");
  EXPECT_EQ(history_.Cooling(V4(2)), nullptr);
  EXPECT_EQ(history_.next_end(), At(15).steady);
}

TEST_F(PoolHistoryTest, WhatIsTakenIsInNoneOfTheThree) {
  EXPECT_TRUE(history_.Take(V4(1)));
  EXPECT_FALSE(history_.Take(V4(2)));
  EXPECT_FALSE(history_.Take(V4(3)));
  EXPECT_EQ(history_.LowestUnused(), std::nullopt);
  EXPECT_EQ(history_.LongestReleased(), std::nullopt);
  EXPECT_EQ(history_.next_end(), std::nullopt);
  table_.Note(V4(2), "a/c", At(20));
  EXPECT_TRUE(history_.Give(V4(2), At(20).steady));
  EXPECT_FALSE(history_.Give(V4(1), At(20).steady));
  EXPECT_FALSE(history_.Give(V4(3), At(20).steady));
  EXPECT_EQ(history_.LongestReleased(), V4(1));
  EXPECT_EQ(history_.LowestUnused(), V4(3));
}

TEST_F(PoolHistoryTest, ACoolDownEndsAtItsMoment) {
  EXPECT_THAT(history_.EndCoolDowns(At(14).steady), IsEmpty());
  EXPECT_THAT(history_.EndCoolDowns(At(15).steady), ElementsAre(V4(1)));
  EXPECT_EQ(history_.cooling(), 0u);
  EXPECT_EQ(history_.LongestReleased(), V4(2));
}

TEST_F(PoolHistoryTest, WhatIsForgottenCountsAsNeverUsed) {
  EXPECT_TRUE(history_.Forget(V4(1)));
  EXPECT_FALSE(history_.Forget(V4(2)));
  table_.Forget(V4(1));
  table_.Forget(V4(2));
  EXPECT_EQ(history_.LowestUnused(), V4(1));
  EXPECT_EQ(history_.LongestReleased(), std::nullopt);
}

}  // namespace
}  // namespace portolan::ipam
