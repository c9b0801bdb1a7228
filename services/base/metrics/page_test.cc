#include "services/base/metrics/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portolan::metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Histogram, AValueOnABoundBelongsBelowIt) {
  Histogram histogram({1, 10});
  for (const double value : {0.5, 1.0, 1.5, 10.0, 11.0, 1000.0}) histogram.Observe(value);
  EXPECT_THAT(histogram.counts(), ElementsAre(2, 2, 2));
  EXPECT_EQ(histogram.sum(), 1024);
}

TEST(Page, SpeaksThePrometheusTextFormat) {
  Page page;
  page.AddGauge("portolan_pool_addresses", "Addresses.", {{"pool", "a\"b"}, {"family", "ipv4"}}, 7);
  page.AddCounter("portolan_things_total", "Things.", {}, 3);
  page.AddGauge("portolan_pool_addresses", "Addresses.", {{"pool", "c"}, {"family", "ipv6"}},
                0x1p64);
  EXPECT_EQ(page.ToText(),
            "# HELP portolan_pool_addresses Addresses.\n"
            "# TYPE portolan_pool_addresses gauge\n"
            "portolan_pool_addresses{pool=\"a\\\"b\",family=\"ipv4\"} 7\n"
            "portolan_pool_addresses{pool=\"c\",family=\"ipv6\"} 1.844674407370955e+19\n"
            "# HELP portolan_things_total Things.\n"
            "# TYPE portolan_things_total counter\n"
            "portolan_things_total 3\n");
}

TEST(Page, BucketsOfAHistogramAreCumulative) {
  Histogram histogram({0.5, 2});
  for (const double value : {0.25, 1.0, 1.5, 9.0}) histogram.Observe(value);
  Page page;
  page.AddHistogram("portolan_wait_seconds", "Waiting.", {{"service", "ipam"}}, histogram);
  const std::string text = page.ToText();
  EXPECT_THAT(text, HasSubstr("portolan_wait_seconds_count{service=\"ipam\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("portolan_wait_seconds_sum{service=\"ipam\"} 11.75\n"));
  EXPECT_THAT(text, HasSubstr("portolan_wait_seconds_bucket{service=\"ipam\",le=\"0.5\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("portolan_wait_seconds_bucket{service=\"ipam\",le=\"2\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("portolan_wait_seconds_bucket{service=\"ipam\",le=\"+Inf\"} 4\n"));
}

TEST(Page, PagesOfSeveralServicesBecomeOneFamily) {
  Page one, two;
  one.AddGauge("portolan_x", "X.", {{"service", "a"}}, 1);
  two.AddGauge("portolan_x", "X.", {{"service", "b"}}, 2);
  one.Merge(std::move(two));
  EXPECT_EQ(one.ToText(),
            "# HELP portolan_x X.\n# TYPE portolan_x gauge\n"
            "portolan_x{service=\"a\"} 1\nportolan_x{service=\"b\"} 2\n");
}

TEST(PageDeathTest, AWrongNameIsOurBug) {
  Page page;
  EXPECT_DEATH(page.AddGauge("ipam_x", "X.", {}, 1), "not the name of a metric of ours");
  EXPECT_DEATH(page.AddGauge("portolan_x-y", "X.", {}, 1), "not the name of a metric of ours");
  EXPECT_DEATH(page.AddCounter("portolan_x", "X.", {}, 1), "_total is for counters");
  EXPECT_DEATH(page.AddGauge("portolan_x_total", "X.", {}, 1), "_total is for counters");
  page.AddGauge("portolan_x", "X.", {}, 1);
  EXPECT_DEATH(page.AddHistogram("portolan_x", "X.", {}, Histogram({1})), "one metric, two types");
}

}  // namespace
}  // namespace portolan::metrics
