// How a packet leaves: translated, to a neighbour or in a tunnel; by XDP where the driver takes
// frames from it, else by tc. What is too big for the way is answered.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

constexpr uint8_t kRouterMac[6] = {0x02, 0, 0, 0, 0, 0xfe};
constexpr uint8_t kNeighbourMac[6] = {0x02, 0, 0, 0, 0, 0x09};
constexpr uint8_t kOwnMac[6] = {0x02, 0, 0, 0, 0, 0x01};

class DeliveryTest : public ProgramsWorld {
 protected:
  void SetUp() override {
    ProgramsWorld::SetUp();
    if (IsSkipped()) return;
    harness_->SetInterface(if_nametoindex("t0"), kOwnMac,
                           PORTOLAN_INTERFACE_ATTACHED | PORTOLAN_INTERFACE_TARGET);
  }

  std::string Neighbour() const { return ipv6() ? "2001:db8:1::9" : "172.18.0.9"; }
  // Behind a route that carries 1400 octets.
  std::string Narrow() const { return ipv6() ? "2001:db8:9::1" : "10.9.0.1"; }

  void ServeBy(uint16_t flags, const std::string& backend, bool outer_ipv6) {
    harness_->SetBackend(1, {.ipv6 = outer_ipv6,
                             .address = backend,
                             .port = 80,
                             .protocol = protocol(),
                             .source = outer_ipv6 ? "2001:db8:1::1" : "172.18.0.1",
                             .keeps_client = true,
                             .flags = flags});
    harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 0, std::vector<uint32_t>(31, 1));
  }
  void ServeNeighbour() { ServeBy(PORTOLAN_BACKEND_DSR, Neighbour(), ipv6()); }
  void ServeTunnel(bool outer_ipv6) {
    ServeBy(PORTOLAN_BACKEND_TUNNEL, outer_ipv6 ? "2001:db8:244::1" : "10.244.1.1", outer_ipv6);
  }

  int sent() const { return program() == Program::kXdp ? kXdpRedirect : kTcRedirect; }
  // The frame that leaves: XDP addresses it, after tc the kernel does.
  Bytes Addressed(Bytes frame, const uint8_t next_hop[6]) const {
    if (program() == Program::kTc) return frame;
    memcpy(&frame[0], next_hop, 6);
    memcpy(&frame[6], kOwnMac, 6);
    return frame;
  }
  // A hop nearer to its end.
  Bytes Aged(PacketSpec packet) const {
    packet.ttl--;
    return Build(packet);
  }
  // `inner` in a packet from this node, both as frames.
  static Bytes InTunnel(const Bytes& inner, bool inner_ipv6, bool outer_ipv6) {
    PacketSpec outer{.ipv6 = outer_ipv6,
                     .source = outer_ipv6 ? "2001:db8:1::1" : "172.18.0.1",
                     .destination = outer_ipv6 ? "2001:db8:244::1" : "10.244.1.1",
                     .fragment_id = 0};
    outer.fragment = outer_ipv6 ? 0 : 0x4000;
    return BuildAround(outer, inner_ipv6 ? 41 : 4, Bytes(inner.begin() + 14, inner.end()));
  }
  // The flow label of the outer header is any, but not the version.
  static void ForgetLabel(Bytes& frame) {
    frame[15] &= 0xf0;
    frame[16] = frame[17] = 0;
  }
};

INSTANTIATE_TEST_SUITE_P(All, DeliveryTest, EveryCase(), CaseName);

TEST_P(DeliveryTest, ATranslatedPacketLeavesAddressedToTheNextHop) {
  Serve(1);
  const PacketSpec arrived = Via(Request(), Backend(1));
  const Outcome there = Send(Request());
  EXPECT_EQ(there.verdict, sent());
  EXPECT_EQ(there.packet, Addressed(Aged(arrived), kRouterMac));
  PacketSpec answer = Answer(arrived);
  PacketSpec seen = answer;
  seen.source = Vip();
  seen.source_port = 80;
  const Outcome back = Send(answer);
  EXPECT_EQ(back.verdict, sent());
  EXPECT_EQ(back.packet, Addressed(Aged(seen), kRouterMac));
}

TEST_P(DeliveryTest, SourceTranslatedFlowsLeaveThroughBothPrograms) {
  Serve(1, Node());
  const Outcome there = Send(Request());
  EXPECT_EQ(there.verdict, sent());
  PacketSpec arrived = Translated(Request(), there);
  EXPECT_EQ(there.packet, Addressed(Build(arrived), kRouterMac));
  EXPECT_GE(arrived.source_port, 61000);
  const PacketSpec answer = Answer(arrived);
  PacketSpec seen = answer;
  seen.source = Vip();
  seen.source_port = 80;
  seen.destination = Client();
  seen.destination_port = 40000;
  const Outcome back = Send(answer);
  EXPECT_EQ(back.verdict, sent());
  EXPECT_EQ(back.packet, Addressed(Aged(seen), kRouterMac));
}

