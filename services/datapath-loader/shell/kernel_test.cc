// Maps, pins and links against the real kernel, in a network namespace of its own. Needs root.
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
#include "services/datapath-loader/shell/attachment.h"
#include "services/datapath-loader/shell/host.h"
#include "services/datapath-loader/shell/interfaces.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/layout.h"
#include "services/datapath-loader/shell/objects.h"
#include "services/datapath-loader/shell/pins.h"
#include "services/datapath-loader/shell/policy_rules.h"
#include "services/datapath-loader/shell/xdp_features.h"

namespace portolan::datapath {
namespace {

constexpr Sizes kSizes{.max_flows = 1024, .max_frontends = 16, .max_backends = 64};

net::IpAddress Ip(const std::string& text) { return *net::IpAddress::Parse(text); }
bool Shell(const std::string& command) {
  return std::system(absl::StrCat("PATH=$PATH:/usr/sbin:/sbin; ", command).c_str()) == 0;
}

class KernelTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() != 0) return;
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    ASSERT_TRUE(
        Shell("ip link set lo up && ip link add t0 type veth peer name t1 && "
              "ip link set t0 up && ip link set t1 up && ip addr add 10.9.0.1/24 dev t0"));
  }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
    const absl::Status status = PreparePinDirectory(directory_);
    ASSERT_TRUE(status.ok()) << status;
  }
  void TearDown() override {
    if (geteuid() == 0) RemovePins(directory_).IgnoreError();
  }
  std::unique_ptr<Objects> Load(const Sizes& sizes = kSizes) {
    auto objects = Objects::Load(directory_, sizes, log_);
    EXPECT_TRUE(objects.ok()) << objects.status();
    return objects.ok() ? *std::move(objects) : nullptr;
  }
  static MapBatch Serve(Programmer& programmer) {
    WantedGroup group;
    group.name = "tcp/80";
    group.backends = {{Ip("10.0.0.1"), 8080, 1, std::nullopt},
                      {Ip("10.0.0.2"), 8080, 1, Ip("10.9.0.1"), Delivery::kFullNat}};
    group.frontends = {{Ip("20.0.10.1"), 80, kTcp}};
    programmer.Want("ns/web", {group});
    return programmer.Plan(absl::UnixEpoch());
  }

  const Log log_{"test", Log::Level::kError};
  const std::string directory_ = absl::StrCat("/sys/fs/bpf/portolan/test-", getpid());
};

TEST_F(KernelTest, WhatIsWrittenIsReadBack) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  ASSERT_TRUE(maps->Write(ProgramSettings()).ok());
  Programmer programmer(objects->limits(), 1, *maps->Read());
  const MapBatch batch = Serve(programmer);
  ASSERT_EQ(batch.size(), 5u);
  for (const absl::Status& status : maps->Execute(batch)) EXPECT_TRUE(status.ok()) << status;
  const MapImage image = *maps->Read();
  ASSERT_EQ(image.frontends.size(), 1u);
  EXPECT_EQ(image.frontends.begin()->second, std::get<WriteFrontend>(batch.back().change).entry);
  EXPECT_EQ(image.backends.at(1), std::get<WriteBackend>(batch[0].change).entry);
  EXPECT_EQ(image.backends.at(2), std::get<WriteBackend>(batch[1].change).entry);
  EXPECT_EQ(image.tables.at(0), std::get<WriteTable>(batch[2].change).slots);
}

