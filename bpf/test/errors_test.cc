// ICMP and ICMPv6 errors about flows: they reach who has sent the packet that they quote, and quote
// it as it was sent.
#include <gtest/gtest.h>

#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

constexpr size_t kWhole = 1000;

class ErrorsTest : public ProgramsWorld {
 protected:
  Bytes Error(const std::string& from, const PacketSpec& about, size_t quoted = 8,
              uint8_t type = 0) const {
    return Error(from, about.source, about, quoted, type);
  }
  Bytes Error(const std::string& from, const std::string& to, const PacketSpec& about,
              size_t quoted, uint8_t type = 0, uint8_t ttl = 61) const {
    const PacketSpec outer{.ipv6 = ipv6(), .source = from, .destination = to, .ttl = ttl};
    if (type == 0) type = ipv6() ? 1 : 3;
    return BuildIcmp(outer, type, 4, Quote(about, quoted));
  }
  std::vector<uint8_t> Types() const {
    return ipv6() ? std::vector<uint8_t>{1, 2, 3, 4} : std::vector<uint8_t>{3, 4, 11, 12};
  }
  // Quotes of every length that makes a difference; half a checksum cannot be translated.
  static std::vector<size_t> Lengths() { return {8, 12, 16, 18, 19, 20, 28, kWhole}; }
};

INSTANTIATE_TEST_SUITE_P(All, ErrorsTest, EveryCase(), CaseName);

TEST_P(ErrorsTest, FromTheClientsSideItReachesTheBackendThatOwnsTheFlow) {
  Serve(3);
  const Outcome there = Send(Request());
  int owner = 0;
  for (int i = 1; i <= 3; i++) {
    if (there.packet == Forwarded(Via(Request(), Backend(i)))) owner = i;
  }
  ASSERT_NE(owner, 0);
  const PacketSpec sent = Answer(Via(Request(), Backend(owner)));
  for (uint8_t type : Types()) {
    for (size_t quoted : Lengths()) {
      ExpectBecomes(Error(Router(), Answer(Request()), quoted, type),
                    Error(Router(), sent, quoted, type));
    }
  }
  EXPECT_EQ(harness_->Counter("counters", 1).packets, 1u);
}

TEST_P(ErrorsTest, FromTheBackendItReachesTheClientAndComesFromTheFrontend) {
  Serve(1);
  Send(Request());
  for (uint8_t type : Types()) {
    for (size_t quoted : Lengths()) {
      ExpectBecomes(Error(Backend(1), Via(Request(), Backend(1)), quoted, type),
                    Error(Vip(), Request(), quoted, type));
    }
  }
}

TEST_P(ErrorsTest, FromARouterBehindUsItComesFromTheFrontendToo) {
  Serve(1);
  Send(Request());
  ExpectBecomes(Error(Router(), Via(Request(), Backend(1))), Error(Vip(), Request()));
}

TEST_P(ErrorsTest, ATranslatedFlowsErrorsAreSentByTcBothWays) {
  Serve(1, Node());
  const Outcome there = harness_->Run(Program::kTc, Build(Request()));
  ASSERT_EQ(there.verdict, kTcRedirect);
  const PacketSpec arrived = Translated(Request(), there);
  for (size_t quoted : Lengths()) {
    // The quote shows the packet at a later hop; its TTL is nobody's business.
    ExpectSentByTc(Error(Router(), Vip(), Answer(Request()), quoted, 0, 61),
                   Error(Node(), Backend(1), Answer(arrived), quoted, 0, 60));
    PacketSpec request = Request();
    request.ttl = 63;
    ExpectSentByTc(Error(Backend(1), Node(), arrived, quoted, 0, 61),
                   Error(Vip(), Client(), request, quoted, 0, 60));
  }
}

TEST_P(ErrorsTest, AboutNoFlowOfOursItIsDroppedAndCounted) {
  Serve(1);
  ExpectDropped(Error(Router(), Answer(Request())), PORTOLAN_DROP_STRAY);
  // One whose receiver has not sent what it quotes.
  Send(Request());
  ExpectDropped(Error(Router(), Vip(), Answer(Via(Request(), Backend(1))), 8),
                PORTOLAN_DROP_UNSERVED);
  EXPECT_EQ(harness_->FlowCount(ipv6()), 2);
}

TEST_P(ErrorsTest, AboutNoFlowOfOursItPassesWhenItIsForSomebodyElse) {
  Serve(1);
  PacketSpec other = Request();
  other.destination = Vip(9);
  ExpectUntouched(Error(Router(), other));
  // To a client, from a backend's own traffic.
  ExpectUntouched(Error(Backend(1), Via(Request(), Backend(1))));
}

TEST_P(ErrorsTest, AQuoteOfLessThanEightOctetsNamesNoFlow) {
  Serve(1);
  Send(Request());
  ExpectDropped(Error(Router(), Answer(Request()), 7), PORTOLAN_DROP_UNSERVED);
}

TEST_P(ErrorsTest, QuotesWithOptionsAreUnderstood) {
  if (ipv6()) GTEST_SKIP() << "IPv4 only";
  Serve(1);
  Send(Request());
  for (int words : {1, 5, 10}) {
    PacketSpec seen = Answer(Request());
    PacketSpec sent = Answer(Via(Request(), Backend(1)));
    seen.option_words = sent.option_words = words;
    ExpectBecomes(Error(Router(), seen, 20), Error(Router(), sent, 20));
  }
}

TEST_P(ErrorsTest, AQuotedChecksumOfZeroStays) {
  if (protocol() != kUdp) GTEST_SKIP() << "UDP only";
  Serve(1);
  Send(Request());
  PacketSpec seen = Answer(Request());
  PacketSpec sent = Answer(Via(Request(), Backend(1)));
  seen.zero_checksum = sent.zero_checksum = true;
  ExpectBecomes(Error(Router(), seen), Error(Router(), sent));
}

TEST_P(ErrorsTest, NoErrorKeepsAFlowAlive) {
  Serve(1);
  Send(Request());
  portolan_settings settings = harness_->settings();
  settings.tick_shift = 0;
  settings.tcp_idle = settings.udp_idle = 0;
  harness_->SetSettings(settings);
  ExpectDropped(Error(Router(), Answer(Request())), PORTOLAN_DROP_STRAY);
}

TEST_P(ErrorsTest, EveryTruncationPassesUntouched) {
  Serve(1);
  Send(Request());
  const Bytes whole = Error(Router(), Answer(Request()), kWhole);
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
