#include "services/bgp-exporter/core/community.h"

#include <gtest/gtest.h>

namespace portolan::bgp {
namespace {

TEST(Community, TextAndNumberAgree) {
  const struct {
    absl::string_view text;
    uint32_t value;
  } kCases[] = {
      {"0:0", 0},
      {"65000:100", 0xfde80064},
      {"65534:65535", 0xfffeffff},
      {"no-export", 0xffffff01},
      {"no-advertise", 0xffffff02},
      {"no-export-subconfed", 0xffffff03},
      {"no-peer", 0xffffff04},
      {"blackhole", 0xffff029a},
      {"graceful-shutdown", 0xffff0000},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(*ParseCommunity(test.text), test.value) << test.text;
    EXPECT_EQ(CommunityText(test.value), test.text);
  }
}

TEST(Community, NonsenseIsRefused) {
  for (const absl::string_view text : {"", ":", "1", "1:", ":1", "65536:1", "1:65536", "1:2:3",
                                       "-1:2", "+1:2", "a:b", "No-Export", " 1:2"}) {
    EXPECT_FALSE(ParseCommunity(text).ok()) << text;
  }
}

}  // namespace
}  // namespace portolan::bgp