TEST_F(KernelTest, AddressesAndSourcesFollowTheFrontendsAlsoThroughARestart) {
  const FrontendKey http{Ip("20.0.10.1"), 80, kTcp};
  const FrontendKey tls{Ip("20.0.10.1"), 443, kTcp};
  const auto frontends_of = [](const Objects& objects) {
    const portolan_address_key key = ToKernel(Ip("20.0.10.1"));
    portolan_address value{};
    bpf_map_lookup_elem(objects.map("addresses"), &key, &value);
    return value.frontends;
  };
  const net::Prefix office = *net::Prefix::Parse("192.0.2.0/24");
  {
    auto objects = Load();
    auto maps = *KernelMaps::Open(*objects);
    ASSERT_TRUE(maps->Read().ok());
    const MapBatch batch = {{"ns/web", "g", WriteSource{1, office, true}},
                            {"ns/web", "g", WriteSource{1, *net::Prefix::Parse("::/0"), false}},
                            {"ns/web", "g", OpenFrontend{1, 0, 1}},
                            {"ns/web", "g", WriteFrontend{http, {.id = 1, .group = 1}}},
                            {"ns/web", "g", WriteFrontend{http, {.id = 1, .group = 1}}},
                            {"ns/web", "g", WriteFrontend{tls, {.id = 2, .group = 1}}}};
    for (const absl::Status& status : maps->Execute(batch)) EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(frontends_of(*objects), 2u);
    // What is said of tunnels is no service's, and nobody's to prune.
    const portolan_source_key tunnels = ToKernel(PORTOLAN_SOURCE_TUNNELS, office);
    const portolan_source allowed{.allowed = 1};
    ASSERT_EQ(bpf_map_update_elem(objects->map("sources"), &tunnels, &allowed, BPF_ANY), 0);
  }
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  EXPECT_EQ(maps->Read()->sources,
            (std::map<uint32_t, SourceRules>{
                {1, {{office, true}, {*net::Prefix::Parse("::/0"), false}}}}));
  EXPECT_EQ(frontends_of(*objects), 2u);
  maps->Execute({{"ns/web", "g", DeleteFrontend{http}},
                 {"ns/web", "g", DeleteSource{1, office}},
                 {"ns/web", "g", DeleteSource{1, office}}});
  EXPECT_EQ(frontends_of(*objects), 1u);
  EXPECT_EQ(maps->Read()->sources.at(1).size(), 1u);
  maps->Execute({{"ns/web", "g", DeleteFrontend{tls}}});
  EXPECT_EQ(frontends_of(*objects), 0u);
}

TEST_F(KernelTest, AnAddressCountsItsSilentFrontends) {
  const FrontendKey http{Ip("20.0.10.1"), 80, kTcp};
  const FrontendKey tls{Ip("20.0.10.1"), 443, kTcp};
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  const auto counts = [&] {
    const portolan_address_key key = ToKernel(Ip("20.0.10.1"));
    portolan_address value{};
    bpf_map_lookup_elem(objects->map("addresses"), &key, &value);
    return std::pair<uint32_t, uint32_t>(value.frontends, value.silent);
  };
  using Counts = std::pair<uint32_t, uint32_t>;
  ASSERT_TRUE(maps->Read().ok());
  maps->Execute({{"s", "g", WriteFrontend{http, {.id = 1, .silent = true}}},
                 {"s", "g", WriteFrontend{tls, {.id = 2}}}});
  EXPECT_EQ(counts(), Counts(2, 1));
  maps->Execute({{"s", "g", WriteFrontend{tls, {.id = 2, .silent = true}}}});
  EXPECT_EQ(counts(), Counts(2, 2));
  ASSERT_TRUE(maps->Read().ok());
  EXPECT_EQ(counts(), Counts(2, 2));
  maps->Execute({{"s", "g", WriteFrontend{tls, {.id = 2}}}, {"s", "g", DeleteFrontend{http}}});
  EXPECT_EQ(counts(), Counts(1, 0));
}

// The maps hold 16 frontends and 64 backends.
TEST_F(KernelTest, WhatTheKernelRefusesIsItsGroupsErrorAndTheOthersAreWritten) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  ASSERT_TRUE(maps->Read().ok());
  MapBatch batch;
  for (uint32_t i = 0; i < 20; i++) {
    batch.push_back({"s", absl::StrCat("g", i), WriteBackend{i == 3 ? 1000u : i + 1, {}}});
  }
  for (uint32_t i = 0; i < 20; i++) {
    const FrontendKey key{Ip(absl::StrCat("20.0.10.", i + 1)), 80, kTcp};
    batch.push_back({"s", absl::StrCat("g", i), WriteFrontend{key, {.id = i % 16}}});
  }
  const std::vector<absl::Status> results = maps->Execute(batch);
  int full = 0;
  for (uint32_t i = 0; i < 20; i++) {
    EXPECT_EQ(results[i].ok(), i != 3) << results[i];
    if (absl::IsResourceExhausted(results[20 + i])) full++;
  }
  EXPECT_TRUE(absl::IsAborted(results[20 + 3]));
  EXPECT_EQ(full, 3) << "16 fit, one was aborted";
  EXPECT_EQ(maps->Read()->frontends.size(), 16u);
  EXPECT_EQ(maps->Read()->backends.size(), 19u);
}

