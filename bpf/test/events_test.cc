// What the programs tell of single packets: of traced frontends everything, of drops a sample.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

int Keep(void* events, void* data, size_t) {
  static_cast<std::vector<portolan_event>*>(events)->push_back(
      *static_cast<const portolan_event*>(data));
  return 0;
}

class EventsTest : public ProgramsWorld {
 protected:
  void SetUp() override {
    ProgramsWorld::SetUp();
    if (!IsSkipped()) Drain();
  }
  std::vector<portolan_event> Drain() {
    std::vector<portolan_event> events;
    ring_buffer* ring = ring_buffer__new(harness_->map("events"), Keep, &events, nullptr);
    ring_buffer__consume(ring);
    ring_buffer__free(ring);
    return events;
  }
  void Trace(uint32_t frontend) {
    portolan_frontend_info info{};
    bpf_map_lookup_elem(harness_->map("frontend_info"), &frontend, &info);
    info.flags |= PORTOLAN_FRONTEND_TRACE;
    bpf_map_update_elem(harness_->map("frontend_info"), &frontend, &info, BPF_ANY);
  }
  void SampleDrops(uint32_t one_in) {
    portolan_settings settings = harness_->settings();
    settings.drop_sample = one_in;
    harness_->SetSettings(settings);
  }
};

INSTANTIATE_TEST_SUITE_P(All, EventsTest, EveryCase(), CaseName);

TEST_P(EventsTest, ATracedFrontendTellsOfANewFlowAndOfEachPacketThatIsCarried) {
  Serve(1);
  Trace(1);
  Send(Request(kSyn));
  Send(Request(kAck));
  const std::vector<portolan_event> events = Drain();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, PORTOLAN_EVENT_NEW);
  EXPECT_EQ(events[1].kind, PORTOLAN_EVENT_CARRIED);
  for (const portolan_event& event : events) {
    EXPECT_EQ(event.frontend, 1u);
    EXPECT_EQ(event.backend, 1u);
    EXPECT_EQ(event.protocol, protocol());
    EXPECT_EQ(event.family, ipv6() ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4);
    EXPECT_EQ(event.dport, __builtin_bswap16(80));
    EXPECT_EQ(event.length, Build(Request(kAck)).size());
    EXPECT_NE(event.time_ns, 0u);
  }
}

TEST_P(EventsTest, AFrontendThatIsNotTracedTellsNothing) {
  Serve(1);
  Send(Request(kSyn));
  Send(Request(kAck));
  EXPECT_TRUE(Drain().empty());
}

TEST_P(EventsTest, ATracedFrontendTellsOfEveryDropHoweverFewAreSampled) {
  Serve(1);
  Trace(1);
  SampleDrops(1u << 31);
  harness_->SetSources(1, ipv6(), Vip(), 80, protocol(), {});
  harness_->SetSources(1, ipv6(), Vip(), 80, protocol(), {{Router(), ipv6() ? 128u : 32u}});
  Trace(1);
  Send(Request(kSyn));
  Send(Request(kSyn));
  const std::vector<portolan_event> events = Drain();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, PORTOLAN_EVENT_DROP);
  EXPECT_EQ(events[0].reason, PORTOLAN_DROP_SOURCE);
  EXPECT_EQ(events[0].frontend, 1u);
}

TEST_P(EventsTest, ADroppedAnswerIsToldOfAsItsFrontends) {
  if (program() == Program::kXdp) GTEST_SKIP() << "XDP leaves it to tc";
  Serve(1, Node());
  const Outcome sent = Send(Request(kSyn));
  Trace(1);
  SetFlags(0);  // routes are asked anew for every packet
  SampleDrops(1u << 31);
  const std::string ip = ipv6() ? "ip -6 route " : "ip route ";
  const std::string route = ipv6() ? "unreachable 2001:db8:c::/64" : "unreachable 192.0.2.0/24";
  ASSERT_TRUE(bpf::Run(ip + "add " + route));
  Send(Answer(Translated(Request(kSyn), sent)));
  ASSERT_TRUE(bpf::Run(ip + "del " + route));
  const std::vector<portolan_event> events = Drain();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].reason, PORTOLAN_DROP_NO_ROUTE);
  EXPECT_EQ(events[0].frontend, 1u);
}

// What a tunnel's end drops is told of in the same way as what is balanced.
TEST_P(EventsTest, ADropAtATunnelsEndIsToldOf) {
  if (program() == Program::kXdp || ipv6()) GTEST_SKIP() << "IPv4 in IPv4, by tc";
  SampleDrops(1);
  harness_->OpenTunnelsFrom(false, {"172.18.0.5", 32});
  const Bytes inner = Build(Request());
  const PacketSpec outer{.source = "172.18.0.5", .destination = Node()};
  Bytes packet = BuildAround(outer, 4, Bytes(inner.begin() + 14, inner.end()));
  packet[15] = 3;  // congestion, and what is inside knows no ECN (RFC 6040)
  ASSERT_EQ(harness_->Run(program(), packet).verdict, drop());
  const std::vector<portolan_event> events = Drain();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].reason, PORTOLAN_DROP_CONGESTED);
  EXPECT_EQ(events[0].length, packet.size());
}

TEST_P(EventsTest, OtherDropsAreSampledAndOnlyWhileSomebodyWantsThem) {
  Serve(1);
  const PacketSpec nobodys = [&] {
    PacketSpec packet = Request(kSyn);
    packet.destination_port = 81;
    return packet;
  }();
  harness_->SetSilent(ipv6(), Vip());
  for (int i = 0; i < 100; i++) Send(nobodys);
  EXPECT_TRUE(Drain().empty());
  portolan_settings settings = harness_->settings();
  settings.drop_sample = 1;
  harness_->SetSettings(settings);
  for (int i = 0; i < 100; i++) Send(nobodys);
  const std::vector<portolan_event> events = Drain();
  ASSERT_EQ(events.size(), 100u);
  EXPECT_EQ(events[0].reason, PORTOLAN_DROP_UNSERVED);
  EXPECT_EQ(events[0].frontend, 0u);
  settings.drop_sample = 10;
  harness_->SetSettings(settings);
  for (int i = 0; i < 1000; i++) Send(nobodys);
  // 100 are expected; ten standard deviations are 95.
  const size_t sampled = Drain().size();
  EXPECT_GT(sampled, 5u);
  EXPECT_LT(sampled, 195u);
}

}  // namespace
}  // namespace portolan::bpf
