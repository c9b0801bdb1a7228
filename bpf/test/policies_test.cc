// What a Service may ask for beside a backend: SCTP, silence, an idle time of its own, a table for
// the inside; and clients that are backends themselves.
#include <gtest/gtest.h>

#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

constexpr uint8_t kSctp = 132;
constexpr uint8_t kInit = 1;
constexpr uint8_t kInitAck = 2;
constexpr uint8_t kAbort = 6;
constexpr uint8_t kData = 0;
constexpr uint8_t kOwnMac[6] = {0x02, 0, 0, 0, 0, 0x01};

class PoliciesTest : public ProgramsWorld {
 protected:
  // The other half of the table says the second backend.
  void ServeTwo() {
    Serve(2);
    harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 0, std::vector<uint32_t>(16, 1));
    harness_->SetFrontend(2, ipv6(), Vip(2), 80, protocol(), 4, std::vector<uint32_t>(16, 2));
  }
};

INSTANTIATE_TEST_SUITE_P(All, PoliciesTest, EveryCase(), CaseName);

TEST_P(PoliciesTest, AnOpeningPacketOfAKnownFlowGoesWhereItWent) {
  Serve(2);
  const bool on_one = Send(Request()).packet == Forwarded(Via(Request(), Backend(1)));
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 8,
                        std::vector<uint32_t>(31, on_one ? 2 : 1));
  ExpectBecomes(Request(), Via(Request(), Backend(on_one ? 1 : 2)));
  EXPECT_EQ(harness_->FlowCount(ipv6()), 2);
  EXPECT_EQ(harness_->Counter("counters", 1).packets, 2u);
  EXPECT_EQ(harness_->Counter("counters", 1).flows, 1u);
}

TEST_P(PoliciesTest, AnOpeningPacketOfAKnownFlowNeedsNoBackendForNewOnes) {
  Serve(1);
  ExpectBecomes(Request(), Via(Request(), Backend(1)));
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 8, {});
  ExpectBecomes(Request(), Via(Request(), Backend(1)));
  PacketSpec fresh = Request();
  fresh.source_port = 40001;
  harness_->SetSilent(ipv6(), Vip());
  ExpectDropped(Build(fresh), PORTOLAN_DROP_NO_BACKEND);
}

TEST_P(PoliciesTest, EveryBackendHasItsOwnCounter) {
  ServeTwo();
  PacketSpec second = Request();
  second.destination = Vip(2);
  Send(Request());
  Send(second);
  Send(second);
  EXPECT_EQ(harness_->Counter("backend_counters", 1).packets, 1u);
  EXPECT_EQ(harness_->Counter("backend_counters", 2).packets, 2u);
  EXPECT_EQ(harness_->Counter("backend_counters", 2).bytes, 2 * Build(second).size());
  EXPECT_EQ(harness_->Counter("backend_counters", 2).flows, 1u);
}

TEST_P(PoliciesTest, ABackendThatIsItsOwnClientIsAnsweredThroughUs) {
  harness_->SetBackend(1, {.ipv6 = ipv6(),
                           .address = Backend(1),
                           .port = 8080,
                           .protocol = protocol(),
                           .source = Node(),
                           .keeps_client = true});
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 0, std::vector<uint32_t>(31, 1));
  PacketSpec packet = Request();
  packet.source = Backend(1);
  if (program() == Program::kXdp) {
    ExpectUntouched(packet);
    return;
  }
  const Outcome outcome = Send(packet);
  EXPECT_EQ(outcome.verdict, kTcRedirect);
  EXPECT_EQ(outcome.packet, Build(Translated(packet, outcome)));
  // Others keep their address.
  ExpectBecomes(Request(), Via(Request(), Backend(1)));
}

TEST_P(PoliciesTest, ASilentServiceRefusesNobody) {
  Serve(1);
  harness_->SetSilent(ipv6(), Vip());
  PacketSpec packet = Request();
  packet.destination_port = 81;
  ExpectDropped(Build(packet), PORTOLAN_DROP_UNSERVED);
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 0, {});
  ExpectDropped(Build(Request()), PORTOLAN_DROP_NO_BACKEND);
}

TEST_P(PoliciesTest, TheInsideHasATableOfItsOwn) {
  ServeTwo();
  harness_->SetInternalTable(ipv6(), Vip(), 80, protocol(), 4, 16);
  ExpectBecomes(Request(), Via(Request(), Backend(1)));
  harness_->SetInterface(if_nametoindex("t0"), kOwnMac,
                         PORTOLAN_INTERFACE_ATTACHED | PORTOLAN_INTERFACE_INTERNAL);
  PacketSpec packet = Request();
  packet.source_port = 40001;
  ExpectBecomes(packet, Via(packet, Backend(2)));
  harness_->SetInternalTable(ipv6(), Vip(), 80, protocol(), 6, 0);
  packet.source_port = 40002;
  if (program() == Program::kXdp) {
    ExpectUntouched(packet);  // tc tells
  } else {
    EXPECT_EQ(Send(packet).verdict, kTcRedirect);
    EXPECT_EQ(Drops(PORTOLAN_DROP_NO_BACKEND).packets, 1u);
  }
}