TEST_F(KernelTest, CountersAreReadFromTheFirstToTheLastAndBeginAtZeroInASecondLife) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  ASSERT_TRUE(maps->Read().ok());
  const uint32_t last = kSizes.max_backends;
  for (const uint32_t id : {1u, 2u, last}) {
    std::vector<portolan_counter> values(libbpf_num_possible_cpus());
    for (portolan_counter& value : values) value = {.packets = id, .bytes = 2, .flows = 3};
    ASSERT_EQ(bpf_map_update_elem(objects->map("backend_counters"), &id, values.data(), BPF_ANY),
              0);
  }
  const uint64_t cpus = libbpf_num_possible_cpus();
  std::vector<portolan_counter> counters;
  for (const uint32_t first : {0u, 1u}) {
    maps->BackendCounters(first, last + 1 - first, counters);
    ASSERT_EQ(counters.size(), last + 1 - first);
    EXPECT_EQ(counters[1 - first].packets, cpus);
    EXPECT_EQ(counters[2 - first].packets, 2 * cpus);
    EXPECT_EQ(counters[2 - first].flows, 3 * cpus);
    EXPECT_EQ(counters.back().packets, last * cpus);
    EXPECT_EQ(counters[3 - first].packets, 0u);
  }
  maps->Execute({{"s", "g", WriteBackend{2, {.epoch = 1}}}});
  maps->BackendCounters(2, 1, counters);
  EXPECT_EQ(counters[0].packets, 0u);
}

TEST_F(KernelTest, ASecondLifeAdoptsTheMapsWithTheirContent) {
  {
    auto objects = Load();
    EXPECT_FALSE(objects->adopted());
    auto maps = *KernelMaps::Open(*objects);
    Programmer programmer(objects->limits(), 1, *maps->Read());
    maps->Execute(Serve(programmer));
  }
  auto objects = Load();
  EXPECT_TRUE(objects->adopted());
  auto maps = *KernelMaps::Open(*objects);
  Programmer programmer(objects->limits(), 1, *maps->Read());
  EXPECT_TRUE(Serve(programmer).empty());
}

TEST_F(KernelTest, PinsWithoutTheCommitMarkAreMadeAnew) {
  Load();
  ASSERT_EQ(unlink(absl::StrCat(directory_, "/maps/settings_map").c_str()), 0);
  EXPECT_FALSE(Load()->adopted());
  EXPECT_TRUE(Load()->adopted());
}

TEST_F(KernelTest, PinsOfANetworkNamespaceThatIsGoneAreMadeAnew) {
  Load();
  ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  EXPECT_FALSE(Load()->adopted());
  SetUpTestSuite();
}

TEST_F(KernelTest, PinsThatServeAnotherNetworkNamespaceAreRefused) {
  auto objects = Load();
  ASSERT_TRUE(Attachment::AttachTcx(directory_, InterfaceIndex("t0"), objects->tc_program()).ok());
  // The old namespace lives on in a child that waits for our end of a pipe.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  if (fork() == 0) {
    close(ends[1]);
    char byte;
    _exit(static_cast<int>(read(ends[0], &byte, 1)));
  }
  ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  const auto refused = Objects::Load(directory_, kSizes, log_);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << refused.status();
  close(ends[0]);
  close(ends[1]);
  SetUpTestSuite();
}

