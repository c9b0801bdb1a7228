// Source ranges and session affinity.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

class AdmissionTest : public ProgramsWorld {
 protected:
  PacketSpec From(int client, uint16_t port = 40000, uint8_t flags = kSyn) const {
    PacketSpec packet = Request(flags);
    packet.source = Client(client);
    packet.source_port = port;
    return packet;
  }
  // Which of `count` backends a packet goes to; 0: none.
  int OwnerOf(const PacketSpec& packet, int count) {
    const Outcome outcome = Send(packet);
    for (int i = 1; i <= count; i++) {
      if (outcome.packet == Forwarded(Via(packet, Backend(i)))) return i;
    }
    return 0;
  }
  void SetSources(const std::vector<SourceSpec>& sources) {
    harness_->SetSources(1, ipv6(), Vip(), 80, protocol(), sources);
  }
  uint32_t HostLength() const { return ipv6() ? 128 : 32; }
};

INSTANTIATE_TEST_SUITE_P(All, AdmissionTest, EveryCase(), CaseName);

TEST_P(AdmissionTest, OnlyAllowedSourcesComeIn) {
  Serve(1);
  SetSources({{Client(7), HostLength()}, {Client(9), HostLength()}});
  ExpectBecomes(From(7), Via(From(7), Backend(1)));
  ExpectBecomes(From(9), Via(From(9), Backend(1)));
  ExpectDropped(Build(From(8)), PORTOLAN_DROP_SOURCE);
  EXPECT_EQ(harness_->FlowCount(ipv6()), 4);
}

TEST_P(AdmissionTest, TheLongestPrefixCounts) {
  Serve(1);
  const std::string any = ipv6() ? "::" : "0.0.0.0";
  SetSources(
      {{any, 0, true}, {Client(0), ipv6() ? 64u : 24u, false}, {Client(7), HostLength(), true}});
  ExpectBecomes(From(7), Via(From(7), Backend(1)));
  ExpectDropped(Build(From(8)), PORTOLAN_DROP_SOURCE);
  PacketSpec elsewhere = From(7);
  elsewhere.source = Router();
  ExpectBecomes(elsewhere, Via(elsewhere, Backend(1)));
}

TEST_P(AdmissionTest, ASourceThatIsDeniedLosesItsFlows) {
  Serve(1);
  ExpectBecomes(From(7), Via(From(7), Backend(1)));
  SetSources({{Client(9), HostLength()}});
  ExpectDropped(Build(From(7, 40000, kAck)), PORTOLAN_DROP_SOURCE);
  SetSources({});
  ExpectBecomes(From(7, 40000, kAck), Via(From(7, 40000, kAck), Backend(1)));
}

TEST_P(AdmissionTest, AnswersAreNotAsked) {
  Serve(1);
  SetSources({{Client(7), HostLength()}});
  Send(From(7));
  ExpectBecomes(Answer(Via(From(7), Backend(1))), Answer(From(7)));
}

TEST_P(AdmissionTest, AClientKeepsItsBackend) {
  Serve(4);
  harness_->SetAffinity(ipv6(), Vip(), 80, protocol(), 100);
  std::set<int> owners;
  for (int client = 1; client <= 20; client++) {
    const int owner = OwnerOf(From(client), 4);
    ASSERT_NE(owner, 0);
    owners.insert(owner);
    for (uint16_t port = 1; port <= 5; port++) EXPECT_EQ(OwnerOf(From(client, port), 4), owner);
  }
  EXPECT_GT(owners.size(), 1u);
}

TEST_P(AdmissionTest, AClientThatWasAwayTooLongChoosesAnew) {
  Serve(2);
  harness_->SetAffinity(ipv6(), Vip(), 80, protocol(), 100);
  const int before = OwnerOf(From(7), 2);
  const int other = 3 - before;
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 8, std::vector<uint32_t>(31, other));
  harness_->SetAffinity(ipv6(), Vip(), 80, protocol(), 100);
  EXPECT_EQ(OwnerOf(From(7, 1), 2), before);
  portolan_settings settings = harness_->settings();
  settings.tick_shift = 0;  // finer ticks: long ago
  harness_->SetSettings(settings);
  EXPECT_EQ(OwnerOf(From(7, 2), 2), other);
}

TEST_P(AdmissionTest, ABackendThatRestsOrIsGoneIsChosenByNoClient) {
  for (const bool gone : {false, true}) {
    Serve(2);
    harness_->SetAffinity(ipv6(), Vip(), 80, protocol(), 100);
    const uint16_t base = gone ? 2000 : 1000;
    const int before = OwnerOf(From(7, base), 2);
    const int other = 3 - before;
    if (gone) {
      harness_->RetireBackend(before);
    } else {
      harness_->RestBackend(before);
    }
    harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 8, std::vector<uint32_t>(31, other));
    harness_->SetAffinity(ipv6(), Vip(), 80, protocol(), 100);
    for (uint16_t port = 1; port <= 5; port++) EXPECT_EQ(OwnerOf(From(7, base + port), 2), other);
    // What it has it keeps.
    EXPECT_EQ(OwnerOf(From(7, base, kAck), 2), gone ? other : before);
  }
}

TEST_P(AdmissionTest, WithoutAffinityFlowsOfOneClientSpread) {
  Serve(4);
  std::set<int> owners;
  for (uint16_t port = 1; port <= 40; port++) owners.insert(OwnerOf(From(7, port), 4));
  EXPECT_EQ(owners.size(), 4u);
}

}  // namespace
}  // namespace portolan::bpf
