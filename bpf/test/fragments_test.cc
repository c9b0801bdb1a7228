// Fragments follow the first one, both ways.
#include <gtest/gtest.h>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

constexpr size_t kFirst = 24;  // octets behind the IP header: TCP's header fits

class FragmentsTest : public ProgramsWorld {};

INSTANTIATE_TEST_SUITE_P(All, FragmentsTest, EveryCase(), CaseName);

TEST_P(FragmentsTest, LaterOnesGoWhereTheFirstOneWent) {
  Serve(4);
  for (int port = 1; port <= 16; port++) {
    PacketSpec packet = Request();
    packet.source_port = 5000 + port;
    packet.fragment_id = port;
    const auto [first, later] = BuildFragments(packet, kFirst);
    const Outcome outcome = harness_->Run(program(), first);
    int owner = 0;
    for (int i = 1; i <= 4; i++) {
      if (outcome.packet == Forwarded(BuildFragments(Via(packet, Backend(i)), kFirst).first)) {
        owner = i;
      }
    }
    ASSERT_NE(owner, 0);
    ExpectBecomes(later, BuildFragments(Via(packet, Backend(owner)), kFirst).second);
    // And any number of times.
    ExpectBecomes(later, BuildFragments(Via(packet, Backend(owner)), kFirst).second);
  }
}

TEST_P(FragmentsTest, AnswersInPiecesComeFromTheFrontend) {
  Serve(1);
  Send(Request());
  const auto [first, later] = BuildFragments(Answer(Via(Request(), Backend(1))), kFirst);
  const auto [first_seen, later_seen] = BuildFragments(Answer(Request()), kFirst);
  ExpectBecomes(first, first_seen);
  ExpectBecomes(later, later_seen);
}

TEST_P(FragmentsTest, ALaterOneWithoutTheFirstIsDroppedAndCounted) {
  Serve(1);
  const Bytes later = BuildFragments(Request(), kFirst).second;
  if (program() == Program::kXdp) {
    ExpectUntouched(later);  // tc may know more
    return;
  }
  ExpectDropped(later, PORTOLAN_DROP_FRAGMENT);
  // The first one of another packet is not its own.
  PacketSpec other = Request();
  other.fragment_id++;
  ExpectBecomes(BuildFragments(other, kFirst).first,
                BuildFragments(Via(other, Backend(1)), kFirst).first);
  ExpectDropped(later, PORTOLAN_DROP_FRAGMENT);
}

TEST_P(FragmentsTest, ALaterOneOfSomebodyElsePasses) {
  Serve(1);
  PacketSpec packet = Request();
  packet.destination = Vip(9);
  ExpectUntouched(BuildFragments(packet, kFirst).second);
  packet = Request();
  packet.source = Backend(1);
  packet.destination = Client();
  ExpectUntouched(BuildFragments(packet, kFirst).first);
  ExpectUntouched(BuildFragments(packet, kFirst).second);
}

TEST_P(FragmentsTest, ThoseOfATranslatedFlowAreSentByTc) {
  Serve(1, Node());
  const auto [first, later] = BuildFragments(Request(), kFirst);
  if (program() == Program::kXdp) {
    ExpectUntouched(first);
    ExpectUntouched(later);
    harness_->Run(Program::kTc, first);
    ExpectUntouched(later);
    return;
  }
  const Outcome outcome = Send(Request(kAck));
  ASSERT_EQ(outcome.verdict, kTcRedirect);
  const PacketSpec arrived = Translated(Request(), outcome);
  ExpectSentByTc(first, BuildFragments(arrived, kFirst).first);
  ExpectSentByTc(later, BuildFragments(arrived, kFirst).second);
}

TEST_P(FragmentsTest, TheFirstOneIsForgotten) {
  if (program() == Program::kXdp) GTEST_SKIP() << "left to tc";
  Serve(1);
  const auto [first, later] = BuildFragments(Request(), kFirst);
  harness_->Run(program(), first);
  // Finer ticks make it look long ago.
  portolan_settings settings = harness_->settings();
  settings.tick_shift = 0;
  settings.tcp_idle = settings.udp_idle = UINT32_MAX;
  harness_->SetSettings(settings);
  ExpectDropped(later, PORTOLAN_DROP_FRAGMENT);
}

TEST_P(FragmentsTest, ThoseOfAFlowThatHasEndedAreDropped) {
  Serve(1);
  const auto [first, later] = BuildFragments(Request(), kFirst);
  harness_->Run(program(), first);
  harness_->RetireBackend(1);
  ExpectDropped(later, PORTOLAN_DROP_FRAGMENT);
}

TEST_P(FragmentsTest, AFirstOneTooShortForItsHeaderIsDropped) {
  Serve(1);
  if (protocol() != kTcp) GTEST_SKIP() << "eight octets are a whole UDP header";
  ExpectDropped(BuildFragments(Request(), 8).first, PORTOLAN_DROP_UNSERVED);
  ExpectDropped(BuildFragments(Request(), 16).first, PORTOLAN_DROP_UNSERVED);
}

TEST_P(FragmentsTest, MorePacketsInPiecesThanTheMapHoldsAreStillCarried) {
  if (protocol() == kTcp) GTEST_SKIP() << "the map does not care";
  Serve(1);
  PacketSpec packet = Request();
  for (int i = 0; i < PORTOLAN_FRAGMENTS + 4096; i++) {
    packet.fragment_id = i;
    const auto [first, later] = BuildFragments(packet, kFirst);
    ASSERT_EQ(harness_->Run(program(), first).verdict, carried()) << i;
    ASSERT_NE(harness_->Run(program(), later).packet, later) << i;
  }
}

TEST_P(FragmentsTest, EveryTruncationPassesUntouched) {
  Serve(1);
  const auto [first, later] = BuildFragments(Request(), kFirst);
  for (const Bytes& whole : {first, later}) {
    for (size_t size = 14; size < whole.size(); size++) {
      const Bytes packet(whole.begin(), whole.begin() + size);
      const Outcome outcome = harness_->Run(program(), packet);
      if (outcome.verdict == -100) continue;  // too short even for BPF_PROG_RUN
      ASSERT_EQ(outcome.verdict, pass()) << size;
      ASSERT_EQ(outcome.packet, packet) << size;
    }
    harness_->Run(program(), whole);
  }
}

}  // namespace
}  // namespace portolan::bpf