TEST_F(KernelTest, AFullMapSaysWhichAndTheRestOfItsGroupIsNotDone) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  MapBatch batch;
  for (uint16_t port = 1; port <= 17; port++) {
    batch.push_back(
        {"ns/web", absl::StrCat(port), WriteFrontend{{Ip("20.0.10.1"), port, kTcp}, {.id = 1}}});
  }
  batch.push_back({"ns/web", "17", OpenFrontend{1, 0, 1}});
  const std::vector<absl::Status> results = maps->Execute(batch);
  EXPECT_TRUE(results[15].ok());
  EXPECT_EQ(results[16].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StartsWith(results[16].message(), "map frontends: ")) << results[16];
  EXPECT_TRUE(absl::IsAborted(results[17]));
}

TEST_F(KernelTest, LinksOutliveTheirProcessAndGetTheNewProgram) {
  const uint32_t ifindex = InterfaceIndex("t0");
  {
    auto objects = Load();
    ASSERT_TRUE(Attachment::AttachXdp(directory_, ifindex, objects->xdp_program()).ok());
    ASSERT_TRUE(Attachment::AttachTc(directory_, ifindex, objects->tc_program()).ok());
  }
  EXPECT_EQ(ListLinkPins(directory_).size(), 2u);
  EXPECT_TRUE(Shell("ip link show t0 | grep -q 'prog/xdp'"));
  auto objects = Load();
  auto xdp = Attachment::AttachXdp(directory_, ifindex, objects->xdp_program());
  ASSERT_TRUE(xdp.ok()) << xdp.status();
  EXPECT_TRUE(xdp->IsAlive());
  EXPECT_TRUE(xdp->Detach().ok());
  EXPECT_FALSE(Shell("ip link show t0 | grep -q 'prog/xdp'"));
}

TEST_F(KernelTest, ClsactWorksWhereThereIsNoTcx) {
  const uint32_t ifindex = InterfaceIndex("t0");
  auto objects = Load();
  auto filter = Attachment::AttachClsact(ifindex, objects->tc_program());
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_TRUE(filter->IsAlive());
  EXPECT_TRUE(Shell("tc filter show dev t0 ingress | grep -q portolan_lb_tc"));
  ASSERT_TRUE(Attachment::AttachClsact(ifindex, objects->tc_program()).ok());
  EXPECT_TRUE(filter->Detach().ok());
  EXPECT_FALSE(filter->IsAlive());
}

TEST_F(KernelTest, AnInterfaceIsAttachedWhenItComesAndAgainWhenItComesBack) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"late", {.mode = "auto"}}});
  std::vector<InterfaceReport> reports = interfaces.Reconcile();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].state, State::kFailed);
  EXPECT_EQ(reports[0].reason, "no-interface");
  EXPECT_EQ(interfaces.attached(), 0);
  for (int life = 0; life < 2; life++) {
    ASSERT_TRUE(Shell("ip tuntap add late mode tap && ip link set late up"));
    reports = interfaces.Reconcile();
    EXPECT_EQ(reports[0].state, State::kReady) << reports[0].message;
    EXPECT_EQ(reports[0].mode, "xdp");
    EXPECT_EQ(interfaces.attached(), 1);
    EXPECT_EQ(ListLinkPins(directory_).size(), 2u);
    ASSERT_TRUE(Shell("ip link del late"));
    EXPECT_EQ(interfaces.Reconcile()[0].reason, "no-interface");
    EXPECT_TRUE(ListLinkPins(directory_).empty());
  }
}

