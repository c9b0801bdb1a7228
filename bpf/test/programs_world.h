// The world of the tests of the programs: a node with the address Node(), frontends at Vip(),
// backends at Backend(), clients at Client(), packet in and packet out. A test runs for both
// programs, both families, TCP and UDP; see EveryCase() and CaseName(). Needs root, else it skips.
#pragma once

#include <gtest/gtest.h>
#include <net/if.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/network.h"

namespace portolan::bpf {

using ProgramsCase = std::tuple<Program, bool, uint8_t>;

constexpr int kTcRedirect = 7;
constexpr int kXdpRedirect = 4;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kFinAck = 0x11;
constexpr uint8_t kRst = 0x04;

class ProgramsWorld : public testing::TestWithParam<ProgramsCase> {
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
  // Rewritten and on its way: tc sends itself.
  int carried() const { return program() == Program::kXdp ? pass() : kTcRedirect; }
  // A rewritten packet as it leaves the program: tc counts the TTL down.
  Bytes Forwarded(Bytes packet) const {
    if (program() == Program::kXdp) return packet;
    if (ipv6()) {
      packet[21]--;
      return packet;
    }
    packet[22]--;
    uint32_t sum = (packet[24] << 8 | packet[25]) + 0x100;  // RFC 1141
    sum = (sum & 0xffff) + (sum >> 16);
    packet[24] = sum >> 8;
    packet[25] = sum;
    return packet;
  }
  Bytes DestinationOf(const Bytes& packet) const {
    const auto begin = packet.begin() + (ipv6() ? 38 : 30);
    return Bytes(begin, begin + (ipv6() ? 16 : 4));
  }
  Bytes Forwarded(const PacketSpec& packet) const { return Forwarded(Build(packet)); }
  int drop() const { return program() == Program::kXdp ? 1 : 2; }

  std::string Vip(int n = 1) const { return Name(ipv6() ? "2001:db8:20::" : "20.0.10.", n); }
  std::string Backend(int n) const { return Name(ipv6() ? "2001:db8:244::" : "10.244.1.", n); }
  std::string Client(int n = 7) const { return Name(ipv6() ? "2001:db8:c::" : "192.0.2.", n); }
  // A router that is neither.
  std::string Router() const { return ipv6() ? "2001:db8:f::1" : "198.51.100.1"; }
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

  void ExpectUntouched(const PacketSpec& spec) { ExpectUntouched(Build(spec)); }
  void ExpectUntouched(const Bytes& packet) {
    const Outcome outcome = harness_->Run(program(), packet);
    EXPECT_EQ(outcome.verdict, pass());
    EXPECT_EQ(outcome.packet, packet);
  }
  void ExpectBecomes(const PacketSpec& in, const PacketSpec& out) {
    ExpectBecomes(Build(in), Build(out));
  }
  void ExpectBecomes(const Bytes& in, const Bytes& out) {
    const Outcome outcome = harness_->Run(program(), in);
    EXPECT_EQ(outcome.verdict, carried());
    EXPECT_EQ(outcome.packet, Forwarded(out));
  }
  // The kernel gets `out` and routes it.
  void ExpectLeftToTheKernelAs(const PacketSpec& in, const PacketSpec& out) {
    const Outcome outcome = Send(in);
    EXPECT_EQ(outcome.verdict, pass());
    EXPECT_EQ(outcome.packet, Build(out));
  }
  // Sent out again by tc as `out`; XDP leaves it to tc.
  void ExpectSentByTc(const Bytes& in, const Bytes& out) {
    if (program() == Program::kXdp) {
      ExpectUntouched(in);
      return;
    }
    const Outcome outcome = harness_->Run(program(), in);
    EXPECT_EQ(outcome.verdict, kTcRedirect);
    EXPECT_EQ(outcome.packet, out);
  }
  // Dropped, and counted once more for `reason` and for no other, by the node and by the service.
  void ExpectDropped(const Bytes& packet, portolan_drop reason) {
    std::vector<portolan_counter> before, services_before;
    for (uint32_t i = 0; i < PORTOLAN_DROP_REASONS; i++) {
      before.push_back(Drops(i));
      services_before.push_back(ServiceDrops(i));
    }
    EXPECT_EQ(harness_->Run(program(), packet).verdict, drop());
    for (uint32_t i = 0; i < PORTOLAN_DROP_REASONS; i++) {
      const uint64_t packets = i == reason ? 1 : 0, bytes = i == reason ? packet.size() : 0;
      EXPECT_EQ(Drops(i).packets, before[i].packets + packets) << i;
      EXPECT_EQ(Drops(i).bytes, before[i].bytes + bytes) << i;
      EXPECT_EQ(ServiceDrops(i).packets, services_before[i].packets + packets) << i;
      EXPECT_EQ(ServiceDrops(i).bytes, services_before[i].bytes + bytes) << i;
    }
  }
  // Of all services and addresses.
  portolan_counter ServiceDrops(uint32_t reason) const {
    portolan_counter sum{};
    for (const Harness::ServiceDrop& row : harness_->ServiceDrops()) {
      if (row.key.reason != reason) continue;
      sum.packets += row.counter.packets;
      sum.bytes += row.counter.bytes;
    }
    return sum;
  }
  portolan_counter Drops(uint32_t reason) const { return harness_->Counter("drops", reason); }

  void SetFlags(uint32_t flags) {
    portolan_settings settings = harness_->settings();
    settings.flags = flags;
    harness_->SetSettings(settings);
  }
  // The answer's frame goes back where the question came from.
  static void ExchangeMacs(PacketSpec& spec) { std::swap(spec.source_mac, spec.destination_mac); }
  // `packet` as it left for a backend of another node in `outcome`, whose source port it takes.
  PacketSpec Translated(PacketSpec packet, const Outcome& outcome) const {
    packet = Via(packet, Backend(1));
    packet.source = Node();
    packet.ttl = 63;
    const size_t ports =
        outcome.packet.size() - packet.payload_length - (protocol() == kTcp ? 20 : 8);
    packet.source_port = outcome.packet[ports] << 8 | outcome.packet[ports + 1];
    return packet;
  }

  inline static std::unique_ptr<Harness> harness_;
  inline static std::unique_ptr<Harness> second_;  // a machine of its own, to compare with
  inline static bool network_ = false;

 private:
  static std::string Name(const std::string& prefix, int n) { return prefix + std::to_string(n); }
};

inline auto EveryCase() {
  return testing::Combine(testing::Values(Program::kXdp, Program::kTc), testing::Bool(),
                          testing::Values(kTcp, kUdp));
}

inline std::string CaseName(const testing::TestParamInfo<ProgramsCase>& info) {
  const auto& [program, ipv6, protocol] = info.param;
  return std::string(program == Program::kXdp ? "Xdp" : "Tc") + (ipv6 ? "Ipv6" : "Ipv4") +
         (protocol == kTcp ? "Tcp" : "Udp");
}

}  // namespace portolan::bpf
