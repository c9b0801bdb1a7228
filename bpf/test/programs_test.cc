// What each program makes of a packet, both programs, both families, TCP and UDP.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

class ProgramsTest : public ProgramsWorld {};

INSTANTIATE_TEST_SUITE_P(All, ProgramsTest, EveryCase(), CaseName);

TEST_P(ProgramsTest, RequestGoesToABackendAndItsAnswerComesFromTheFrontend) {
  Serve(1);
  const PacketSpec arrived = Via(Request(), Backend(1));
  ExpectBecomes(Request(), arrived);
  PacketSpec answer = Answer(arrived);
  PacketSpec seen = answer;
  seen.source = Vip();
  seen.source_port = 80;
  ExpectBecomes(answer, seen);
  EXPECT_EQ(harness_->FlowCount(ipv6()), 2);
  EXPECT_EQ(harness_->Counter("counters", 1).packets, 1u);
  EXPECT_EQ(harness_->Counter("counters", 1).bytes, Build(Request()).size());
}

TEST_P(ProgramsTest, WhatIsForNobodyPassesUntouched) {
  Serve(1);
  for (uint8_t other : {protocol(), uint8_t{47}, uint8_t{1}, uint8_t{58}, uint8_t{132}}) {
    PacketSpec packet = Request();
    packet.destination = Vip(9);
    packet.protocol = other;
    ExpectUntouched(packet);
    // A backend that speaks for itself.
    packet.source = Backend(1);
    packet.destination = Client();
    ExpectUntouched(packet);
  }
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

TEST_P(ProgramsTest, TheVerifierHasLittleToDo) {
  const uint32_t instructions = harness_->VerifiedInstructions(program());
  EXPECT_GT(instructions, 0u);
  EXPECT_LT(instructions, 200000u);
  RecordProperty("verified_insns", static_cast<int>(instructions));
}

TEST_P(ProgramsTest, UnknownEthertypesPassUntouched) {
  Serve(1);
  for (uint16_t type : {0x0806, 0x8100, 0x88a8, 0x0001}) {
    PacketSpec packet = Request();
    packet.ethertype = type;
    ExpectUntouched(packet);
  }
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

TEST_P(ProgramsTest, DontFragmentIsNoFragment) {
  if (ipv6()) GTEST_SKIP() << "no such flag";
  Serve(1);
  PacketSpec packet = Request();
  packet.fragment = 0x4000;
  ExpectBecomes(packet, Via(packet, Backend(1)));
}

TEST_P(ProgramsTest, Ipv4OptionsStay) {
  if (ipv6()) GTEST_SKIP() << "IPv4 only";
  Serve(1);
  for (int words : {1, 5, 10}) {
    PacketSpec packet = Request();
    packet.option_words = words;
    packet.source_port = 41000 + words;
    ExpectBecomes(packet, Via(packet, Backend(1)));
  }
}

TEST_P(ProgramsTest, AFlowKeepsItsBackendWhenTheTableChanges) {
  Serve(2);
  PacketSpec first = Request();
  const Outcome before = Send(first);
  const bool on_one = before.packet == Forwarded(Via(first, Backend(1)));
  // The table now names only the other backend.
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 8,
                        std::vector<uint32_t>(31, on_one ? 2 : 1));
  const PacketSpec later = Request(kAck);
  ExpectBecomes(later, Via(later, Backend(on_one ? 1 : 2)));
  PacketSpec fresh = Request();
  fresh.source_port = 40001;
  ExpectBecomes(fresh, Via(fresh, Backend(on_one ? 2 : 1)));
}

TEST_P(ProgramsTest, NewFlowsSpreadOverAllBackends) {
  Serve(4);
  std::set<Bytes> seen;
  for (int port = 1; port <= 64; port++) {
    PacketSpec packet = Request();
    packet.source_port = 1000 + port;
    for (int i = 1; i <= 4; i++) {
      if (harness_->Run(program(), Build(packet)).packet == Forwarded(Via(packet, Backend(i)))) {
        seen.insert({static_cast<uint8_t>(i)});
      }
    }
  }
  EXPECT_EQ(seen.size(), 4u);
}

TEST_P(ProgramsTest, BothProgramsChooseTheSameBackend) {
  Serve(4);
  const Program other = program() == Program::kXdp ? Program::kTc : Program::kXdp;
  std::swap(second_, harness_);
  Serve(4);
  for (int port = 1; port <= 20; port++) {
    PacketSpec packet = Request();
    packet.source_port = 2000 + port;
    const Bytes here = DestinationOf(harness_->Run(program(), Build(packet)).packet);
    EXPECT_EQ(here, DestinationOf(second_->Run(other, Build(packet)).packet));
    EXPECT_NE(here, DestinationOf(Build(packet)));
  }
}

TEST_P(ProgramsTest, ARemovedBackendLosesItsFlowsAndNobodyElseDoes) {
  Serve(2);
  std::vector<PacketSpec> on_one, on_two;
  for (int i = 0; i < 20; i++) {
    PacketSpec packet = Request();
    packet.source_port = 3000 + i;
    (Send(packet).packet == Forwarded(Via(packet, Backend(1))) ? on_one : on_two).push_back(packet);
  }
  ASSERT_FALSE(on_one.empty());
  ASSERT_FALSE(on_two.empty());
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 8, std::vector<uint32_t>(31, 2));
  harness_->RetireBackend(1);
  for (PacketSpec packet : on_two) {
    packet.tcp_flags = kAck;
    ExpectBecomes(packet, Via(packet, Backend(2)));
  }
  for (PacketSpec packet : on_one) {
    packet.tcp_flags = kAck;
    ExpectBecomes(packet, Via(packet, Backend(2)));
    // The old backend's answer is nobody's any more.
    ExpectUntouched(Answer(Via(packet, Backend(1))));
  }
}