TEST_F(KernelTest, AutoTakesTcOnAVethAndXdpWhenAsked) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "auto"}}});
  const std::vector<InterfaceReport> reports = interfaces.Reconcile();
  EXPECT_EQ(reports[0].state, State::kReady) << reports[0].message;
  EXPECT_EQ(reports[0].mode, "tc");
  EXPECT_TRUE(absl::StrContains(reports[0].message, "veth")) << reports[0].message;
  interfaces.Want({{"t0", {.mode = "xdp"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].mode, "xdp");
  interfaces.Want({});
  interfaces.Reconcile();
}

TEST_F(KernelTest, TheProgramsAreToldOfAnInterfaceForAsLongAsItIsTheirs) {
  auto objects = Load();
  const uint32_t ifindex = InterfaceIndex("t0");
  const uint32_t slot = portolan_interface_slot(ifindex);
  const uint32_t left = (slot + 1) % PORTOLAN_INTERFACES;  // from an earlier life
  const int fd = objects->map("interfaces");
  portolan_interface value{};
  value.ifindex = ifindex + 1;
  ASSERT_EQ(bpf_map_update_elem(fd, &left, &value, BPF_ANY), 0);
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "xdp", .inside = true}}});
  interfaces.Reconcile();
  ASSERT_EQ(bpf_map_lookup_elem(fd, &slot, &value), 0);
  EXPECT_EQ(value.ifindex, ifindex);
  EXPECT_EQ(memcmp(value.mac, MacAddressOf("t0")->octets.data(), sizeof(value.mac)), 0);
  EXPECT_TRUE(value.flags & PORTOLAN_INTERFACE_INTERNAL);
  ASSERT_EQ(bpf_map_lookup_elem(fd, &left, &value), 0);
  EXPECT_EQ(value.ifindex, 0u);
  ASSERT_TRUE(Shell("ip link set t0 address 02:00:00:00:77:01"));
  interfaces.Reconcile();
  ASSERT_EQ(bpf_map_lookup_elem(fd, &slot, &value), 0);
  EXPECT_EQ(value.mac[4], 0x77);
  interfaces.Want({});
  interfaces.Reconcile();
  ASSERT_EQ(bpf_map_lookup_elem(fd, &slot, &value), 0);
  EXPECT_EQ(value.ifindex, 0u);
}

TEST_F(KernelTest, AnInterfaceThatCannotBeAttachedAnewIsForgottenByThePrograms) {
  auto objects = Load();
  const uint32_t slot = portolan_interface_slot(InterfaceIndex("t0"));
  const auto is_known = [&] {
    portolan_interface value{};
    bpf_map_lookup_elem(objects->map("interfaces"), &slot, &value);
    return value.ifindex != 0;
  };
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "tc"}}});
  ASSERT_EQ(interfaces.Reconcile()[0].mode, "tc");
  EXPECT_TRUE(is_known());
  // The next attachment finds no place for its pin.
  ASSERT_TRUE(Shell(absl::StrCat("rm -r ", directory_, "/links")));
  interfaces.Want({{"t0", {.mode = "auto"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].reason, "refused");
  EXPECT_FALSE(is_known());
  EXPECT_EQ(interfaces.attached(), 0);
}

TEST_F(KernelTest, AVethTakesFramesFromXdpWhileItsPeerHasAProgram) {
  auto objects = Load();
  const uint32_t ifindex = InterfaceIndex("t0");
  XdpFeatureQuery query;
  EXPECT_FALSE(query.TakesXdpFrames(ifindex));
  EXPECT_FALSE(query.TakesXdpFrames(0));
  auto peer = Attachment::AttachXdp(directory_, InterfaceIndex("t1"), objects->xdp_program());
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_TRUE(query.TakesXdpFrames(ifindex));
  EXPECT_TRUE(peer->Detach().ok());
}

TEST_F(KernelTest, TwoInterfacesOnOneSlotAreTold) {
  auto objects = Load();
  InterfaceMap map(objects->map("interfaces"));
  ASSERT_TRUE(map.Put(7, {}).ok());
  const absl::Status status = map.Put(7 + PORTOLAN_INTERFACES, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(absl::StrContains(status.message(), "create one of them anew"));
  map.Remove(7);
  EXPECT_TRUE(map.Put(7 + PORTOLAN_INTERFACES, {}).ok());
}

TEST_F(KernelTest, AutoFallsBackToTcAndXdpFailsWithNothingAttached) {
  auto objects = Load();
  auto foreign = Load();
  Interfaces interfaces(directory_, *objects);
  // Somebody else's XDP program is on the interface.
  ASSERT_TRUE(Shell("ip tuntap add used mode tap && ip link set used up"));
  const std::string other = directory_ + "-other";
  ASSERT_TRUE(PreparePinDirectory(other).ok());
  auto theirs = Attachment::AttachXdp(other, InterfaceIndex("used"), foreign->xdp_program());
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  interfaces.Want({{"used", {.mode = "xdp"}}});
  std::vector<InterfaceReport> reports = interfaces.Reconcile();
  EXPECT_EQ(reports[0].state, State::kFailed);
  EXPECT_EQ(reports[0].reason, "no-xdp");
  EXPECT_TRUE(ListLinkPins(directory_).empty());
  interfaces.Want({{"used", {.mode = "auto"}}});
  reports = interfaces.Reconcile();
  EXPECT_EQ(reports[0].mode, "tc");
  EXPECT_TRUE(absl::StrContains(reports[0].message, "another program")) << reports[0].message;
  interfaces.Want({});
  interfaces.Reconcile();
  EXPECT_TRUE(ListLinkPins(directory_).empty());
  EXPECT_TRUE(theirs->IsAlive());
  RemovePins(other).IgnoreError();
  Shell("ip link del used");
}

TEST_F(KernelTest, ChangingTheModeLeavesNoGapInTc) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "xdp"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].mode, "xdp");
  interfaces.Want({{"t0", {.mode = "tc"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].mode, "tc");
  EXPECT_EQ(ListLinkPins(directory_).size(), 1u);
  EXPECT_FALSE(Shell("ip link show t0 | grep -q 'prog/xdp'"));
}

TEST_F(KernelTest, WhatIsNotEthernetIsRefused) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  ASSERT_TRUE(Shell("ip tuntap add mode tun name tun0"));
  interfaces.Want({{"tun0", {.mode = "auto"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].reason, "not-ethernet");
  Shell("ip link del tun0");
}

TEST_F(KernelTest, StrictReversePathIsNamed) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "tc"}}});
  ASSERT_TRUE(Shell("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.t0.rp_filter=1"));
  EXPECT_EQ(interfaces.Reconcile()[0].reason, "strict-reverse-path");
  ASSERT_TRUE(Shell("sysctl -qw net.ipv4.conf.t0.rp_filter=0"));
  EXPECT_EQ(interfaces.Reconcile()[0].reason, "attached");
}

