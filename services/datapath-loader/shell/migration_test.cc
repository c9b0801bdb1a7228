// Maps of other sizes and of an earlier layout against the real kernel: taken over with what is in
// them, or refused and left alone. In a network namespace of its own. Needs root.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bpf/include/datapath_maps.h"
#include "services/datapath-loader/core/programmer.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/objects.h"
#include "services/datapath-loader/shell/pins.h"

namespace portolan::datapath {
namespace {

constexpr Sizes kSizes{.max_flows = 1024, .max_frontends = 16, .max_backends = 64};
constexpr Sizes kLarger{.max_flows = 4096, .max_frontends = 32, .max_backends = 128};

net::IpAddress Ip(const std::string& text) { return *net::IpAddress::Parse(text); }

class MigrationTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() != 0) return;
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
    ASSERT_TRUE(PreparePinDirectory(directory_).ok());
  }
  void TearDown() override {
    if (geteuid() == 0) RemovePins(directory_).IgnoreError();
  }

  std::unique_ptr<Objects> Load(const Sizes& sizes) {
    auto objects = Objects::Load(directory_, sizes, log_);
    EXPECT_TRUE(objects.ok()) << objects.status();
    return objects.ok() ? *std::move(objects) : nullptr;
  }
  // One service with a source rule, and what it makes of the maps.
  static MapBatch Serve(Programmer& programmer) {
    WantedGroup group;
    group.name = "tcp/80";
    group.frontends = {{Ip("20.0.10.1"), 80, kTcp}};
    group.backends = {{Ip("10.0.0.1"), 8080, 1, std::nullopt}};
    group.sources = {{*net::Prefix::Parse("192.0.2.0/24"), true}};
    programmer.Want("ns/web", {group});
    return programmer.Plan(absl::UnixEpoch());
  }
  std::unique_ptr<Objects> MakeOld(const Sizes& sizes = kSizes) {
    auto objects = Load(sizes);
    auto maps = *KernelMaps::Open(*objects);
    Programmer programmer(objects->limits(), 1, *maps->Read());
    for (const absl::Status& status : maps->Execute(Serve(programmer))) {
      EXPECT_TRUE(status.ok()) << status;
    }
    for (uint16_t port = 1; port <= 500; port++) AddFlow(*objects, port);
    return objects;
  }
  static void AddFlow(const Objects& objects, uint16_t port) {
    portolan_flow_key4 key{};
    key.sport = port;
    portolan_flow4 flow{};
    flow.flow.last = port;
    ASSERT_EQ(bpf_map_update_elem(objects.map("flows4"), &key, &flow, BPF_ANY), 0);
  }
  static bool HasFlow(const Objects& objects, uint16_t port) {
    portolan_flow_key4 key{};
    key.sport = port;
    portolan_flow4 flow{};
    return bpf_map_lookup_elem(objects.map("flows4"), &key, &flow) == 0 && flow.flow.last == port;
  }
  // The programmer of a new life wants the same and finds it all.
  static void ExpectSame(const Objects& objects) {
    auto maps = *KernelMaps::Open(objects);
    Programmer programmer(objects.limits(), 1, *maps->Read());
    EXPECT_TRUE(Serve(programmer).empty());
    int flows = 0;
    for (uint16_t port = 1; port <= 500; port++) flows += HasFlow(objects, port);
    EXPECT_EQ(flows, 500);
  }
  void SetLayout(const Objects& objects, uint32_t version) {
    portolan_settings settings{};
    const uint32_t zero = 0;
    const int fd = objects.map("settings_map");
    ASSERT_EQ(bpf_map_lookup_elem(fd, &zero, &settings), 0);
    settings.layout_version = version;
    ASSERT_EQ(bpf_map_update_elem(fd, &zero, &settings, BPF_ANY), 0);
  }
  static uint32_t LayoutOf(const Objects& objects) {
    portolan_settings settings{};
    const uint32_t zero = 0;
    bpf_map_lookup_elem(objects.map("settings_map"), &zero, &settings);
    return settings.layout_version;
  }
  // Another map in the place of a pinned one.
  void Replace(const char* name, bpf_map_type type, uint32_t key, uint32_t value,
               uint32_t entries) const {
    const std::string path = absl::StrCat(directory_, "/maps/", name);
    const FileDescriptor fd(bpf_map_create(type, name, key, value, entries, nullptr));
    ASSERT_TRUE(fd.ok());
    ASSERT_EQ(unlink(path.c_str()), 0);
    ASSERT_EQ(bpf_obj_pin(fd.get(), path.c_str()), 0);
  }
  void Finish(Objects& objects) {
    ASSERT_TRUE(objects.PinMigrated(directory_).ok());
    ASSERT_TRUE(objects.FinishMigration().ok());
  }
  // It is refused with these words, and what was there can still be used.
  void ExpectRefused(const Sizes& sizes, const std::string& words) {
    const auto refused = Objects::Load(directory_, sizes, log_);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(absl::StrContains(refused.status().message(), words)) << refused.status();
  }

  const std::string directory_ =
      absl::StrCat("/sys/fs/bpf/portolan/migration-", getpid(), "-",
                   testing::UnitTest::GetInstance()->current_test_info()->name());
  const Log log_{"test"};
};

TEST_F(MigrationTest, NothingIsMadeAnewWhenAllIsAsNeeded) {
  MakeOld();
  auto objects = Load(kSizes);
  EXPECT_TRUE(objects->adopted());
  EXPECT_TRUE(objects->migrated().empty());
}

