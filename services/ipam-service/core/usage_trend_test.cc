#include "services/ipam-service/core/usage_trend.h"

#include <gtest/gtest.h>

namespace portolan::ipam {
namespace {

absl::Time After(absl::Duration since) { return absl::UnixEpoch() + since; }

TEST(UsageTrend, ForeseesTheEndAtTheRateOfTheLastHour) {
  UsageTrend trend;
  trend.Note(After(absl::ZeroDuration()), 10);
  // 20 more in ten minutes; 100 more take fifty.
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Minutes(10)), 30, 100), 3000);
}

TEST(UsageTrend, SaysNothingWithoutAMinuteOfGrowth) {
  UsageTrend trend;
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Minutes(5)), 30, 100), 0) << "no sample";
  trend.Note(After(absl::ZeroDuration()), 10);
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Seconds(59)), 30, 100), 0) << "too early";
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Minutes(10)), 10, 100), 0) << "no growth";
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Minutes(10)), 5, 100), 0) << "shrinks";
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Minutes(10)), 30, 0), 0) << "exhausted already";
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Minutes(10)), 11, 1e30), 0) << "in centuries";
}

TEST(UsageTrend, ForgetsWhatWasMoreThanAnHourAgo) {
  UsageTrend trend;
  trend.Note(After(absl::ZeroDuration()), 0);
  trend.Note(After(absl::Minutes(1)), 1000);  // a burst
  trend.Note(After(absl::Minutes(61)), 1000);
  trend.Note(After(absl::Minutes(62)), 1000);
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Minutes(62)), 1000, 100), 0);
}

TEST(UsageTrend, RoundsToTwoDigits) {
  UsageTrend trend;
  trend.Note(After(absl::ZeroDuration()), 0);
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Minutes(1)), 7, 1000), 8600);  // 8571.4
  EXPECT_EQ(trend.ExhaustedIn(After(absl::Minutes(1)), 1000, 1), 1);     // 0.06
}

}  // namespace
}  // namespace portolan::ipam