TEST_F(KernelTest, WhoseTunnelsEndHereFollowsTheSettings) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  const auto count = [&] {
    int found = 0;
    portolan_source_key key{};
    for (void* previous = nullptr;
         bpf_map_get_next_key(objects->map("sources"), previous, &key) == 0;) {
      previous = &key;
      if (key.group == PORTOLAN_SOURCE_TUNNELS) found++;
    }
    return found;
  };
  ProgramSettings settings;
  settings.tunnels = {{*net::Prefix::Parse("192.0.2.0/24"), true},
                      {*net::Prefix::Parse("2001:db8::/32"), true}};
  ASSERT_TRUE(maps->Write(settings).ok());
  EXPECT_EQ(count(), 2);
  settings.tunnels.erase(settings.tunnels.begin());
  ASSERT_TRUE(maps->Write(settings).ok());
  EXPECT_EQ(count(), 1);
  EXPECT_TRUE(maps->Read()->sources.empty());  // they are no service's
}

TEST_F(KernelTest, RoutesAreKeptOnlyWhileAddressesAloneDecide) {
  EXPECT_FALSE(HasPolicyRules());
  for (const char* rule : {"-4 rule %s from 192.0.2.0/24 table 7", "-6 rule %s dport 53 table 7",
                           "-4 rule %s to 192.0.2.1 unreachable"}) {
    const std::string text = rule;
    const size_t at = text.find("%s");
    const auto change = [&](const char* verb) {
      return Shell(absl::StrCat("ip ", text.substr(0, at), verb, text.substr(at + 2)));
    };
    ASSERT_TRUE(change("add")) << rule;
    EXPECT_TRUE(HasPolicyRules()) << rule;
    ASSERT_TRUE(change("del")) << rule;
    EXPECT_FALSE(HasPolicyRules()) << rule;
  }
}

TEST_F(KernelTest, TheRoutesChooseTheSource) {
  EXPECT_EQ(SourceTowards(Ip("10.9.0.77")), Ip("10.9.0.1"));
  EXPECT_EQ(SourceTowards(Ip("192.0.2.1")), std::nullopt);
}

}  // namespace
}  // namespace portolan::datapath
