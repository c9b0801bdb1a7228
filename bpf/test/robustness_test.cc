// No input makes a program abort, grow or half-translate a packet.
#include <gtest/gtest.h>

#include <memory>

#include "bpf/test/harness.h"
#include "bpf/test/loaded_test.h"
#include "services/base/rng/rng.h"

namespace portolan::bpf {
namespace {

constexpr int kFrameMinimum = 14;  // BPF_PROG_RUN takes nothing shorter

class RobustnessTest : public LoadedTest<Program> {
 protected:
  void SetUp() override {
    Load({});
    if (harness_ == nullptr) return;
    uint32_t id = 0;
    for (bool ipv6 : {false, true}) {
      for (uint8_t protocol : {6, 17}) {
        id++;
        harness_->SetBackend(
            id, {.ipv6 = ipv6, .address = Backend(ipv6), .port = 8080, .protocol = protocol});
        harness_->SetFrontend(id, ipv6, Vip(ipv6), 80, protocol, id, std::vector<uint32_t>(16, id));
      }
    }
  }

  static std::string Vip(bool ipv6) { return ipv6 ? "2001:db8:20::1" : "20.0.10.1"; }
  static std::string Backend(bool ipv6) { return ipv6 ? "2001:db8:244::1" : "10.244.1.1"; }
  static PacketSpec Request(bool ipv6, uint8_t protocol) {
    return {.ipv6 = ipv6,
            .source = ipv6 ? "2001:db8:c::7" : "192.0.2.7",
            .destination = Vip(ipv6),
            .protocol = protocol};
  }
  // Passed and as long as before; or, of ours, sent on by tc or dropped.
  void ExpectSane(const Bytes& packet, const Outcome& outcome, bool ours = false) {
    const bool xdp = GetParam() == Program::kXdp;
    const bool sent = !xdp && outcome.verdict == 7;
    if (!ours || (outcome.verdict != (xdp ? 1 : 2) && !sent)) {
      ASSERT_EQ(outcome.verdict, xdp ? 2 : -1);
    }
    ASSERT_EQ(outcome.packet.size(), packet.size());
  }
};

INSTANTIATE_TEST_SUITE_P(Both, RobustnessTest, testing::Values(Program::kXdp, Program::kTc),
                         [](const auto& info) {
                           return info.param == Program::kXdp ? "Xdp" : "Tc";
                         });

TEST_P(RobustnessTest, EveryTruncationPassesUntouched) {
  for (bool ipv6 : {false, true}) {
    for (uint8_t protocol : {6, 17}) {
      for (int options : {0, 1, 10}) {
        PacketSpec spec = Request(ipv6, protocol);
        spec.option_words = ipv6 ? 0 : options;
        const Bytes whole = Build(spec);
        for (size_t size = kFrameMinimum; size < whole.size(); size++) {
          const Bytes packet(whole.begin(), whole.begin() + size);
          const Outcome outcome = harness_->Run(GetParam(), packet);
          if (outcome.verdict == -100) continue;  // too short even for BPF_PROG_RUN
          ExpectSane(packet, outcome);
          ASSERT_EQ(outcome.packet, packet) << size;
        }
        ASSERT_NE(harness_->Run(GetParam(), whole).packet, whole);
      }
    }
  }
}

TEST_P(RobustnessTest, RandomBytesNeverAbortNorGrow) {
  Rng rng(0x706f72746f6c616e);
  for (int i = 0; i < 20000; i++) {
    Bytes packet(kFrameMinimum + rng.Below(120));
    for (uint8_t& byte : packet) byte = rng.Next();
    const bool ipv6 = rng.Below(2) == 1;
    packet[12] = ipv6 ? 0x86 : 0x08;
    packet[13] = ipv6 ? 0xdd : 0x00;
    const Outcome outcome = harness_->Run(GetParam(), packet);
    if (outcome.verdict == -100) continue;
    ExpectSane(packet, outcome);
    ASSERT_EQ(outcome.packet, packet) << i;
  }
}

TEST_P(RobustnessTest, BentRequestsNeverAbortNorGrow) {
  portolan_settings settings = harness_->settings();
  settings.flags = 0;  // answers have lengths of their own
  harness_->SetSettings(settings);
  for (const bool ipv6 : {false, true}) harness_->SetSilent(ipv6, Vip(ipv6));
  Rng rng(0x627073);
  int rewritten = 0;
  for (int i = 0; i < 20000; i++) {
    PacketSpec spec = Request(rng.Below(2) == 1, rng.Below(2) == 1 ? 6 : 17);
    spec.tcp_flags = rng.Next();
    spec.source_port = rng.Next();
    spec.option_words = spec.ipv6 ? 0 : rng.Below(11);
    for (uint64_t left = rng.Below(6); left < 5; left++) {
      constexpr uint8_t kTypes[] = {0, 43, 60};
      spec.extensions.push_back({.type = kTypes[rng.Below(3)],
                                 .units = static_cast<uint8_t>(rng.Below(5)),
                                 .segments_left = static_cast<uint8_t>(rng.Below(8) == 0)});
    }
    Bytes packet = Build(spec);
    for (uint64_t bends = rng.Below(4); bends > 0; bends--) {
      packet[kFrameMinimum + rng.Below(packet.size() - kFrameMinimum)] = rng.Next();
    }
    if (rng.Below(4) == 0) packet.resize(kFrameMinimum + rng.Below(packet.size()));
    const Outcome outcome = harness_->Run(GetParam(), packet);
    if (outcome.verdict == -100) continue;
    ExpectSane(packet, outcome, /*ours=*/true);
    if (outcome.packet != packet) rewritten++;
  }
  EXPECT_GT(rewritten, 5000);
}

}  // namespace
}  // namespace portolan::bpf
