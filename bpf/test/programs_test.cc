// What each program makes of a packet, both programs, both families, TCP and UDP.
#include <gtest/gtest.h>
#include <net/if.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <tuple>

#include "bpf/test/harness.h"
#include "bpf/test/network.h"

namespace portolan::bpf {
namespace {

constexpr int kTcRedirect = 7;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kFinAck = 0x11;
constexpr uint8_t kRst = 0x04;

class ProgramsTest : public testing::TestWithParam<std::tuple<Program, bool, uint8_t>> {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() != 0) return;
    network_ = EnterTestNetwork();
    for (std::unique_ptr<Harness>* harness : {&harness_, &second_}) {
      auto loaded = Harness::Load({});
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      *harness = *std::move(loaded);
      (*harness)->set_ifindex(if_nametoindex("t0"));
    }
  }
  static void TearDownTestSuite() {
    harness_.reset();
    second_.reset();
  }

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
    ASSERT_TRUE(network_) << "cannot make a network namespace";
    harness_->Reset();
    second_->Reset();
  }

  Program program() const { return std::get<0>(GetParam()); }
  bool ipv6() const { return std::get<1>(GetParam()); }
  uint8_t protocol() const { return std::get<2>(GetParam()); }
  // Passed on into the kernel, whether changed or not.
  int pass() const { return program() == Program::kXdp ? 2 : -1; }
  int drop() const { return program() == Program::kXdp ? 1 : 2; }

  std::string Vip(int n = 1) const { return Name(ipv6() ? "2001:db8:20::" : "20.0.10.", n); }
  std::string Backend(int n) const { return Name(ipv6() ? "2001:db8:244::" : "10.244.1.", n); }
  std::string Client(int n = 7) const { return Name(ipv6() ? "2001:db8:c::" : "192.0.2.", n); }
  std::string Node() const { return ipv6() ? "2001:db8:1::1" : "172.18.0.1"; }

  // Backends 1..count on port 8080 behind Vip():80; `source`: of a translated backend.
  void Serve(int count, const std::string& source = "") {
    std::vector<uint32_t> slots;
    for (int i = 1; i <= count; i++) {
      harness_->SetBackend(i, {.ipv6 = ipv6(),
                               .address = Backend(i),
                               .port = 8080,
                               .protocol = protocol(),
                               .source = source});
    }
    slots.reserve(31);
    for (int i = 0; i < 31; i++) slots.push_back(1 + i % count);
    harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 0, slots);
  }

  PacketSpec Request(uint8_t tcp_flags = kSyn) const {
    return {.ipv6 = ipv6(),
            .source = Client(),
            .destination = Vip(),
            .source_port = 40000,
            .destination_port = 80,
            .protocol = protocol(),
            .tcp_flags = tcp_flags};
  }
  // The packet that answers `arrived`, as the backend sends it.
  static PacketSpec Answer(const PacketSpec& arrived, uint8_t tcp_flags = 0x12) {
    PacketSpec answer = arrived;
    answer.source = arrived.destination;
    answer.destination = arrived.source;
    answer.source_port = arrived.destination_port;
    answer.destination_port = arrived.source_port;
    answer.tcp_flags = tcp_flags;
    answer.ttl = 64;
    return answer;
  }
  static PacketSpec Via(PacketSpec packet, const std::string& destination) {
    packet.destination = destination;
    packet.destination_port = 8080;
    return packet;
  }

  Outcome Send(const PacketSpec& spec) { return harness_->Run(program(), Build(spec)); }

  void ExpectUntouched(const PacketSpec& spec) {
    const Bytes packet = Build(spec);
    const Outcome outcome = harness_->Run(program(), packet);
    EXPECT_EQ(outcome.verdict, pass());
    EXPECT_EQ(outcome.packet, packet);
  }
  void ExpectBecomes(const PacketSpec& in, const PacketSpec& out) {
    const Outcome outcome = Send(in);
    EXPECT_EQ(outcome.verdict, pass());
    EXPECT_EQ(outcome.packet, Build(out));
  }

  static std::unique_ptr<Harness> harness_;
  static std::unique_ptr<Harness> second_;  // a machine of its own, to compare with
  static bool network_;

 private:
  static std::string Name(const std::string& prefix, int n) { return prefix + std::to_string(n); }
};

std::unique_ptr<Harness> ProgramsTest::harness_;
std::unique_ptr<Harness> ProgramsTest::second_;
bool ProgramsTest::network_ = false;

INSTANTIATE_TEST_SUITE_P(All, ProgramsTest,
                         testing::Combine(testing::Values(Program::kXdp, Program::kTc),
                                          testing::Bool(), testing::Values(kTcp, kUdp)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) == Program::kXdp ? "Xdp"
                                                                                       : "Tc") +
                                  (std::get<1>(info.param) ? "Ipv6" : "Ipv4") +
                                  (std::get<2>(info.param) == kTcp ? "Tcp" : "Udp");
                         });

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
  PacketSpec packet = Request();
  packet.destination = Vip(9);
  ExpectUntouched(packet);
  packet = Request();
  packet.destination_port = 81;
  ExpectUntouched(packet);
  packet = Request();
  packet.protocol = protocol() == kTcp ? kUdp : kTcp;
  ExpectUntouched(packet);
  packet = Request();
  packet.protocol = 1;
  ExpectUntouched(packet);
  // A backend that speaks for itself.
  packet = Request();
  packet.source = Backend(1);
  packet.destination = Client();
  ExpectUntouched(packet);
  EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
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

TEST_P(ProgramsTest, FragmentsPassUntouched) {
  if (ipv6()) GTEST_SKIP() << "IPv6 fragments carry an extension header, which passes";
  Serve(1);
  for (uint16_t fragment : {0x2000, 0x2010, 0x0010}) {
    PacketSpec packet = Request();
    packet.fragment = fragment;
    ExpectUntouched(packet);
  }
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
  const bool on_one = before.packet == Build(Via(first, Backend(1)));
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
      if (harness_->Run(program(), Build(packet)).packet == Build(Via(packet, Backend(i)))) {
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
    EXPECT_EQ(harness_->Run(program(), Build(packet)).packet,
              second_->Run(other, Build(packet)).packet);
  }
}

TEST_P(ProgramsTest, ARemovedBackendLosesItsFlowsAndNobodyElseDoes) {
  Serve(2);
  std::vector<PacketSpec> on_one, on_two;
  for (int i = 0; i < 20; i++) {
    PacketSpec packet = Request();
    packet.source_port = 3000 + i;
    (Send(packet).packet == Build(Via(packet, Backend(1))) ? on_one : on_two).push_back(packet);
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

TEST_P(ProgramsTest, AFrontendWithoutBackendsPassesToTheKernel) {
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 0, {});
  ExpectUntouched(Request());
  harness_->SetFrontend(1, ipv6(), Vip(), 80, protocol(), 0, std::vector<uint32_t>(16, 0));
  ExpectUntouched(Request());
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
  EXPECT_EQ(outcome.verdict, pass());
  // The client's address stays; its port cannot, or the answers would look alike.
  PacketSpec arrived = Via(second, Backend(1));
  const size_t ports = outcome.packet.size() - 32 - (protocol() == kTcp ? 20 : 8);
  arrived.source_port = outcome.packet[ports] << 8 | outcome.packet[ports + 1];
  EXPECT_GE(arrived.source_port, 61000);
  EXPECT_EQ(outcome.packet, Build(arrived));
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
    ASSERT_EQ(Send(packet).packet, Build(Via(packet, Backend(1)))) << i;
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
