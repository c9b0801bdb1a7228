// States and counters of frontends and backends as they are published, over maps of the real
// kernel that nobody else sees. Needs root.
#include "services/datapath-loader/shell/traffic_states.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "bpf/programs/object.h"
#include "services/datapath-loader/shell/drop_states.h"
#include "services/datapath-loader/shell/layout.h"
#include "services/datapath-loader/shell/testing_streams.h"

namespace portolan::datapath {
namespace {

using FrontendRow = v1alpha1::FrontendState;
using BackendRow = v1alpha1::BackendState;

const net::IpAddress kVip = *net::IpAddress::Parse("20.0.10.1");
const FrontendKey kHttp{kVip, 80, kTcp};
constexpr char kHttpRow[] = "a/20.0.10.1/tcp/80";
constexpr char kNasRow[] = "a/ns/web/tcp/80/ipv4/nas";

class TrafficStatesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
    auto objects = Objects::LoadPrivate(bpf::LbTc(), bpf::LbXdp(), {});
    ASSERT_TRUE(objects.ok()) << objects.status();
    objects_ = *std::move(objects);
    maps_ = *KernelMaps::Open(*objects_);
    states_.MarkSynced();
    drops_.MarkSynced();
  }
  void Count(const char* map, uint32_t id, uint64_t packets) const {
    std::vector<portolan_counter> values(libbpf_num_possible_cpus());
    values.front() = {.packets = packets, .bytes = 10 * packets, .flows = 1};
    ASSERT_EQ(bpf_map_update_elem(objects_->map(map), &id, values.data(), BPF_ANY), 0);
  }
  void Sweep() {
    while (states_.Sweep(*maps_)) {
    }
  }
  static FrontendView View(uint32_t id, const FrontendKey& key = kHttp) {
    return {.key = key, .service = "ns/web", .id = id, .backends = 1};
  }
  static BackendView Nas(uint32_t id) {
    BackendView view;
    view.port = 80;
    view.backend = "nas";
    view.address = *net::IpAddress::Parse("10.0.0.1");
    view.weight = 1;
    view.id = id;
    return view;
  }

  std::unique_ptr<Objects> objects_;
  std::unique_ptr<KernelMaps> maps_;
  wire::Hub hub_;
  TrafficStates states_{hub_, "a"};
  DropStates drops_{hub_, "a"};
  TestingStreams streams_{hub_};
};

TEST_F(TrafficStatesTest, AFrontendIsPublishedAtOnceAndItsCountersWithASweep) {
  states_.Put(View(7));
  EXPECT_EQ(streams_.Get<FrontendRow>().at(kHttpRow).packets(), 0u);
  EXPECT_EQ(states_.frontends(), 1u);
  Count("counters", 7, 5);
  EXPECT_EQ(streams_.Get<FrontendRow>().at(kHttpRow).packets(), 0u);
  Sweep();
  const FrontendRow row = streams_.Get<FrontendRow>().at(kHttpRow);
  EXPECT_EQ(row.packets(), 5u);
  EXPECT_EQ(row.bytes(), 50u);
  EXPECT_EQ(row.flows(), 1u);
  EXPECT_EQ(row.service(), "ns/web");
}

TEST_F(TrafficStatesTest, ABackendIsPublishedByASweepAndGoesWithItsService) {
  states_.Put("ns/web", {Nas(3)});
  EXPECT_TRUE(streams_.Get<BackendRow>().empty());
  Count("backend_counters", 3, 4);
  Sweep();
  EXPECT_EQ(streams_.Get<BackendRow>().at(kNasRow).packets(), 4u);
  EXPECT_EQ(streams_.Get<BackendRow>().at(kNasRow).state(), "active");
  BackendView rests = Nas(3);
  rests.state = BackendState::kResting;
  states_.Put("ns/web", {rests});
  Sweep();
  EXPECT_EQ(streams_.Get<BackendRow>().at(kNasRow).state(), "resting");
  EXPECT_EQ(streams_.Get<BackendRow>().at(kNasRow).packets(), 4u);
  states_.Put("ns/web", {});
  EXPECT_TRUE(streams_.Get<BackendRow>().empty());
}

TEST_F(TrafficStatesTest, AnIdThatHasAnotherOwnerCountsForThatOneAlone) {
  const FrontendKey tls{kVip, 443, kTcp};
  states_.Put(View(7));
  states_.Put(View(7, tls));
  states_.Put(View(8));
  Count("counters", 7, 5);
  Sweep();
  EXPECT_EQ(streams_.Get<FrontendRow>().at("a/20.0.10.1/tcp/443").packets(), 5u);
  EXPECT_EQ(streams_.Get<FrontendRow>().at(kHttpRow).packets(), 0u);
  states_.Remove(kHttp);
  EXPECT_EQ(streams_.Get<FrontendRow>().size(), 1u);
  Count("counters", 7, 6);
  Sweep();
  EXPECT_EQ(streams_.Get<FrontendRow>().at("a/20.0.10.1/tcp/443").packets(), 6u);
}

TEST_F(TrafficStatesTest, ABackendWithANewIdBeginsAtItsCounters) {
  states_.Put("ns/web", {Nas(3)});
  Count("backend_counters", 3, 4);
  Sweep();
  states_.Put("ns/web", {Nas(9)});
  Sweep();
  EXPECT_EQ(streams_.Get<BackendRow>().at(kNasRow).packets(), 0u);
  Count("backend_counters", 9, 1);
  Sweep();
  EXPECT_EQ(streams_.Get<BackendRow>().at(kNasRow).packets(), 1u);
}

TEST_F(TrafficStatesTest, DropsOfAFrontendAreReadAndThoseOfItsFormerLifeAreThrownAway) {
  const int fd = objects_->map("service_drops");
  const auto drop = [&](uint32_t frontend, uint16_t epoch) {
    portolan_service_drop_key key{};
    key.frontend = frontend;
    key.epoch = epoch;
    key.reason = PORTOLAN_DROP_SOURCE;
    if (frontend == 0) {
      const portolan_address_key address = ToKernel(kVip);
      memcpy(key.address, address.address, sizeof(key.address));
      key.family = address.family;
    }
    const std::vector<portolan_counter> values(libbpf_num_possible_cpus(), {.packets = 2});
    ASSERT_EQ(bpf_map_update_elem(fd, &key, values.data(), BPF_ANY), 0);
  };
  const uint32_t id = 7;
  portolan_frontend_info info{};
  info.epoch = 4;
  info.flags = PORTOLAN_FRONTEND_ALIVE;
  ASSERT_EQ(bpf_map_update_elem(objects_->map("frontend_info"), &id, &info, BPF_ANY), 0);
  drop(id, 4);
  drop(id, 3);
  drop(0, 0);
  drops_.Put(View(id));
  while (drops_.Sweep(*maps_)) {
  }
  const uint64_t all = 2 * libbpf_num_possible_cpus();
  const auto rows = streams_.Get<v1alpha1::DropState>();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows.at("a/ns/web/source").packets(), all);
  EXPECT_EQ(rows.at("a/20.0.10.1/source").packets(), all);
  portolan_service_drop_key former{};
  former.frontend = id;
  former.epoch = 3;
  former.reason = PORTOLAN_DROP_SOURCE;
  std::vector<portolan_counter> values(libbpf_num_possible_cpus());
  EXPECT_NE(bpf_map_lookup_elem(fd, &former, values.data()), 0);
}

}  // namespace
}  // namespace portolan::datapath
