// Random traffic and configuration through a program and through the model: same verdict, same
// bytes, same counters.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/loaded_test.h"
#include "bpf/test/model.h"
#include "services/base/rng/rng.h"

namespace portolan::bpf {
namespace {

constexpr int kSteps = 40'000;
constexpr uint32_t kFrontends = 8;
constexpr uint32_t kBackends = 6;
constexpr uint32_t kSlots = 13;
constexpr int kTcRedirect = 7;

// Program, IPv6?, seed.
using Case = std::tuple<Program, bool, uint64_t>;

class ModelTest : public LoadedTest<Case> {
 protected:
  void SetUp() override {
    Load({.flows = 1 << 17});
    if (harness_ == nullptr) return;
    portolan_settings settings = harness_->settings();
    settings.flags = PORTOLAN_SETTING_KEEP_ROUTES;
    settings.tick_shift = 31;  // time stands still
    settings.port_count = 40;  // few, so that they run out
    harness_->SetSettings(settings);
    harness_->set_silent();
    model_ = std::make_unique<Model>(ipv6(), program() == Program::kTc, settings.hash_seed,
                                     settings.port_first, settings.port_count);
    for (uint32_t id = 1; id <= kBackends; id++) ChangeBackend(id);
    for (uint32_t id = 1; id <= kFrontends; id++) ChangeFrontend(id);
  }

  static Program program() { return std::get<0>(GetParam()); }
  static bool ipv6() { return std::get<1>(GetParam()); }
  static std::string Name(const std::string& four, const std::string& six, int n) {
    return (ipv6() ? six : four) + std::to_string(n);
  }
  static std::string Vip(int n) { return Name("20.0.10.", "2001:db8:20::", n); }
  static std::string BackendName(int n) { return Name("10.244.1.", "2001:db8:244::", n); }
  static std::string ClientName(int n) { return Name("192.0.2.", "2001:db8:c::", n); }
  static std::string Node() { return ipv6() ? "2001:db8:1::1" : "172.18.0.1"; }
  static Address Words(const std::string& text) {
    Address address{};
    AddressWords(ipv6(), text, address.data());
    return address;
  }

  // Two addresses, two ports, two protocols.
  static std::string FrontendAddress(uint32_t id) { return Vip(1 + (id - 1) / 4); }
  static uint16_t FrontendPort(uint32_t id) { return (id - 1) % 4 < 2 ? 80 : 443; }
  static uint8_t FrontendProtocol(uint32_t id) { return id % 2 == 1 ? 6 : 17; }

  void ChangeBackend(uint32_t id) {
    // Two ids are one machine and port: their flows look alike to it.
    const std::string address = BackendName(id == 2 ? 1 : static_cast<int>(id));
    const std::string source = rng_.Below(3) == 0 ? Node() : "";
    harness_->SetBackend(
        id, {.ipv6 = ipv6(), .address = address, .port = 8080, .protocol = 6, .source = source});
    model_->SetBackend(id, Words(address), 8080,
                       source.empty() ? std::nullopt : std::optional(Words(source)));
  }

  void ChangeFrontend(uint32_t id) {
    std::vector<uint32_t> slots;
    const bool empty = rng_.Below(10) == 0;
    for (uint32_t i = 0; i < kSlots && !empty; i++) slots.push_back(rng_.Below(kBackends + 1));
    harness_->SetFrontend(id, ipv6(), FrontendAddress(id), FrontendPort(id), FrontendProtocol(id),
                          id, slots);
    model_->SetFrontend(id, Words(FrontendAddress(id)), FrontendPort(id), FrontendProtocol(id),
                        slots);
  }

  void ChangeSomething() {
    const uint32_t backend = 1 + rng_.Below(kBackends);
    const uint32_t frontend = 1 + rng_.Below(kFrontends);
    switch (rng_.Below(4)) {
      case 0:
        return ChangeBackend(backend);
      case 1:
        harness_->RetireBackend(backend);
        return model_->RetireBackend(backend);
      case 2:
        return ChangeFrontend(frontend);
      default:
        harness_->RemoveFrontend(frontend, ipv6(), FrontendAddress(frontend),
                                 FrontendPort(frontend), FrontendProtocol(frontend));
        model_->RemoveFrontend(frontend);
    }
  }

  std::string Any() {
    switch (rng_.Below(4)) {
      case 0:
        return Vip(1 + rng_.Below(3));
      case 1:
        return BackendName(1 + rng_.Below(kBackends));
      default:
        return ClientName(1 + rng_.Below(6));
    }
  }