TEST_P(ProgramsTest, ARecycledBackendIdInheritsNoFlows) {
  Serve(1);
  ExpectBecomes(Request(), Via(Request(), Backend(1)));
  harness_->RetireBackend(1);
  harness_->SetBackend(
      1, {.ipv6 = ipv6(), .address = Backend(5), .port = 8080, .protocol = protocol()});
  ExpectBecomes(Request(kAck), Via(Request(kAck), Backend(5)));
}

TEST_P(ProgramsTest, ARemovedFrontendEndsItsFlows) {
  Serve(1);
  ExpectBecomes(Request(), Via(Request(), Backend(1)));
  harness_->RemoveFrontend(1, ipv6(), Vip(), 80, protocol());
  ExpectUntouched(Request(kAck));
  ExpectUntouched(Answer(Via(Request(), Backend(1))));
}

TEST_P(ProgramsTest, IdleFlowsChooseAgain) {
  Serve(1);
  ExpectBecomes(Request(), Via(Request(), Backend(1)));
  harness_->SetBackend(
      2, {.ipv6 = ipv6(), .address = Backend(2), .port = 8080, .protocol = protocol()});
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 8, std::vector<uint32_t>(31, 2));
  ExpectBecomes(Request(kAck), Via(Request(kAck), Backend(1)));
  // Finer ticks make the flow's last one look long ago.
  portolan_settings settings = harness_->settings();
  settings.tick_shift = 0;
  settings.tcp_idle = settings.udp_idle = 0;
  harness_->SetSettings(settings);
  ExpectBecomes(Request(kAck), Via(Request(kAck), Backend(2)));
}