TEST_P(DeliveryTest, ABackendThatReturnsDirectlyGetsTheFrameUnchanged) {
  ServeNeighbour();
  for (uint8_t flags : {kSyn, kAck}) {
    const Outcome outcome = Send(Request(flags));
    EXPECT_EQ(outcome.verdict, sent());
    EXPECT_EQ(outcome.packet, Addressed(Aged(Request(flags)), kNeighbourMac));
  }
  EXPECT_EQ(harness_->FlowCount(ipv6()), 1);
  EXPECT_EQ(harness_->Counter("backend_counters", 1).packets, 2u);
  EXPECT_EQ(harness_->Counter("backend_counters", 1).flows, 1u);
}

TEST_P(DeliveryTest, ABackendBehindARouterCannotReturnDirectly) {
  ServeBy(PORTOLAN_BACKEND_DSR, Backend(1), ipv6());
  if (program() == Program::kXdp) {
    ExpectUntouched(Request());
  } else {
    ExpectDropped(Build(Request()), PORTOLAN_DROP_NOT_ON_LINK);
  }
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

TEST_P(DeliveryTest, ATunnelCarriesThePacketWhole) {
  for (bool outer_ipv6 : {false, true}) {
    if (ipv6() && !outer_ipv6) continue;
    harness_->Reset();
    harness_->SetInterface(if_nametoindex("t0"), kOwnMac,
                           PORTOLAN_INTERFACE_ATTACHED | PORTOLAN_INTERFACE_TARGET);
    ServeTunnel(outer_ipv6);
    for (uint8_t flags : {kSyn, kAck}) {
      Outcome outcome = Send(Request(flags));
      EXPECT_EQ(outcome.verdict, sent());
      if (outer_ipv6) ForgetLabel(outcome.packet);
      Bytes expected = InTunnel(Aged(Request(flags)), ipv6(), outer_ipv6);
      // The next layer of a frame that tc sends is written by the kernel.
      if (program() == Program::kTc) memcpy(&expected[0], outcome.packet.data(), 14);
      EXPECT_EQ(outcome.packet, Addressed(expected, kRouterMac)) << outer_ipv6;
    }
    EXPECT_EQ(harness_->FlowCount(ipv6()), 1);
  }
}

TEST_P(DeliveryTest, WhatDoesNotFitIsToldHowMuchWould) {
  ServeTunnel(ipv6());
  PacketSpec packet = Request(kAck);
  if (!ipv6()) packet.fragment = 0x4000;
  packet.payload_length = 1500 - (ipv6() ? 40 : 20) - (protocol() == kTcp ? 20 : 8);
  PacketSpec left = packet;  // its checksum to the hardware
  left.partial_checksum = true;
  PacketSpec extended = packet;
  extended.payload_length -= 24;
  if (ipv6()) {
    extended.extensions = {{.type = 60, .units = 2}};
  } else {
    extended.option_words = 6;
  }
  uint64_t told = 0;
  for (const PacketSpec& sent : {packet, left, extended}) {
    if (program() == Program::kXdp) {
      ExpectUntouched(sent);
      continue;
    }
    const Outcome outcome = Send(sent);
    EXPECT_EQ(outcome.verdict, kTcRedirect);
    PacketSpec outer = Answer(packet);
    ExchangeMacs(outer);
    Bytes body = Quote(sent, 8);
    const uint16_t mtu = ipv6() ? 1460 : 1480;
    body[0] = body[1] = 0;
    body[2] = mtu >> 8;
    body[3] = mtu & 0xff;
    outer.fragment = ipv6() ? 0 : 0x4000;
    outer.fragment_id = 0;
    EXPECT_EQ(outcome.packet, BuildIcmp(outer, ipv6() ? 2 : 3, ipv6() ? 0 : 4, body));
    told++;
    EXPECT_EQ(Drops(PORTOLAN_DROP_TOO_BIG).packets, told);
    EXPECT_EQ(harness_->Counter("answers", PORTOLAN_ANSWER_TOO_BIG).packets, told);
  }
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

TEST_P(DeliveryTest, TheWayAndNotTheInterfaceSaysWhatIsTooBig) {
  harness_->SetBackend(1,
                       {.ipv6 = ipv6(), .address = Narrow(), .port = 80, .protocol = protocol()});
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 0, std::vector<uint32_t>(31, 1));
  PacketSpec packet = Request(kAck);
  if (!ipv6()) packet.fragment = 0x4000;
  packet.payload_length = 1400;
  const Outcome outcome = Send(packet);
  if (program() == Program::kXdp) {
    EXPECT_EQ(outcome.packet, Build(packet));
    return;
  }
  const size_t mtu_at = ipv6() ? 14 + 40 + 4 : 14 + 20 + 4;
  ASSERT_EQ(outcome.verdict, kTcRedirect);
  EXPECT_EQ(outcome.packet[mtu_at + 2] << 8 | outcome.packet[mtu_at + 3], 1400);
}

TEST_P(DeliveryTest, AnErrorAboutADirectFlowGoesToItsBackendAsItIs) {
  ServeNeighbour();
  Send(Request());
  // The frontend's own packet was too big for a router on the way to the client.
  const PacketSpec quoted = Answer(Request());
  PacketSpec outer = Request();
  outer.source = Router();
  const Bytes error = BuildIcmp(outer, ipv6() ? 2 : 3, ipv6() ? 0 : 4, Quote(quoted, 8));
  const Outcome outcome = harness_->Run(program(), error);
  EXPECT_EQ(outcome.verdict, sent());
  outer.ttl--;
  const Bytes aged = BuildIcmp(outer, ipv6() ? 2 : 3, ipv6() ? 0 : 4, Quote(quoted, 8));
  EXPECT_EQ(outcome.packet, Addressed(aged, kNeighbourMac));
}

TEST_P(DeliveryTest, FragmentsFollowTheFirstOneDirectly) {
  ServeNeighbour();
  PacketSpec packet = Request(kAck);
  packet.payload_length = 256;
  const auto [first, second] = BuildFragments(packet, 128);
  packet.ttl--;
  const auto [first_aged, second_aged] = BuildFragments(packet, 128);
  EXPECT_EQ(harness_->Run(program(), first).packet, Addressed(first_aged, kNeighbourMac));
  EXPECT_EQ(harness_->Run(program(), second).packet, Addressed(second_aged, kNeighbourMac));
}

TEST_P(DeliveryTest, ThePacketsLastHopIsTheKernelsBusiness) {
  ServeTunnel(ipv6());
  PacketSpec packet = Request();
  packet.ttl = 1;
  ExpectUntouched(packet);
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

TEST_P(DeliveryTest, XdpLeavesWhatGoesOutOfADriverWithoutXdp) {
  harness_->SetInterface(if_nametoindex("t0"), kOwnMac, PORTOLAN_INTERFACE_ATTACHED);
  ServeTunnel(ipv6());
  if (program() == Program::kTc) {
    EXPECT_EQ(Send(Request()).verdict, kTcRedirect);
    return;
  }
  ExpectUntouched(Request());
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

TEST_P(DeliveryTest, AFrameForAnotherMachineIsNotOurs) {
  if (program() == Program::kTc) GTEST_SKIP() << "the kernel says whose it is";
  Serve(1);
  PacketSpec packet = Request();
  packet.destination_mac[5] = 0x77;
  ExpectUntouched(packet);
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

TEST_P(DeliveryTest, TaggedFramesAreTranslatedAndLeftToTheKernel) {
  if (program() == Program::kTc) GTEST_SKIP() << "the kernel takes the tag out of the frame";
  Serve(1);
  for (const std::vector<uint16_t>& vlans : {std::vector<uint16_t>{10}, {20, 10}}) {
    PacketSpec packet = Request();
    packet.source_port += vlans.size();
    packet.vlans = vlans;
    ExpectLeftToTheKernelAs(packet, Via(packet, Backend(1)));
  }
  // What only we can send is tc's, which has the tag beside the packet.
  ServeNeighbour();
  PacketSpec packet = Request();
  packet.vlans = {10};
  packet.source_port = 50000;
  ExpectUntouched(packet);
}

TEST_P(DeliveryTest, EveryTruncationOfATaggedFramePassesUntouched) {
  Serve(1);
  PacketSpec spec = Request();
  spec.vlans = {20, 10};
  const Bytes whole = Build(spec);
  for (size_t size = 14; size < whole.size(); size++) {
    const Bytes packet(whole.begin(), whole.begin() + size);
    const Outcome outcome = harness_->Run(program(), packet);
    if (outcome.verdict == -100) continue;  // too short even for BPF_PROG_RUN
    ASSERT_EQ(outcome.verdict, pass()) << size;
    ASSERT_EQ(outcome.packet, packet) << size;
  }
}

}  // namespace
}  // namespace portolan::bpf
