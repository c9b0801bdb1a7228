// What is for an address that has a frontend and for no frontend: echo requests are answered, the
// rest is refused or dropped, and never given to the kernel, which would route it.
#include <gtest/gtest.h>

#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

constexpr int kDontFragment = 0x4000;

class UnservedTest : public ProgramsWorld {
 protected:
  PacketSpec Elsewhere(uint8_t tcp_flags = kSyn) const {
    PacketSpec packet = Request(tcp_flags);
    packet.destination_port = 81;
    return packet;
  }
  // From the address that `asked` went to, as a node sends it that has not seen the packet before.
  PacketSpec FreshAnswer(const PacketSpec& asked) const {
    PacketSpec answer = Answer(asked);
    ExchangeMacs(answer);
    answer.fragment = ipv6() ? 0 : kDontFragment;
    answer.fragment_id = 0;
    answer.option_words = 0;
    answer.extensions.clear();
    answer.partial_checksum = false;
    return answer;
  }
  Bytes Reset(const PacketSpec& asked, uint8_t flags, uint32_t sequence, uint32_t ack) const {
    PacketSpec reset = FreshAnswer(asked);
    reset.tcp_flags = flags;
    reset.sequence = sequence;
    reset.acknowledgement = ack;
    reset.window = 0;
    reset.payload_length = 0;
    return Build(reset);
  }
  Bytes Unreachable(const PacketSpec& asked) const {
    Bytes body = Quote(asked, 8);
    body[2] = body[3] = 0;
    return ipv6() ? BuildIcmp(FreshAnswer(asked), 1, 4, body)
                  : BuildIcmp(FreshAnswer(asked), 3, 3, body);
  }
  Bytes Refusal(const PacketSpec& asked) const {
    return protocol() == kTcp ? Reset(asked, kRst | kAck, 0, asked.sequence + 32 + 1)
                              : Unreachable(asked);
  }
  Bytes Echo(const PacketSpec& outer, bool reply, size_t data = 21) const {
    Bytes body = {0x12, 0x34, 0, 7};
    for (size_t i = 0; i < data; i++) body.push_back(i * 11);
    return BuildIcmp(outer, ipv6() ? (reply ? 129 : 128) : (reply ? 0 : 8), 0, body);
  }
};

INSTANTIATE_TEST_SUITE_P(All, UnservedTest, EveryCase(), CaseName);

TEST_P(UnservedTest, APortThatNobodyServesIsRefused) {
  Serve(1);
  ExpectSentByTc(Build(Elsewhere()), Refusal(Elsewhere()));
  PacketSpec other = Request();
  other.protocol = protocol() == kTcp ? kUdp : kTcp;
  const Outcome outcome = Send(other);
  EXPECT_EQ(outcome.verdict, program() == Program::kTc ? kTcRedirect : pass());
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
  EXPECT_EQ(Drops(PORTOLAN_DROP_UNSERVED).packets, program() == Program::kTc ? 2u : 0u);
}

TEST_P(UnservedTest, OtherPortsOfTheAddressGoOn) {
  Serve(1);
  Send(Elsewhere());
  ExpectBecomes(Request(), Via(Request(), Backend(1)));
}

TEST_P(UnservedTest, SegmentsOfUnknownConnectionsAreResetWhereTheyExpectIt) {
  if (protocol() != kTcp) GTEST_SKIP() << "TCP only";
  Serve(1);
  const PacketSpec data = Elsewhere(kAck);
  ExpectSentByTc(Build(data), Reset(data, kRst, data.acknowledgement, 0));
  const PacketSpec end = Elsewhere(0x01);
  ExpectSentByTc(Build(end), Reset(end, kRst | kAck, 0, end.sequence + 32 + 1));
}

TEST_P(UnservedTest, AResetIsNotAnswered) {
  if (protocol() != kTcp) GTEST_SKIP() << "TCP only";
  Serve(1);
  if (program() == Program::kXdp) {
    ExpectUntouched(Elsewhere(kRst));
  } else {
    ExpectDropped(Build(Elsewhere(kRst)), PORTOLAN_DROP_UNSERVED);
  }
}

TEST_P(UnservedTest, AFrontendWithoutBackendsRefuses) {
  for (const std::vector<uint32_t>& slots : {std::vector<uint32_t>(), {0, 0, 0}}) {
    harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 0, slots);
    ExpectSentByTc(Build(Request()), Refusal(Request()));
    harness_->SetSilent(ipv6(), Vip());
    ExpectDropped(Build(Request()), PORTOLAN_DROP_NO_BACKEND);
    harness_->RemoveFrontend(1, ipv6(), Vip(), 80, protocol());
  }
}

TEST_P(UnservedTest, NothingIsSaidAtTheAddressOfAServiceThatIsSilent) {
  Serve(1);
  harness_->SetSilent(ipv6(), Vip());
  ExpectDropped(Build(Elsewhere()), PORTOLAN_DROP_UNSERVED);
  PacketSpec other = Request();
  other.protocol = protocol() == kTcp ? kUdp : kTcp;
  ExpectDropped(Build(other), PORTOLAN_DROP_UNSERVED);
}

TEST_P(UnservedTest, OtherProtocolsEndHere) {
  Serve(1);
  for (uint8_t other : {4, 41, 47, 50, 200}) {
    PacketSpec packet = Request();
    packet.protocol = other;
    ExpectDropped(Build(packet), PORTOLAN_DROP_UNSERVED);
  }
}

