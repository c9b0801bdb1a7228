#include "services/datapath-loader/shell/frame_view.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "services/datapath-loader/shell/test_frame.h"

namespace portolan::datapath {
namespace {

net::IpAddress Ip(const std::string& text) { return *net::IpAddress::Parse(text); }

std::string Frame(bool ipv6) {
  return ipv6 ? TcpFrame(Ip("2001:db8::7"), 40000, Ip("2001:db8::1"), 80)
              : TcpFrame(Ip("192.0.2.7"), 40000, Ip("192.0.2.1"), 80);
}

TEST(FrameViewTest, ReadsAddressesAndPortsBehindUpToTwoTags) {
  for (const bool ipv6 : {false, true}) {
    std::string frame = Frame(ipv6);
    for (int tags = 0; tags < 3; tags++) {
      const auto view = ViewFrame(frame);
      ASSERT_TRUE(view.has_value()) << tags;
      EXPECT_EQ(view->source, Ip(ipv6 ? "2001:db8::7" : "192.0.2.7"));
      EXPECT_EQ(view->destination, Ip(ipv6 ? "2001:db8::1" : "192.0.2.1"));
      EXPECT_EQ(view->source_port, 40000);
      EXPECT_EQ(view->destination_port, 80);
      EXPECT_TRUE(view->has_ports);
      EXPECT_FALSE(view->fragment_id.has_value());
      frame.insert(12, std::string("\x81\0\0\5", 4));
    }
    EXPECT_FALSE(ViewFrame(frame).has_value()) << "three tags";
  }
}

TEST(FrameViewTest, WhatIsCutShortOrForeignIsNothing) {
  for (const bool ipv6 : {false, true}) {
    const std::string frame = Frame(ipv6);
    const size_t ports_end = 14 + (ipv6 ? 40 : 20) + 4;
    for (size_t size = 0; size < ports_end; size++) {
      EXPECT_FALSE(ViewFrame(frame.substr(0, size)).has_value()) << size;
    }
    EXPECT_TRUE(ViewFrame(frame.substr(0, ports_end)).has_value());
  }
  EXPECT_FALSE(ViewFrame(ArpFrame()).has_value());
}

TEST(FrameViewTest, AnErrorBelongsToTheAnswersToWhatItQuotes) {
  const std::string quoted = Frame(false).substr(14);
  std::string error = TcpFrame(Ip("198.51.100.1"), 0, Ip("192.0.2.7"), 0).substr(0, 34);
  error[23] = IPPROTO_ICMP;
  error += std::string("\3\3\0\0\0\0\0\0", 8) + quoted;
  const auto view = ViewFrame(error);
  ASSERT_TRUE(view.has_value());
  EXPECT_TRUE(view->is_error);
  const portolan_flow_key4 key = view->Key4();
  EXPECT_EQ(key.sport, htons(80));
  EXPECT_EQ(key.dport, htons(40000));
  EXPECT_EQ(view->flow_source, Ip("192.0.2.1"));
  EXPECT_EQ(view->flow_destination, Ip("192.0.2.7"));
  EXPECT_EQ(key.protocol, IPPROTO_TCP);
}

TEST(FrameViewTest, ALaterFragmentHasAnIdentityAndNoPorts) {
  std::string frame = Frame(false);
  frame[18] = 0x12;
  frame[19] = 0x34;
  frame[20] = 0x20;  // more fragments
  const auto first = ViewFrame(frame);
  EXPECT_TRUE(first->has_ports);
  frame[21] = 5;
  const auto later = ViewFrame(frame);
  EXPECT_FALSE(later->has_ports);
  EXPECT_EQ(later->FragmentKey().id, htons(0x1234));
  EXPECT_EQ(first->FragmentKey().id, htons(0x1234));
}

TEST(TestFrameTest, ChecksumsFitAndADamagedFrameIsFoundOut) {
  for (const bool ipv6 : {false, true}) {
    std::string frame = Frame(ipv6);
    EXPECT_TRUE(HasRightChecksums(frame));
    for (const size_t at : {size_t{30}, frame.size() - 1}) {
      std::string damaged = frame;
      damaged[at] ^= 1;
      EXPECT_FALSE(HasRightChecksums(damaged)) << at;
    }
  }
  EXPECT_FALSE(HasRightChecksums("short"));
}

}  // namespace
}  // namespace portolan::datapath
