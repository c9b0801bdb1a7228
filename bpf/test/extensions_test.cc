// IPv6 extension headers: skipped, or the packet is not read; never taken for something else.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

constexpr Extension kHops{.type = 0}, kOptions{.type = 60}, kRoute{.type = 43};

class ExtensionsTest : public ProgramsWorld {
 protected:
  void SetUp() override {
    if (!ipv6()) GTEST_SKIP() << "IPv4 has none";
    ProgramsWorld::SetUp();
    if (IsSkipped()) return;
    harness_->set_silent();
    Serve(1);
    SetFlags(PORTOLAN_SETTING_KEEP_ROUTES);
  }
  PacketSpec With(std::vector<Extension> extensions, uint8_t tcp_flags = kSyn) const {
    PacketSpec packet = Request(tcp_flags);
    packet.extensions = std::move(extensions);
    return packet;
  }
};

INSTANTIATE_TEST_SUITE_P(All, ExtensionsTest, EveryCase(), CaseName);

TEST_P(ExtensionsTest, HeadersInAnyOrderAreSkippedAndKept) {
  const std::vector<std::vector<Extension>> chains = {
      {kHops},
      {kOptions},
      {kRoute},
      {kHops, kOptions, kRoute, kOptions},
      {{.type = 0, .units = 15}},
      {{.type = 60, .units = 7}, {.type = 43, .units = 7}}};
  for (const std::vector<Extension>& chain : chains) {
    for (const uint8_t flags : {kSyn, kAck}) {
      const PacketSpec packet = With(chain, flags);
      ExpectBecomes(packet, Via(packet, Backend(1)));
    }
    PacketSpec answer = Answer(Via(With(chain), Backend(1)));
    PacketSpec translated = answer;
    translated.source = Vip();
    translated.source_port = 80;
    ExpectBecomes(answer, translated);
  }
}

TEST_P(ExtensionsTest, TheFlowIsTheSameWithAndWithoutThem) {
  ExpectBecomes(Request(kSyn), Via(Request(kSyn), Backend(1)));
  const int flows = harness_->FlowCount(true);
  ExpectBecomes(With({kHops}, kAck), Via(With({kHops}, kAck), Backend(1)));
  EXPECT_EQ(harness_->FlowCount(true), flows);
}

TEST_P(ExtensionsTest, WhatIsTooLongOrHasTooManyIsDropped) {
  ExpectDropped(Build(With({kHops, kOptions, kOptions, kOptions, kOptions})),
                PORTOLAN_DROP_HEADERS);
  ExpectDropped(Build(With({{.type = 0, .units = 16}})), PORTOLAN_DROP_HEADERS);
  ExpectDropped(Build(With({{.type = 0, .units = 8}, {.type = 60, .units = 7}})),
                PORTOLAN_DROP_HEADERS);
  EXPECT_EQ(harness_->FlowCount(true), 0);
}

TEST_P(ExtensionsTest, ASourceRouteThatHasNotEndedIsDropped) {
  ExpectDropped(Build(With({{.type = 43, .units = 2, .segments_left = 1}})), PORTOLAN_DROP_HEADERS);
}

TEST_P(ExtensionsTest, AHeaderThatReachesPastThePacketIsDropped) {
  Bytes packet = Build(With({kHops}));
  packet[14 + 40 + 1] = 14;
  ExpectDropped(packet, PORTOLAN_DROP_HEADERS);
}

TEST_P(ExtensionsTest, WhatIsNotForUsIsPassedWhateverItHas) {
  for (const std::vector<Extension>& chain : {std::vector<Extension>{kHops},
                                              {{.type = 43, .segments_left = 1}},
                                              {kHops, kOptions, kOptions, kOptions, kOptions},
                                              {{.type = 0, .units = 40}}}) {
    PacketSpec packet = With(chain);
    packet.destination = "2001:db8:5::5";
    ExpectUntouched(packet);
  }
}