TEST_P(UnservedTest, AnAddressIsOursForAsLongAsItHasAFrontend) {
  Serve(1);
  harness_->SetFrontend(2, ipv6(), Vip(), 443, protocol(), 8, std::vector<uint32_t>(31, 1));
  harness_->SetSilent(ipv6(), Vip());
  harness_->RemoveFrontend(1, ipv6(), Vip(), 80, protocol());
  ExpectDropped(Build(Request()), PORTOLAN_DROP_UNSERVED);
  harness_->RemoveFrontend(2, ipv6(), Vip(), 443, protocol());
  ExpectUntouched(Request());
}

TEST_P(UnservedTest, NobodyIsToldAtAnAddressThatIsNobodys) {
  if (program() == Program::kXdp) GTEST_SKIP() << "the tc program's work";
  Serve(1);
  const std::vector<std::string> sources =
      ipv6() ? std::vector<std::string>{"::", "::1", "ff02::1"}
             : std::vector<std::string>{"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"};
  for (const std::string& source : sources) {
    PacketSpec packet = Elsewhere();
    packet.source = source;
    ExpectDropped(Build(packet), PORTOLAN_DROP_UNSERVED);
    EXPECT_EQ(harness_->Run(program(), Echo(packet, false)).verdict, drop());
  }
}

TEST_P(UnservedTest, FragmentsAreDroppedRatherThanRefused) {
  if (program() == Program::kXdp) GTEST_SKIP() << "the tc program's work";
  Serve(1);
  ExpectDropped(BuildFragments(Elsewhere(), 24).first, PORTOLAN_DROP_UNSERVED);
}

TEST_P(UnservedTest, ARefusalHasNoOptionsItselfButQuotesThoseOfThePacket) {
  if (program() == Program::kXdp) GTEST_SKIP() << "the tc program's work";
  Serve(1);
  std::vector<PacketSpec> packets;
  if (ipv6()) {
    for (const std::vector<Extension>& extensions :
         {std::vector<Extension>{{.type = 0}},
          {{.type = 60, .units = 7}, {.type = 43, .units = 7}}}) {
      packets.push_back(Elsewhere());
      packets.back().extensions = extensions;
    }
  } else {
    for (const int words : {2, 10}) {
      packets.push_back(Elsewhere());
      packets.back().option_words = words;
    }
  }
  for (PacketSpec& packet : packets) {
    for (const bool partial : {false, true}) {
      packet.partial_checksum = partial;
      ExpectSentByTc(Build(packet), Refusal(packet));
    }
  }
}

// That the kernel really does not finish it: interop/modes_test.py.
TEST_P(UnservedTest, ARefusalIsWholeWhenTheChecksumWasLeftToTheHardware) {
  if (program() == Program::kXdp) GTEST_SKIP() << "left to tc";
  Serve(1);
  PacketSpec packet = Elsewhere();
  packet.partial_checksum = true;
  for (const int payload : {0, 32, 700}) {
    packet.payload_length = payload;
    const Bytes refusal = protocol() == kTcp
                              ? Reset(packet, kRst | kAck, 0, packet.sequence + payload + 1)
                              : Unreachable(packet);
    ExpectSentByTc(Build(packet), refusal);
  }
}

TEST_P(UnservedTest, RefusalsEndSomewhere) {
  if (program() == Program::kXdp) GTEST_SKIP() << "the tc program's work";
  Serve(1);
  portolan_settings settings = harness_->settings();
  settings.tick_shift = 31;  // one tick is longer than the test
  harness_->SetSettings(settings);
  int told = 0;
  while (told < 100000 && Send(Elsewhere()).verdict == kTcRedirect) told++;
  EXPECT_GE(told, PORTOLAN_REFUSALS_PER_TICK);
  EXPECT_LT(told, 100000);
  EXPECT_EQ(Drops(PORTOLAN_DROP_UNSERVED).packets, told + 1u);
}

TEST_P(UnservedTest, AnEchoRequestIsAnswered) {
  Serve(1);
  for (size_t data : {0, 1, 21, 1400}) {
    PacketSpec asked = Request();
    asked.ttl = 7;
    ExpectSentByTc(Echo(asked, false, data), Echo(FreshAnswer(asked), true, data));
  }
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
  EXPECT_EQ(Drops(PORTOLAN_DROP_UNSERVED).packets, 0u);
}

TEST_P(UnservedTest, AnEchoRequestToNobodyPasses) {
  Serve(1);
  PacketSpec asked = Request();
  asked.destination = Vip(9);
  ExpectUntouched(Echo(asked, false));
  asked.destination = Vip();
  harness_->RemoveFrontend(1, ipv6(), Vip(), 80, protocol());
  ExpectUntouched(Echo(asked, false));
}

TEST_P(UnservedTest, EchoCanBeSwitchedOff) {
  Serve(1);
  SetFlags(PORTOLAN_SETTING_KEEP_ROUTES);
  ExpectDropped(Echo(Request(), false), PORTOLAN_DROP_UNSERVED);
}

TEST_P(UnservedTest, AnswersToEchoAndUnknownMessagesEndHere) {
  Serve(1);
  ExpectDropped(Echo(Request(), true), PORTOLAN_DROP_UNSERVED);
  ExpectDropped(BuildIcmp(Request(), ipv6() ? 100 : 13, 0, Bytes(16)), PORTOLAN_DROP_UNSERVED);
}

TEST_P(UnservedTest, NeighboursAreHeardAtEveryAddress) {
  if (!ipv6()) GTEST_SKIP() << "IPv6 only";
  Serve(1);
  for (uint8_t type : {133, 134, 135, 136, 143}) {
    ExpectUntouched(BuildIcmp(Request(), type, 0, Bytes(20)));
  }
}

TEST_P(UnservedTest, EveryTruncationOfAnEchoRequestPassesUntouched) {
  Serve(1);
  const Bytes whole = Echo(Request(), false);
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
