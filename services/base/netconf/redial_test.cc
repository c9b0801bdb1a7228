#include "services/base/netconf/redial.h"

#include <gtest/gtest.h>

namespace portolan::netconf {
namespace {

using Call = Redial::Call;
using StartWith = CallHomePlan::StartWith;

const absl::Time kBegin = absl::FromUnixSeconds(1000000);

Call At(size_t endpoint, absl::Duration wait) { return {endpoint, wait}; }

TEST(RedialTest, EachEndpointIsTriedAsOftenAsThePlanSaysAndThenTheFirstAgain) {
  Redial redial({.endpoints = 2, .max_attempts = 2});
  EXPECT_EQ(redial.First(0.9), At(0, absl::ZeroDuration()));
  EXPECT_EQ(redial.AfterFailure(), At(0, absl::Seconds(1)));
  EXPECT_EQ(redial.AfterFailure(), At(1, absl::Seconds(2)));
  EXPECT_EQ(redial.AfterFailure(), At(1, absl::Seconds(4)));
  EXPECT_EQ(redial.AfterFailure(), At(0, absl::Seconds(8)));
}

TEST(RedialTest, WaitsAMinuteAtMost) {
  Redial redial({});
  redial.First(0);
  for (int i = 0; i < 6; ++i) EXPECT_LT(redial.AfterFailure().wait, absl::Minutes(1));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(redial.AfterFailure().wait, absl::Minutes(1));
}

TEST(RedialTest, SessionMakesWaitsShortAgain) {
  Redial redial({});
  redial.First(0);
  redial.AfterFailure();
  redial.AfterFailure();
  EXPECT_EQ(redial.AfterSession(kBegin, kBegin, 0), At(0, absl::Seconds(1)));
  EXPECT_EQ(redial.AfterFailure(), At(0, absl::Seconds(1)));
}

TEST(RedialTest, StartsWhereThePlanSays) {
  Redial first({.endpoints = 3, .max_attempts = 1});
  Redial last({.endpoints = 3, .start_with = StartWith::kLastConnected, .max_attempts = 1});
  for (Redial* redial : {&first, &last}) {
    EXPECT_EQ(redial->First(0.9).endpoint, 0);
    EXPECT_EQ(redial->AfterFailure().endpoint, 1);
  }
  EXPECT_EQ(first.AfterSession(kBegin, kBegin, 0.9).endpoint, 0);
  EXPECT_EQ(last.AfterSession(kBegin, kBegin, 0.9).endpoint, 1);
  Redial any({.endpoints = 3, .start_with = StartWith::kRandomSelection});
  EXPECT_EQ(any.First(0).endpoint, 0);
  EXPECT_EQ(any.First(0.5).endpoint, 1);
  EXPECT_EQ(any.First(0.999999999999999999).endpoint, 2);
}

TEST(RedialTest, PeriodicCallsComeOnceAPeriodFromTheFirst) {
  Redial redial({.period = absl::Minutes(10)});
  redial.First(0);
  const auto wait = [&](absl::Duration lasted) {
    return redial.AfterSession(kBegin, kBegin + lasted, 0).wait;
  };
  EXPECT_EQ(wait(absl::Minutes(1)), absl::Minutes(9));
  EXPECT_EQ(wait(absl::Minutes(10)), absl::Minutes(10));
  EXPECT_EQ(wait(absl::Minutes(25)), absl::Minutes(5));
}

}  // namespace
}  // namespace portolan::netconf