TEST_P(PoliciesTest, AnIdleTimeOfItsOwnCountsInsteadOfTheSettings) {
  Serve(2);
  const bool on_one = Send(Request()).packet == Forwarded(Via(Request(), Backend(1)));
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 8,
                        std::vector<uint32_t>(31, on_one ? 2 : 1));
  // Finer ticks make the flow's last one look long ago.
  portolan_settings settings = harness_->settings();
  settings.tick_shift = 0;
  settings.tcp_idle = settings.udp_idle = 0;
  harness_->SetSettings(settings);
  harness_->SetIdle(1, UINT32_MAX);
  ExpectBecomes(Request(kAck), Via(Request(kAck), Backend(on_one ? 1 : 2)));
}

TEST_P(PoliciesTest, SctpKeepsItsPortsAndItsChecksum) {
  if (protocol() != kTcp) GTEST_SKIP() << "no row of its own";
  harness_->SetBackend(1, {.ipv6 = ipv6(), .address = Backend(1), .port = 80, .protocol = kSctp});
  harness_->SetFrontend(1, ipv6(), Vip(), 80, kSctp, 0, std::vector<uint32_t>(31, 1));
  PacketSpec packet = Request();
  packet.protocol = kSctp;
  for (uint8_t chunk : {kInit, kData}) {
    packet.chunk = chunk;
    PacketSpec arrived = packet;
    arrived.destination = Backend(1);
    ExpectBecomes(packet, arrived);
    PacketSpec answer = Answer(arrived);
    answer.chunk = kInitAck;
    PacketSpec seen = answer;
    seen.source = Vip();
    ExpectBecomes(answer, seen);
  }
  EXPECT_EQ(harness_->FlowCount(ipv6()), 2);
}

TEST_P(PoliciesTest, AnAbortedAssociationMayBeOpenedAnewElsewhere) {
  if (protocol() != kTcp) GTEST_SKIP() << "no row of its own";
  for (int i : {1, 2}) {
    harness_->SetBackend(i, {.ipv6 = ipv6(), .address = Backend(i), .port = 80, .protocol = kSctp});
  }
  harness_->SetFrontend(1, ipv6(), Vip(), 80, kSctp, 0, std::vector<uint32_t>(31, 1));
  PacketSpec packet = Request();
  packet.protocol = kSctp;
  Send(packet);
  harness_->SetFrontend(1, ipv6(), Vip(), 80, kSctp, 8, std::vector<uint32_t>(31, 2));
  PacketSpec arrived = packet;
  arrived.destination = Backend(1);
  ExpectBecomes(packet, arrived);  // a retransmitted INIT
  packet.chunk = kAbort;
  Send(packet);
  packet.chunk = kInit;
  arrived = packet;
  arrived.destination = Backend(2);
  ExpectBecomes(packet, arrived);
}

TEST_P(PoliciesTest, TwoAssociationsThatLookAlikeToABackendDoNotMix) {
  if (protocol() != kTcp) GTEST_SKIP() << "no row of its own";
  harness_->SetBackend(1, {.ipv6 = ipv6(), .address = Backend(1), .port = 80, .protocol = kSctp});
  harness_->SetFrontend(1, ipv6(), Vip(), 80, kSctp, 0, std::vector<uint32_t>(31, 1));
  harness_->SetFrontend(2, ipv6(), Vip(2), 80, kSctp, 4, std::vector<uint32_t>(31, 1));
  PacketSpec packet = Request();
  packet.protocol = kSctp;
  Send(packet);
  // The source port cannot be another one: the checksum could not be kept up.
  packet.destination = Vip(2);
  ExpectDropped(Build(packet), PORTOLAN_DROP_NO_PORT);
  EXPECT_EQ(harness_->FlowCount(ipv6()), 2);
}

TEST_P(PoliciesTest, EveryTruncationOfSctpPassesUntouched) {
  if (protocol() != kTcp) GTEST_SKIP() << "no row of its own";
  harness_->SetBackend(1, {.ipv6 = ipv6(), .address = Backend(1), .port = 80, .protocol = kSctp});
  harness_->SetFrontend(1, ipv6(), Vip(), 80, kSctp, 0, std::vector<uint32_t>(31, 1));
  PacketSpec spec = Request();
  spec.protocol = kSctp;
  const Bytes whole = Build(spec);
  for (size_t size = 14; size < whole.size(); size++) {
    const Bytes packet(whole.begin(), whole.begin() + size);
    const Outcome outcome = harness_->Run(program(), packet);
    if (outcome.verdict == -100) continue;  // too short even for BPF_PROG_RUN
    ASSERT_EQ(outcome.packet, packet) << size;
  }
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
}

}  // namespace
}  // namespace portolan::bpf
