// The end of a tunnel, in tc: what is opened, and what is not ours to open.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>

#include "bpf/test/harness.h"
#include "bpf/test/loaded_test.h"
#include "bpf/test/network.h"

namespace portolan::bpf {
namespace {

constexpr int kOk = 0;
constexpr int kContinue = -1;
constexpr int kShot = 2;

// The families of the outer and of the inner header: IPv6?
using Families = std::tuple<bool, bool>;

class TunnelTest : public LoadedTest<Families> {
 protected:
  void SetUp() override {
    Load({});
    if (harness_ == nullptr) return;
    harness_->OpenTunnelsFrom(outer_ipv6(), {Balancer(), outer_ipv6() ? 64u : 24u});
  }
  static bool outer_ipv6() { return std::get<0>(GetParam()); }
  static bool inner_ipv6() { return std::get<1>(GetParam()); }
  static std::string Balancer() { return outer_ipv6() ? "2001:db8:1::5" : "172.18.0.5"; }
  static PacketSpec Inner() {
    PacketSpec packet{.ipv6 = inner_ipv6()};
    packet.source = inner_ipv6() ? "2001:db8:c::7" : "192.0.2.7";
    packet.destination = inner_ipv6() ? "2001:db8:20::1" : "20.0.10.1";
    return packet;
  }
  static PacketSpec Outer() {
    PacketSpec outer{.ipv6 = outer_ipv6()};
    outer.source = Balancer();
    outer.destination = outer_ipv6() ? "2001:db8:1::1" : "172.18.0.1";
    return outer;
  }
  static uint8_t Protocol() { return inner_ipv6() ? 41 : 4; }
  static Bytes Payload() {
    const Bytes frame = Build(Inner());
    return Bytes(frame.begin() + 14, frame.end());
  }
  void ExpectUntouched(const Bytes& packet) {
    for (Program program : {Program::kXdp, Program::kTc}) {
      const Outcome outcome = harness_->Run(program, packet);
      if (outcome.verdict == -100) continue;  // too short even for BPF_PROG_RUN
      EXPECT_EQ(outcome.verdict, program == Program::kXdp ? 2 : kContinue);
      EXPECT_EQ(outcome.packet, packet);
    }
    EXPECT_EQ(harness_->Counter("answers", PORTOLAN_ANSWER_OPENED).packets, 0u);
  }
};

INSTANTIATE_TEST_SUITE_P(All, TunnelTest, testing::Combine(testing::Bool(), testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<1>(info.param) ? "Ipv6" : "Ipv4") + "In" +
                                  (std::get<0>(info.param) ? "Ipv6" : "Ipv4");
                         });

TEST_P(TunnelTest, APacketForThisMachineComesOut) {
  const Outcome outcome = harness_->Run(Program::kTc, BuildAround(Outer(), Protocol(), Payload()));
  EXPECT_EQ(outcome.verdict, kOk);
  EXPECT_EQ(Bytes(outcome.packet.begin() + 14, outcome.packet.end()), Payload());
  EXPECT_EQ(harness_->Counter("answers", PORTOLAN_ANSWER_OPENED).packets, 1u);
}

TEST_P(TunnelTest, AMachineThatIsNoRouterOpensItToo) {
  const std::string forwarding =
      outer_ipv6() ? "/proc/sys/net/ipv6/conf/all/forwarding" : "/proc/sys/net/ipv4/ip_forward";
  ASSERT_TRUE(bpf::Run("echo 0 > " + forwarding));
  const Outcome outcome = harness_->Run(Program::kTc, BuildAround(Outer(), Protocol(), Payload()));
  ASSERT_TRUE(bpf::Run("echo 1 > " + forwarding));
  EXPECT_EQ(outcome.verdict, kOk);
  EXPECT_EQ(Bytes(outcome.packet.begin() + 14, outcome.packet.end()), Payload());
}

TEST_P(TunnelTest, XdpLeavesItToTc) {
  const Bytes packet = BuildAround(Outer(), Protocol(), Payload());
  const Outcome outcome = harness_->Run(Program::kXdp, packet);
  EXPECT_EQ(outcome.verdict, 2);
  EXPECT_EQ(outcome.packet, packet);
}

TEST_P(TunnelTest, AStrangersTunnelIsNotOpened) {
  PacketSpec outer = Outer();
  outer.source = outer_ipv6() ? "2001:db8:2::5" : "172.19.0.5";
  ExpectUntouched(BuildAround(outer, Protocol(), Payload()));
}

TEST_P(TunnelTest, ATunnelThatEndsElsewhereGoesOn) {
  PacketSpec outer = Outer();
  outer.destination = outer_ipv6() ? "2001:db8:7::1" : "10.7.0.1";
  ExpectUntouched(BuildAround(outer, Protocol(), Payload()));
}

TEST_P(TunnelTest, WhatIsNoPacketStaysInside) {
  Bytes wrong_version = Payload();
  wrong_version[0] = inner_ipv6() ? 0x45 : 0x60;
  ExpectUntouched(BuildAround(Outer(), Protocol(), wrong_version));
  Bytes too_long = Payload();
  too_long[inner_ipv6() ? 4 : 2] = 0x7f;
  ExpectUntouched(BuildAround(Outer(), Protocol(), too_long));
}

TEST_P(TunnelTest, EveryTruncationPassesUntouched) {
  const Bytes whole = BuildAround(Outer(), Protocol(), Payload());
  for (size_t size = 14; size < whole.size(); size++) {
    ExpectUntouched(Bytes(whole.begin(), whole.begin() + size));
  }
  for (size_t size = 0; size < Payload().size(); size++) {
    const Bytes payload = Payload();
    ExpectUntouched(
        BuildAround(Outer(), Protocol(), Bytes(payload.begin(), payload.begin() + size)));
  }
}

TEST_P(TunnelTest, FragmentsOfATunnelAreTheKernels) {
  PacketSpec outer = Outer();
  outer.fragment = 0x2000;
  ExpectUntouched(BuildAround(outer, Protocol(), Payload()));
}

TEST_P(TunnelTest, CongestionInTheTunnelIsToldOrDropped) {
  if (outer_ipv6() || inner_ipv6()) GTEST_SKIP() << "the kernel's helper does the same";
  // The second octet: not ECN-capable, then capable.
  for (uint8_t ecn : {0, 2}) {
    Bytes payload = Payload();
    payload[1] = ecn;
    Bytes packet = BuildAround(Outer(), Protocol(), payload);
    packet[15] = 3;
    const Outcome outcome = harness_->Run(Program::kTc, packet);
    EXPECT_EQ(outcome.verdict, ecn == 0 ? kShot : kOk);
    if (ecn != 0) {
      EXPECT_EQ(outcome.packet[15] & 3, 3);
    }
  }
  EXPECT_EQ(harness_->Counter("drops", PORTOLAN_DROP_CONGESTED).packets, 1u);
  EXPECT_TRUE(harness_->ServiceDrops().empty());
}

}  // namespace
}  // namespace portolan::bpf