TEST_P(ProgramsTest, HalfAFlowThatWasEvictedIsRestoredByTheOther) {
  Serve(1);
  ExpectBecomes(Request(), Via(Request(), Backend(1)));
  harness_->DeleteFlow(Answer(Via(Request(), Backend(1))));
  ASSERT_EQ(harness_->FlowCount(ipv6()), 1);
  // A new tick makes the next packet look at the other half.
  portolan_settings settings = harness_->settings();
  settings.tick_shift = 0;
  settings.tcp_idle = settings.udp_idle = UINT32_MAX;
  harness_->SetSettings(settings);
  ExpectBecomes(Request(kAck), Via(Request(kAck), Backend(1)));
  EXPECT_EQ(harness_->FlowCount(ipv6()), 2);
}

TEST_P(ProgramsTest, TwoFrontendsWithOneBackendDoNotConfuseOneClientPort) {
  Serve(1);
  harness_->SetFrontend(2, ipv6(), Vip(2), 80, protocol(), 8, std::vector<uint32_t>(31, 1));
  PacketSpec first = Request();
  PacketSpec second = Request();
  second.destination = Vip(2);
  ExpectBecomes(first, Via(first, Backend(1)));
  const Outcome outcome = Send(second);
  EXPECT_EQ(outcome.verdict, carried());
  // The client's address stays; its port cannot, or the answers would look alike.
  PacketSpec arrived = Via(second, Backend(1));
  const size_t ports = outcome.packet.size() - 32 - (protocol() == kTcp ? 20 : 8);
  arrived.source_port = outcome.packet[ports] << 8 | outcome.packet[ports + 1];
  EXPECT_GE(arrived.source_port, 61000);
  EXPECT_EQ(outcome.packet, Forwarded(arrived));
  PacketSpec seen = Answer(second);
  ExpectBecomes(Answer(arrived), seen);
  ExpectBecomes(Answer(Via(first, Backend(1))), Answer(first));
}

TEST_P(ProgramsTest, ABackendOfAnotherNodeIsReachedFromThisNodesAddress) {
  Serve(1, Node());
  const PacketSpec request = Request();
  if (program() == Program::kXdp) {
    ExpectUntouched(request);  // the tc program's work
    EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
    return;
  }
  const Outcome outcome = Send(request);
  EXPECT_EQ(outcome.verdict, kTcRedirect);
  PacketSpec arrived = Via(request, Backend(1));
  arrived.source = Node();
  arrived.ttl = 63;
  const size_t ports = outcome.packet.size() - 32 - (protocol() == kTcp ? 20 : 8);
  arrived.source_port = outcome.packet[ports] << 8 | outcome.packet[ports + 1];
  EXPECT_GE(arrived.source_port, 61000);
  EXPECT_EQ(outcome.packet, Build(arrived));

  PacketSpec seen = Answer(request);
  seen.ttl = 63;
  const Outcome answer = Send(Answer(arrived));
  EXPECT_EQ(answer.verdict, kTcRedirect);
  EXPECT_EQ(answer.packet, Build(seen));
  // XDP beside it leaves both ways alone.
  EXPECT_EQ(harness_->Run(Program::kXdp, Build(request)).packet, Build(request));
  EXPECT_EQ(harness_->Run(Program::kXdp, Build(Answer(arrived))).packet, Build(Answer(arrived)));
}

TEST_P(ProgramsTest, TranslatedFlowsNeverShareASourcePort) {
  if (program() == Program::kXdp) GTEST_SKIP() << "the tc program's work";
  Serve(1, Node());
  portolan_settings settings = harness_->settings();
  settings.port_count = 8;
  harness_->SetSettings(settings);
  std::set<Bytes> heads;
  for (int client = 1; client <= 8; client++) {
    PacketSpec packet = Request();
    packet.source = Client(client);
    const Outcome outcome = Send(packet);
    ASSERT_EQ(outcome.verdict, kTcRedirect) << client;
    const size_t ports = outcome.packet.size() - 32 - (protocol() == kTcp ? 20 : 8);
    heads.insert(Bytes(outcome.packet.begin() + ports, outcome.packet.begin() + ports + 2));
  }
  EXPECT_EQ(heads.size(), 8u);
  PacketSpec packet = Request();
  packet.source = Client(9);
  EXPECT_EQ(Send(packet).verdict, drop());
  EXPECT_EQ(harness_->Counter("drops", PORTOLAN_DROP_NO_PORT).packets, 1u);
}