  PacketSpec RandomPacket() {
    PacketSpec spec{.ipv6 = ipv6()};
    spec.protocol = rng_.Below(2) == 0 ? 6 : 17;
    spec.source = Any();
    spec.destination = rng_.Below(3) == 0 ? Any() : Vip(1 + rng_.Below(2));
    spec.source_port = rng_.Below(8) == 0 ? 8080 : 40000 + rng_.Below(6);
    spec.destination_port = rng_.Below(2) == 0 ? 80 : rng_.Below(4) == 0 ? 81 : 443;
    constexpr uint8_t kFlags[] = {0x02, 0x10, 0x12, 0x11, 0x04, 0x18};
    spec.tcp_flags = kFlags[rng_.Below(std::size(kFlags))];
    spec.payload_length = static_cast<int>(rng_.Below(40));
    return spec;
  }

  static Tuple TupleOf(const PacketSpec& spec) {
    return {Words(spec.source), Words(spec.destination), spec.source_port, spec.destination_port,
            spec.protocol};
  }

  // The name of an address that is in play.
  std::string NameOf(const Address& address) const {
    for (int n = 1; n <= 10; n++) {
      for (const std::string& name : {Vip(n), BackendName(n), ClientName(n), Node()}) {
        if (Words(name) == address) return name;
      }
    }
    return "";
  }

  PacketSpec With(PacketSpec spec, const Tuple& tuple) const {
    spec.source = NameOf(tuple.source);
    spec.destination = NameOf(tuple.destination);
    spec.source_port = tuple.source_port;
    spec.destination_port = tuple.destination_port;
    spec.protocol = tuple.protocol;
    return spec;
  }

  void ExpectSame(const PacketSpec& spec) {
    const Bytes in = Build(spec);
    const Decision expected = model_->Handle(TupleOf(spec), spec.tcp_flags, in.size());
    const Outcome outcome = harness_->Run(program(), in);
    const bool xdp = program() == Program::kXdp;
    switch (expected.kind) {
      case Decision::kPass:
        ASSERT_EQ(outcome.verdict, xdp ? 2 : -1);
        ASSERT_EQ(outcome.packet, in);
        return;
      case Decision::kDrop:
        ASSERT_EQ(outcome.verdict, xdp ? 1 : 2) << "reason " << expected.reason;
        return;
      case Decision::kRewrite:
        PacketSpec out = With(spec, expected.tuple);
        if (!xdp) out.ttl--;
        ASSERT_EQ(outcome.verdict, xdp ? 2 : kTcRedirect);
        ASSERT_EQ(outcome.packet, Build(out));
    }
  }

  void ExpectSameCounters(const char* map, const std::map<uint32_t, Model::Counter>& counters,
                          uint32_t count) {
    for (uint32_t id = 0; id < count; id++) {
      const auto found = counters.find(id);
      const Model::Counter expected = found != counters.end() ? found->second : Model::Counter{};
      const portolan_counter counter = harness_->Counter(map, id);
      EXPECT_EQ((Model::Counter{counter.packets, counter.bytes, counter.flows}), expected)
          << map << " " << id;
    }
  }

  Rng rng_{std::get<2>(GetParam())};
  std::unique_ptr<Model> model_;
};

INSTANTIATE_TEST_SUITE_P(All, ModelTest,
                         testing::Combine(testing::Values(Program::kXdp, Program::kTc),
                                          testing::Bool(), testing::Values(1, 2)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) == Program::kXdp ? "Xdp"
                                                                                       : "Tc") +
                                  (std::get<1>(info.param) ? "Ipv6" : "Ipv4") +
                                  std::to_string(std::get<2>(info.param));
                         });

TEST_P(ModelTest, AProgramDoesWhatTheModelSays) {
  std::vector<Tuple> known;
  for (int step = 0; step < kSteps; step++) {
    if (rng_.Below(200) == 0) ChangeSomething();
    if (step % 64 == 0) known = model_->Known();
    PacketSpec packet = RandomPacket();
    if (!known.empty() && rng_.Below(2) == 0) {
      packet = With(packet, known[rng_.Below(known.size())]);
    }
    SCOPED_TRACE(testing::Message()
                 << "step " << step << ": " << packet.source << ":" << packet.source_port << " to "
                 << packet.destination << ":" << packet.destination_port << ", protocol "
                 << int{packet.protocol} << ", flags " << int{packet.tcp_flags});
    ExpectSame(packet);
    if (HasFatalFailure()) {
      ExpectSameCounters("drops", model_->drops(), PORTOLAN_DROP_REASONS);
      return;
    }
  }
  ExpectSameCounters("counters", model_->frontend_counters(), kFrontends + 1);
  ExpectSameCounters("backend_counters", model_->backend_counters(), kBackends + 1);
  ExpectSameCounters("drops", model_->drops(), PORTOLAN_DROP_REASONS);
  EXPECT_EQ(harness_->FlowCount(ipv6()), static_cast<int>(model_->Known().size()));
}

}  // namespace
}  // namespace portolan::bpf
