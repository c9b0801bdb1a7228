#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/base/net/ip_address.h"
#include "services/base/net/mac_address.h"
#include "services/base/net/prefix.h"

namespace portolan::net {
namespace {

IpAddress Ip(absl::string_view text) { return IpAddress::Parse(text).value(); }

TEST(IpAddressTest, PrintsTheCanonicalFormOfRfc5952) {
  for (const char* text : {"0.0.0.0", "1.2.3.4", "20.0.10.255", "255.254.1.0", "128.0.0.1"}) {
    EXPECT_EQ(Ip(text).ToString(), text);
  }
  EXPECT_EQ(Ip("2001:DB8:0:0:0:0:0:1").ToString(), "2001:db8::1");
  EXPECT_EQ(Ip("::").ToString(), "::");
}

TEST(IpAddressTest, RefusesWhatIsNotExactlyOneAddress) {
  for (const char* text : {"", " 1.2.3.4", "1.2.3.4 ", "1.2.3", "1.2.3.256", "01.2.3.4",
                           "1.2.3.4/32", "fe80::1%eth0", "2001:db8::g", "::1::"}) {
    EXPECT_FALSE(IpAddress::Parse(text).ok()) << text;
  }
  EXPECT_FALSE(IpAddress::Parse(absl::string_view("1.2.3.4\0x", 9)).ok());
}

TEST(IpAddressTest, SurvivesTheRoundTripThroughBytes) {
  for (const char* text : {"0.0.0.0", "255.255.255.255", "20.0.10.1", "2001:db8:dead:beef::f1e"}) {
    const std::string bytes = Ip(text).ToBytes();
    const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
    EXPECT_EQ(*IpAddress::FromBytes({data, bytes.size()}), Ip(text));
  }
}

TEST(IpAddressTest, NextAndPreviousStopAtTheEndsOfTheFamily) {
  EXPECT_EQ(Ip("20.0.10.255").Next(), Ip("20.0.11.0"));
  EXPECT_EQ(Ip("255.255.255.255").Next(), std::nullopt);
  EXPECT_EQ(Ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").Next(), std::nullopt);
  EXPECT_EQ(Ip("::").Previous(), std::nullopt);
  EXPECT_EQ(Ip("2001:db8::1:0").Previous(), Ip("2001:db8::ffff"));
}

TEST(IpAddressTest, KnowsSpecialAddresses) {
  EXPECT_TRUE(Ip("224.0.0.1").IsMulticast());
  EXPECT_TRUE(Ip("ff02::1").IsMulticast());
  EXPECT_FALSE(Ip("223.255.255.255").IsMulticast());
  EXPECT_TRUE(Ip("fe80::1").IsLinkLocal());
  EXPECT_TRUE(Ip("febf::1").IsLinkLocal());
  EXPECT_FALSE(Ip("fec0::1").IsLinkLocal());
  EXPECT_TRUE(Ip("169.254.1.1").IsLinkLocal());
  EXPECT_TRUE(Ip("127.0.0.53").IsLoopback());
  EXPECT_TRUE(Ip("::1").IsLoopback());
}

TEST(IpAddressTest, OrdersIpv4BeforeIpv6) { EXPECT_LT(Ip("255.255.255.255"), Ip("::")); }

TEST(PrefixTest, RefusesHostBitsAndNamesTheMaskedForm) {
  const auto prefix = Prefix::Parse("20.0.10.1/24");
  ASSERT_FALSE(prefix.ok());
  EXPECT_NE(prefix.status().message().find("write 20.0.10.0/24"), absl::string_view::npos);
}

TEST(PrefixTest, RefusesMissingAndOversizedLengths) {
  for (const char* text : {"20.0.10.0", "20.0.10.0/", "20.0.10.0/33", "20.0.10.0/-1",
                           "20.0.10.0/+8", "2001:db8::/129", "/24", "20.0.10.0/24/24"}) {
    EXPECT_FALSE(Prefix::Parse(text).ok()) << text;
  }
}

TEST(PrefixTest, CoversFirstToLastAtEveryExtreme) {
  EXPECT_EQ(Prefix::Parse("172.18.255.200/29")->last(), Ip("172.18.255.207"));
  EXPECT_EQ(Prefix::Parse("0.0.0.0/0")->last(), Ip("255.255.255.255"));
  EXPECT_EQ(Prefix::Parse("::/0")->last(), Ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_EQ(Prefix::Parse("10.0.0.1/32")->last(), Ip("10.0.0.1"));
  EXPECT_TRUE(Prefix::Parse("2001:db8::/32")->Contains(Ip("2001:db8:ffff::1")));
  EXPECT_FALSE(Prefix::Parse("0.0.0.0/0")->Contains(Ip("::1")));
}

TEST(RangeTest, RefusesMixedFamiliesAndReversedEnds) {
  EXPECT_FALSE(Range::Of(Ip("10.0.0.1"), Ip("::1")).ok());
  EXPECT_FALSE(Range::Of(Ip("10.0.0.2"), Ip("10.0.0.1")).ok());
}

TEST(RangeTest, OverlapsWhenOneAddressIsShared) {
  const Range a = *Range::Of(Ip("10.0.0.0"), Ip("10.0.0.10"));
  EXPECT_TRUE(a.Overlaps(*Range::Of(Ip("10.0.0.10"), Ip("10.0.0.20"))));
  EXPECT_FALSE(a.Overlaps(*Range::Of(Ip("10.0.0.11"), Ip("10.0.0.20"))));
  EXPECT_FALSE(a.Overlaps(Range::Of(*Prefix::Parse("::/0"))));
}

TEST(MacAddressTest, ParsesAndPrints) {
  EXPECT_EQ(MacAddress::Parse("02:AB:00:00:00:0f")->ToString(), "02:ab:00:00:00:0f");
  for (const char* text : {"", "02:ab:00:00:00", "02-ab-00-00-00-0f", "02:ab:00:00:00:0g"}) {
    EXPECT_FALSE(MacAddress::Parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace portolan::net
