// Whose drops they are: map "service_drops" beside map "drops".
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {
namespace {

class DropsTest : public ProgramsWorld {
 protected:
  void SetUp() override {
    ProgramsWorld::SetUp();
    if (IsSkipped()) return;
    SetFlags(PORTOLAN_SETTING_KEEP_ROUTES);
    harness_->set_silent();  // nobody is told anything
  }
  // All that is counted is `packets` packets of `bytes` octets, for this reason and frontend.
  void ExpectOnly(portolan_drop reason, uint32_t frontend, uint16_t epoch, uint64_t packets,
                  uint64_t bytes) {
    const std::vector<Harness::ServiceDrop> rows = harness_->ServiceDrops();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].key.reason, reason);
    EXPECT_EQ(rows[0].key.frontend, frontend);
    EXPECT_EQ(rows[0].key.epoch, epoch);
    EXPECT_EQ(rows[0].counter.packets, packets);
    EXPECT_EQ(rows[0].counter.bytes, bytes);
  }
  void ServeNobody(uint32_t frontend) {
    harness_->SetFrontend(frontend, ipv6(), Vip(), 80, protocol(), 0, {});
  }
};

INSTANTIATE_TEST_SUITE_P(All, DropsTest, EveryCase(), CaseName);

TEST_P(DropsTest, WhatAFrontendCannotServeIsItsOwn) {
  ServeNobody(5);
  const Bytes packet = Build(Request());
  for (int i = 0; i < 3; i++) ExpectDropped(packet, PORTOLAN_DROP_NO_BACKEND);
  ExpectOnly(PORTOLAN_DROP_NO_BACKEND, 5, 0, 3, 3 * packet.size());
  const portolan_service_drop_key key = harness_->ServiceDrops()[0].key;
  for (const uint32_t word : key.address) EXPECT_EQ(word, 0u);
}

TEST_P(DropsTest, ReasonsOfAFrontendAreCountedApart) {
  Serve(1);
  harness_->SetSources(1, ipv6(), Vip(), 80, protocol(), {{Router(), ipv6() ? 128u : 32u}});
  ExpectDropped(Build(Request()), PORTOLAN_DROP_SOURCE);
  ServeNobody(1);
  ExpectDropped(Build(Request()), PORTOLAN_DROP_NO_BACKEND);
  const std::vector<Harness::ServiceDrop> rows = harness_->ServiceDrops();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_NE(rows[0].key.reason, rows[1].key.reason);
  EXPECT_EQ(rows[0].counter.packets + rows[1].counter.packets, 2u);
}

TEST_P(DropsTest, APacketOfAKnownFlowCountsForItsFrontend) {
  Serve(1);
  Send(Request(kSyn));
  harness_->SetSources(1, ipv6(), Vip(), 80, protocol(), {{Router(), ipv6() ? 128u : 32u}});
  const Bytes packet = Build(Request(kAck));
  ExpectDropped(packet, PORTOLAN_DROP_SOURCE);
  ExpectOnly(PORTOLAN_DROP_SOURCE, 1, 0, 1, packet.size());
}

TEST_P(DropsTest, WhereNoFrontendIsTheAddressCounts) {
  Serve(1);
  PacketSpec packet = Request();
  packet.destination_port = 81;
  ExpectDropped(Build(packet), PORTOLAN_DROP_UNSERVED);
  ExpectOnly(PORTOLAN_DROP_UNSERVED, 0, 0, 1, Build(packet).size());
  const portolan_service_drop_key key = harness_->ServiceDrops()[0].key;
  uint32_t address[4];
  AddressWords(ipv6(), Vip(), address);
  EXPECT_EQ(memcmp(key.address, address, sizeof(address)), 0);
  EXPECT_EQ(key.family, ipv6() ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4);
}

TEST_P(DropsTest, AnIdThatCameBackInheritsNothing) {
  ServeNobody(5);
  ExpectDropped(Build(Request()), PORTOLAN_DROP_NO_BACKEND);
  harness_->RemoveFrontend(5, ipv6(), Vip(), 80, protocol());
  ServeNobody(5);
  ExpectDropped(Build(Request()), PORTOLAN_DROP_NO_BACKEND);
  const std::vector<Harness::ServiceDrop> rows = harness_->ServiceDrops();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].key.frontend, rows[1].key.frontend);
  EXPECT_NE(rows[0].key.epoch, rows[1].key.epoch);
  EXPECT_EQ(rows[0].counter.packets, 1u);
}

TEST_P(DropsTest, AnAnswerThatHasNoWayCountsForTheFrontendOfItsFlow) {
  if (program() == Program::kXdp) GTEST_SKIP() << "XDP leaves it to tc";
  Serve(1, Node());
  const Outcome sent = Send(Request(kSyn));
  ASSERT_EQ(sent.verdict, carried());
  // The route back to the client goes; routes are asked anew for every packet.
  SetFlags(0);
  ASSERT_TRUE(bpf::Run(ipv6() ? "ip -6 route add unreachable 2001:db8:c::/64"
                              : "ip route add unreachable 192.0.2.0/24"));
  const Bytes answer = Build(Answer(Translated(Request(kSyn), sent)));
  const Outcome outcome = harness_->Run(program(), answer);
  ASSERT_TRUE(bpf::Run(ipv6() ? "ip -6 route del unreachable 2001:db8:c::/64"
                              : "ip route del unreachable 192.0.2.0/24"));
  EXPECT_EQ(outcome.verdict, drop());
  ExpectOnly(PORTOLAN_DROP_NO_ROUTE, 1, 0, 1, answer.size());
}

TEST_P(DropsTest, ADropIsCountedOnceAlsoForWhatOpensAKnownFlow) {
  if (program() == Program::kXdp) GTEST_SKIP() << "XDP leaves it to tc";
  Serve(1, Node());
  ASSERT_EQ(Send(Request(kSyn)).verdict, carried());
  SetFlags(0);
  const std::string route = std::string(ipv6() ? "2001:db8:244::/64" : "10.244.0.0/16");
  const std::string ip = ipv6() ? "ip -6 route " : "ip route ";
  ASSERT_TRUE(bpf::Run(ip + "add unreachable " + route));
  const Bytes again = Build(Request(kSyn));
  const Outcome outcome = harness_->Run(program(), again);
  ASSERT_TRUE(bpf::Run(ip + "del unreachable " + route));
  EXPECT_EQ(outcome.verdict, drop());
  ExpectOnly(PORTOLAN_DROP_NO_ROUTE, 1, 0, 1, again.size());
  EXPECT_EQ(Drops(PORTOLAN_DROP_NO_ROUTE).packets, 1u);
}

}  // namespace
}  // namespace portolan::bpf