TEST_F(MigrationTest, LargerMapsTakeOverWhatIsInTheSmallerOnes) {
  MakeOld();
  {
    auto objects = Load(kLarger);
    ASSERT_NE(objects, nullptr);
    EXPECT_TRUE(objects->adopted());
    EXPECT_FALSE(objects->migrated().empty());
    ExpectSame(*objects);
    Finish(*objects);
    EXPECT_TRUE(objects->migrated().empty());
  }
  auto next = Load(kLarger);
  ASSERT_NE(next, nullptr);
  EXPECT_TRUE(next->migrated().empty()) << "the new ones have their pins";
  ExpectSame(*next);
}

TEST_F(MigrationTest, FlowsThatBeganMeanwhileAreTakenOverAndOlderNewsDoesNotWin) {
  auto old = MakeOld();
  auto objects = Load(kLarger);
  AddFlow(*old, 501);
  portolan_flow_key4 key{};
  key.sport = 7;
  portolan_flow4 flow{};
  flow.flow.last = 4711;  // by the new programs
  ASSERT_EQ(bpf_map_update_elem(objects->map("flows4"), &key, &flow, BPF_ANY), 0);
  EXPECT_FALSE(HasFlow(*objects, 501));
  Finish(*objects);
  EXPECT_TRUE(HasFlow(*objects, 501));
  ASSERT_EQ(bpf_map_lookup_elem(objects->map("flows4"), &key, &flow), 0);
  EXPECT_EQ(flow.flow.last, 4711u);
}

TEST_F(MigrationTest, AFailureBeforeThePinsLeavesWhatWasThere) {
  MakeOld();
  Load(kLarger);  // its self-test would have failed
  auto objects = Load(kSizes);
  EXPECT_TRUE(objects->migrated().empty());
  ExpectSame(*objects);
}

TEST_F(MigrationTest, ADeathBetweenThePinsIsContinuedByTheNextLife) {
  MakeOld();
  Load(kLarger)->PinMigrated(directory_).IgnoreError();
  Replace("answers", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(portolan_counter), 3);
  auto objects = Load(kLarger);
  EXPECT_EQ(objects->migrated(), std::vector<std::string>{"answers"});
  ExpectSame(*objects);
}

TEST_F(MigrationTest, AnEarlierLayoutIsTakenOverWithItsFlows) {
  {
    auto old = MakeOld();
    SetLayout(*old, 3);
  }
  Replace("drops", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(portolan_counter), 11);
  ASSERT_EQ(unlink(absl::StrCat(directory_, "/maps/answers").c_str()), 0);  // did not exist then
  {
    auto objects = Load(kSizes);
    ASSERT_NE(objects, nullptr);
    EXPECT_EQ(objects->migrated(), (std::vector<std::string>{"answers", "drops"}));
    EXPECT_EQ(LayoutOf(*objects), 3u) << "until all of it is done";
    ExpectSame(*objects);
    Finish(*objects);
    EXPECT_EQ(LayoutOf(*objects), static_cast<uint32_t>(PORTOLAN_LAYOUT_VERSION));
  }
  auto next = Load(kSizes);
  EXPECT_TRUE(next->migrated().empty());
  ExpectSame(*next);
}

TEST_F(MigrationTest, LayoutsThatItDoesNotKnowAreRefusedAndLeftAlone) {
  auto old = MakeOld();
  for (const uint32_t version : {2, PORTOLAN_LAYOUT_VERSION + 1}) {
    SetLayout(*old, version);
    ExpectRefused(kSizes, absl::StrCat("of layout ", version, ", and this version can take over"));
    EXPECT_EQ(LayoutOf(*old), version);
  }
  SetLayout(*old, PORTOLAN_LAYOUT_VERSION);
  ExpectSame(*Load(kSizes));
}

TEST_F(MigrationTest, MapsThatAreTooSmallForWhatIsInThemAreRefused) {
  auto old = MakeOld(kLarger);
  const uint32_t id = 100;
  portolan_backend backend{};
  backend.flags = PORTOLAN_BACKEND_ALIVE;
  ASSERT_EQ(bpf_map_update_elem(old->map("backends"), &id, &backend, BPF_ANY), 0);
  ExpectRefused(kSizes, "map backends has room for 129 entries");
  const portolan_backend nobody{};
  ASSERT_EQ(bpf_map_update_elem(old->map("backends"), &id, &nobody, BPF_ANY), 0);
  for (uint32_t i = 0; i < 20; i++) {
    portolan_address_key key{.address = {i}, .family = PORTOLAN_FAMILY_IPV4};
    const portolan_address value{.frontends = 1};
    ASSERT_EQ(bpf_map_update_elem(old->map("addresses"), &key, &value, BPF_ANY), 0);
  }
  ExpectRefused(kSizes, "map addresses has room for 32 entries");
  ExpectSame(*Load(kLarger));
}

TEST_F(MigrationTest, ATableOfAnotherKindIsRefusedWithTheRemedy) {
  MakeOld();
  Replace("flows4", BPF_MAP_TYPE_LRU_HASH, 16, 40, 2048);
  ExpectRefused(kSizes, "map flows4 has type 9");
  ExpectRefused(kSizes, "portolan datapath flows -o json before, and portolan datapath import");
}

TEST_F(MigrationTest, FiguresOfAnotherKindBeginAnew) {
  MakeOld();
  Replace("answers", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 3);
  auto objects = Load(kSizes);
  ASSERT_NE(objects, nullptr);
  EXPECT_EQ(objects->migrated(), std::vector<std::string>{"answers"});
  ExpectSame(*objects);
}

TEST_F(MigrationTest, AMissingMapOfTheSameLayoutIsRefused) {
  MakeOld();
  ASSERT_EQ(unlink(absl::StrCat(directory_, "/maps/flows6").c_str()), 0);
  ExpectRefused(kSizes, "map flows6 is not pinned");
}

}  // namespace
}  // namespace portolan::datapath