TEST_P(ExtensionsTest, AProtocolWithoutPortsBehindThemIsNotServed) {
  PacketSpec packet = With({kHops});
  packet.protocol = 59;  // no next header
  ExpectDropped(Build(packet), PORTOLAN_DROP_UNSERVED);
}

TEST_P(ExtensionsTest, EveryTruncationPassesUntouched) {
  const Bytes whole = Build(With({kHops, {.type = 60, .units = 3}}));
  for (size_t size = 14; size < whole.size(); size++) {
    const Bytes packet(whole.begin(), whole.begin() + size);
    const Outcome outcome = harness_->Run(program(), packet);
    if (outcome.verdict == -100) continue;  // too short even for BPF_PROG_RUN
    ASSERT_EQ(outcome.verdict, pass()) << size;
    ASSERT_EQ(outcome.packet, packet) << size;
  }
}

// As above, but the IP header says that no more was sent.
TEST_P(ExtensionsTest, EveryShortPacketIsDroppedOrTranslatedAndNeverReadPastItsEnd) {
  const PacketSpec spec = With({kHops, {.type = 60, .units = 3}});
  const Bytes whole = Build(spec);
  const size_t headers = 14 + 40 + 8 + 32;
  for (size_t size = 14 + 40; size < whole.size(); size++) {
    Bytes packet(whole.begin(), whole.begin() + size);
    packet[18] = (size - 54) >> 8;
    packet[19] = (size - 54) & 0xff;
    const Outcome outcome = harness_->Run(program(), packet);
    const bool readable = size >= headers + (protocol() == kTcp ? 20 : 8);
    EXPECT_EQ(outcome.verdict, readable ? carried() : drop()) << size;
    EXPECT_EQ(outcome.packet.size(), size);
  }
}

TEST_P(ExtensionsTest, FragmentsFollowTheFirstOneBehindThem) {
  const PacketSpec packet = With({kHops});
  const auto [first, later] = BuildFragments(packet, 24);
  const auto [first_out, later_out] = BuildFragments(Via(packet, Backend(1)), 24);
  ExpectBecomes(first, first_out);
  ExpectBecomes(later, later_out);
}

TEST_P(ExtensionsTest, OptionsBehindAFragmentHeaderAreNotRead) {
  auto [first, later] = BuildFragments(Request(), 24);
  first[14 + 40] = later[14 + 40] = 60;
  ExpectDropped(first, PORTOLAN_DROP_HEADERS);
  ExpectDropped(later, PORTOLAN_DROP_HEADERS);
}

TEST_P(ExtensionsTest, AnErrorAboutSuchAPacketIsNotTakenForOneAboutAnother) {
  Send(Request(kSyn));
  PacketSpec quoted = Answer(Request(kAck));
  quoted.extensions = {kHops};
  const PacketSpec outer{.ipv6 = true, .source = Router(), .destination = Vip()};
  ExpectDropped(BuildIcmp(outer, 1, 0, Quote(quoted, 16)), PORTOLAN_DROP_HEADERS);
}

TEST_P(ExtensionsTest, AnErrorThatHasThemItselfReachesTheBackend) {
  Send(Request(kSyn));
  const PacketSpec quoted = Answer(Request(kAck));
  PacketSpec outer{.ipv6 = true, .source = Router(), .destination = Vip()};
  outer.extensions = {kHops, kOptions};
  const Outcome outcome = harness_->Run(program(), BuildIcmp(outer, 1, 0, Quote(quoted, 16)));
  EXPECT_EQ(outcome.verdict, carried());
  PacketSpec inner = quoted;
  inner.source = Backend(1);
  inner.source_port = 8080;
  outer.destination = Backend(1);
  EXPECT_EQ(outcome.packet, Forwarded(BuildIcmp(outer, 1, 0, Quote(inner, 16))));
}

}  // namespace
}  // namespace portolan::bpf