TEST_P(ProgramsTest, ALastHopIsLeftToTheKernelToReport) {
  if (program() == Program::kXdp) GTEST_SKIP() << "the tc program's work";
  Serve(1, Node());
  PacketSpec packet = Request();
  packet.ttl = 1;
  ExpectUntouched(packet);
}

TEST_P(ProgramsTest, WhatCannotBeSentGoesToTheKernelRewritten) {
  Serve(1);
  PacketSpec packet = Request();
  packet.ttl = 1;
  ExpectLeftToTheKernelAs(packet, Via(packet, Backend(1)));
  // A backend that is this machine.
  harness_->SetBackend(2,
                       {.ipv6 = ipv6(), .address = Node(), .port = 8080, .protocol = protocol()});
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 8, std::vector<uint32_t>(31, 2));
  packet = Request();
  packet.source_port++;
  ExpectLeftToTheKernelAs(packet, Via(packet, Node()));
  EXPECT_EQ(Drops(PORTOLAN_DROP_NO_ROUTE).packets, 0u);
}

TEST_P(ProgramsTest, ASynAfterTheEndStartsAnew) {
  if (protocol() != kTcp) GTEST_SKIP() << "TCP only";
  for (uint8_t end : {kFinAck, kRst}) {
    Serve(1);
    ExpectBecomes(Request(), Via(Request(), Backend(1)));
    harness_->SetBackend(2, {.ipv6 = ipv6(), .address = Backend(2), .port = 8080});
    harness_->SetFrontend(1, ipv6(), Vip(), 80, kTcp, 8, std::vector<uint32_t>(31, 2));
    // A repeated SYN is the same connection.
    ExpectBecomes(Request(), Via(Request(), Backend(1)));
    ExpectBecomes(Request(end), Via(Request(end), Backend(1)));
    // Half closed is not closed.
    ExpectBecomes(Request(kAck), Via(Request(kAck), Backend(1)));
    ExpectBecomes(Request(), Via(Request(), Backend(2)));
    harness_->RetireBackend(1);
    harness_->RetireBackend(2);
  }
}

TEST_P(ProgramsTest, AUdpPacketWithoutChecksumStaysWithout) {
  if (protocol() != kUdp) GTEST_SKIP() << "UDP only";
  Serve(1);
  PacketSpec packet = Request();
  packet.zero_checksum = true;
  ExpectBecomes(packet, Via(packet, Backend(1)));
}

TEST_P(ProgramsTest, ChecksumsHoldForEveryPort) {
  Serve(1);
  for (int i = 0; i < 1000; i++) {
    PacketSpec packet = Request();
    packet.source_port = 10000 + i * 37;
    packet.payload_byte = i;
    packet.payload_length = i % 64;
    ASSERT_EQ(Send(packet).packet, Forwarded(Via(packet, Backend(1)))) << i;
  }
}

TEST_P(ProgramsTest, XdpLeavesChecksumsThatTheHardwareShouldFinish) {
  if (program() != Program::kXdp) GTEST_SKIP() << "the socket buffer tells tc";
  Serve(1);
  PacketSpec packet = Request();
  packet.partial_checksum = true;
  ExpectUntouched(packet);
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

TEST_P(ProgramsTest, FramesForAnotherMachineStartNothingInTc) {
  if (program() != Program::kTc) GTEST_SKIP() << "XDP does not know; the kernel drops them";
  Serve(1);
  PacketSpec packet = Request();
  packet.destination_mac[5] = 9;
  ExpectUntouched(packet);
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

}  // namespace
}  // namespace portolan::bpf
