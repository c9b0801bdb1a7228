// Flows, simulation, self-test, upgrade and tracing against the real kernel, in a network namespace
// of its own. Needs root.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bpf/test/broken_tc.h"
#include "services/datapath-loader/core/programmer.h"
#include "services/datapath-loader/shell/capabilities.h"
#include "services/datapath-loader/shell/directory.h"
#include "services/datapath-loader/shell/flow_table.h"
#include "services/datapath-loader/shell/interfaces.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/kernel_world.h"
#include "services/datapath-loader/shell/pins.h"
#include "services/datapath-loader/shell/program_run.h"
#include "services/datapath-loader/shell/self_test.h"
#include "services/datapath-loader/shell/simulation.h"
#include "services/datapath-loader/shell/test_frame.h"
#include "services/datapath-loader/shell/tracing.h"

namespace portolan::datapath {
namespace {

const net::IpAddress kVip = Ip("20.0.10.1");
const net::IpAddress kVip6 = Ip("2001:db8:20::1");

class ControlKernelTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    objects_ = *Objects::Load(directory_, kSizes, log_);
    maps_ = *KernelMaps::Open(*objects_);
    ASSERT_TRUE(maps_->Write(ProgramSettings()).ok());
    live_.emplace(*objects_);
    Serve();
  }
  // "ns/web" at port 80 of both addresses: one backend of this node, one of another.
  void Serve() {
    Programmer programmer(objects_->limits(), 1, *maps_->Read());
    std::vector<WantedGroup> groups;
    for (const bool ipv6 : {false, true}) {
      WantedGroup group;
      group.name = ipv6 ? "ipv6" : "ipv4";
      for (const int n : {1, 2}) {
        WantedBackend backend;
        backend.address = Ip(absl::StrCat(ipv6 ? "fd00::" : "10.0.0.", n));
        backend.port = 8080;
        if (n == 2) backend.source = Ip(ipv6 ? "fd00:9::1" : "10.9.0.1");
        group.backends.push_back(backend);
      }
      group.frontends = {{ipv6 ? kVip6 : kVip, 80, kTcp}};
      groups.push_back(group);
    }
    programmer.Want("ns/web", groups);
    for (const absl::Status& status : maps_->Execute(programmer.Plan(absl::UnixEpoch()))) {
      ASSERT_TRUE(status.ok()) << status;
    }
    const MapImage image = *maps_->Read();
    for (const auto& [key, entry] : image.frontends) {
      names_.Learn({.key = key, .service = "ns/web", .id = entry.id, .backends = 2});
    }
  }
  // A packet of a client to the service through the running tc program, which sends nothing here.
  void Arrive(uint16_t port, bool ipv6 = false, int client = 7) {
    const auto run =
        RunProgram(objects_->tc_program(), ProgramKind::kTc, 0,
                   TcpFrame(Ip(absl::StrCat(ipv6 ? "2001:db8:c::" : "192.0.2.", client)), port,
                            ipv6 ? kVip6 : kVip, 80));
    ASSERT_TRUE(run.ok()) << run.status();
  }
  // A client's port whose flow goes to a backend of this node; the route to others is not there.
  void ArriveMany(uint16_t count, bool ipv6 = false) {
    for (uint16_t i = 0; i < count; i++) Arrive(30000 + i, ipv6);
  }
  FlowTable table() { return {*live_, names_}; }
  std::vector<v1alpha1::Flow> List(const v1alpha1::FlowFilter& filter = {}) {
    std::vector<v1alpha1::Flow> flows;
    v1alpha1::ListFlowsRequest request;
    *request.mutable_filter() = filter;
    do {
      const auto page = table().List(request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return flows;
      flows.insert(flows.end(), page->flows().begin(), page->flows().end());
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return flows;
  }
  v1alpha1::ImportFlowsResponse Import(const std::vector<v1alpha1::Flow>& flows) {
    v1alpha1::ImportFlowsRequest request;
    for (const v1alpha1::Flow& flow : flows) *request.add_flows() = flow;
    return *table().Import(request);
  }
  uint64_t Flush(const v1alpha1::FlowFilter& filter) {
    v1alpha1::FlushFlowsRequest request;
    *request.mutable_filter() = filter;
    return table().Flush(request)->flushed();
  }
  // Every byte of every map, ring and per-CPU values included.
  std::map<std::string, std::map<std::string, std::string>> Bytes() {
    std::map<std::string, std::map<std::string, std::string>> all;
    for (const auto& [name, fd] : live_->all()) {
      bpf_map_info info{};
      __u32 size = sizeof(info);
      EXPECT_EQ(bpf_obj_get_info_by_fd(fd.get(), &info, &size), 0);
      if (info.type == BPF_MAP_TYPE_RINGBUF) continue;
      std::string key(info.key_size, '\0'), next(info.key_size, '\0');
      const size_t values = info.type == BPF_MAP_TYPE_PERCPU_ARRAY ? libbpf_num_possible_cpus() : 1;
      std::string value((info.value_size + 7) / 8 * 8 * values, '\0');
      for (void* from = nullptr; bpf_map_get_next_key(fd.get(), from, next.data()) == 0;) {
        key = next;
        from = key.data();
        if (bpf_map_lookup_elem(fd.get(), key.data(), value.data()) == 0) all[name][key] = value;
      }
    }
    return all;
  }
  v1alpha1::SimulateResponse SimulateOn(const std::string& program, const std::string& packet) {
    v1alpha1::SimulateRequest request;
    request.set_interface("lo");
    request.set_program(program);
    request.set_packet(packet);
    const auto response = Simulate(request, *live_, names_);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1alpha1::SimulateResponse());
  }
  uint16_t FlagsOf(uint32_t frontend) {
    portolan_frontend_info info{};
    bpf_map_lookup_elem(objects_->map("frontend_info"), &frontend, &info);
    return info.flags;
  }

  static constexpr Sizes kSizes{.max_flows = 16384, .max_frontends = 16, .max_backends = 64};
  std::unique_ptr<Objects> objects_;
  std::unique_ptr<KernelMaps> maps_;
  std::optional<LiveMaps> live_;
  ServiceNames names_;
};

// ---- flows ----

TEST_F(ControlKernelTest, FlowsAreListedOnceOverAllPagesAndNameWhatTheyBelongTo) {
  for (const bool ipv6 : {false, true}) ArriveMany(5000, ipv6);
  const std::vector<v1alpha1::Flow> flows = List();
  std::set<std::pair<std::string, uint32_t>> seen;
  for (const v1alpha1::Flow& flow : flows) {
    EXPECT_TRUE(seen.insert({flow.client_address(), flow.client_port()}).second);
    EXPECT_EQ(flow.service(), "ns/web");
    EXPECT_EQ(flow.frontend_port(), 80u);
    EXPECT_EQ(flow.backend_port(), 8080u);
    EXPECT_LE(flow.idle_s(), 60u);
  }
  // Those of the backend of another node have no route here, and are flows all the same or not,
  // but never twice.
  EXPECT_GT(flows.size(), 4000u);
}

TEST_F(ControlKernelTest, FiltersNameAServiceABackendAndAClient) {
  ArriveMany(50);
  Arrive(1, false, 8);
  ArriveMany(50, true);
  v1alpha1::FlowFilter filter;
  filter.set_client("192.0.2.8");
  EXPECT_EQ(List(filter).size(), 1u);
  filter.set_client("192.0.2.0/24");
  const size_t ipv4 = List(filter).size();
  filter.set_backend("10.0.0.1");
  const std::vector<v1alpha1::Flow> local = List(filter);
  EXPECT_GT(local.size(), 0u);
  EXPECT_LE(local.size(), ipv4);
  for (const v1alpha1::Flow& flow : local) EXPECT_EQ(flow.backend_address(), "10.0.0.1");
  filter.Clear();
  filter.set_service("ns/other");
  v1alpha1::ListFlowsRequest request;
  *request.mutable_filter() = filter;
  EXPECT_TRUE(absl::IsNotFound(table().List(request).status()));
  request.mutable_filter()->Clear();
  request.mutable_filter()->set_client("nobody");
  EXPECT_TRUE(absl::IsInvalidArgument(table().List(request).status()));
  request.mutable_filter()->Clear();
  request.set_page_token("7:1");
  EXPECT_TRUE(absl::IsInvalidArgument(table().List(request).status()));
}

TEST_F(ControlKernelTest, FlushedFlowsAreGoneInBothDirectionsAndImportedOnesAreBackByteForByte) {
  for (const bool ipv6 : {false, true}) ArriveMany(300, ipv6);
  const std::vector<v1alpha1::Flow> flows = List();
  auto before = Bytes();
  v1alpha1::FlowFilter web;
  web.set_service("ns/web");
  EXPECT_EQ(Flush(web), flows.size());
  EXPECT_TRUE(Bytes()["flows4"].empty());
  EXPECT_TRUE(Bytes()["flows6"].empty());
  v1alpha1::ImportFlowsResponse response = Import(flows);
  EXPECT_EQ(response.imported(), flows.size());
  EXPECT_EQ(response.refusals_size(), 0) << response.refusals(0).DebugString();
  auto after = Bytes();
  ASSERT_EQ(after["flows4"].size(), before["flows4"].size());
  for (const char* map : {"flows4", "flows6"}) {
    for (auto& [key, value] : before[map]) {
      // Ticks are rounded to seconds on the way.
      const size_t last = offsetof(portolan_flow, last);
      value.replace(last, 4, after[map][key], last, 4);
      EXPECT_EQ(after[map][key], value);
    }
  }
  response = Import(flows);
  EXPECT_EQ(response.imported(), 0u);
  EXPECT_EQ(response.known(), flows.size());
  EXPECT_EQ(Bytes(), after);
}

TEST_F(ControlKernelTest, WhatThisNodeHasNotIsRefusedOneByOneAndTheRestIsImported) {
  ArriveMany(200);
  const std::vector<v1alpha1::Flow> flows = List();
  v1alpha1::FlowFilter web;
  web.set_service("ns/web");
  Flush(web);
  const auto local = *std::find_if(flows.begin(), flows.end(), [](const v1alpha1::Flow& flow) {
    return flow.source_address() == flow.client_address();
  });
  std::vector<v1alpha1::Flow> mixed(9, local);
  mixed[0].set_frontend_port(81);
  mixed[1].set_service("ns/other");
  mixed[2].set_backend_address("10.0.0.9");
  mixed[3].set_source_address("10.9.0.7");
  mixed[4].set_client_port(70000);
  mixed[5].set_one_way(true);
  mixed[6].set_idle_s(1000000);
  mixed[7].set_client_address("fd00::7");
  const v1alpha1::ImportFlowsResponse response = Import(mixed);
  EXPECT_EQ(response.imported(), 1u);
  const std::vector<std::string> reasons = {"no-frontend",    "other-service", "no-backend",
                                            "source-differs", "bad-flow",      "mode-differs",
                                            "expired",        "bad-flow"};
  ASSERT_EQ(static_cast<size_t>(response.refusals_size()), reasons.size());
  for (size_t i = 0; i < reasons.size(); i++) {
    EXPECT_EQ(response.refusals(i).reason(), reasons[i]) << response.refusals(i).DebugString();
    EXPECT_FALSE(response.refusals(i).message().empty());
  }
  // Another client's port towards the backend: that flow is alive, and stays.
  v1alpha1::Flow rival = local;
  rival.set_client_port(local.client_port() + 1);
  const v1alpha1::ImportFlowsResponse second = Import({rival});
  ASSERT_EQ(second.refusals_size(), 1);
  EXPECT_EQ(second.refusals(0).reason(), "in-use");
  EXPECT_EQ(List().size(), 1u);
}

TEST_F(ControlKernelTest, AnEmptyFilterFlushesNothing) {
  ArriveMany(10);
  EXPECT_TRUE(absl::IsInvalidArgument(table().Flush({}).status()));
  EXPECT_FALSE(List().empty());
}

// ---- simulation ----

TEST_F(ControlKernelTest, ASimulationChangesNoLiveMap) {
  ArriveMany(100);
  Shell("true");
  const auto before = Bytes();
  for (const char* program : {"tc", "xdp"}) {
    SimulateOn(program, TcpFrame(Ip("192.0.2.7"), 30000, kVip, 80));    // known
    SimulateOn(program, TcpFrame(Ip("192.0.2.77"), 30000, kVip, 80));   // new
    SimulateOn(program, TcpFrame(Ip("192.0.2.77"), 30000, kVip, 443));  // refused
    SimulateOn(program, TcpFrame(Ip("192.0.2.77"), 30000, Ip("192.0.2.1"), 80));
  }
  EXPECT_EQ(Bytes(), before);
}

TEST_F(ControlKernelTest, ASimulationSaysWhatWouldHappenAndWhy) {
  // To the backend of this node: the other one has no route here.
  std::string first;
  v1alpha1::SimulateResponse response;
  for (uint16_t port = 30000; port < 30050 && response.backend() != "10.0.0.1:8080"; port++) {
    first = TcpFrame(Ip("192.0.2.7"), port, kVip, 80);
    response = SimulateOn("tc", first);
  }
  EXPECT_EQ(response.flow(), "new");
  EXPECT_EQ(response.service(), "ns/web");
  // And so it does.
  const auto real = RunProgram(objects_->tc_program(), ProgramKind::kTc, 0, first);
  EXPECT_EQ(response.packet(), real->packet);
  EXPECT_EQ(response.verdict(), VerdictName(real->verdict));
  response = SimulateOn("tc", first);
  EXPECT_EQ(response.flow(), "known");
  const std::string foreign = TcpFrame(Ip("192.0.2.7"), 30000, Ip("192.0.2.9"), 80);
  response = SimulateOn("tc", foreign);
  EXPECT_EQ(response.verdict(), "pass");
  EXPECT_EQ(response.packet(), foreign);
  EXPECT_TRUE(absl::StrContains(response.reasons(0), "is no address of a Service"));
  response = SimulateOn("tc", TcpFrame(Ip("192.0.2.7"), 30000, kVip, 443));
  EXPECT_EQ(response.drop(), "unserved");
  response = SimulateOn("tc", ArpFrame());
  EXPECT_EQ(response.verdict(), "pass");
}

TEST_F(ControlKernelTest, ASimulationTakesTheSourcePortThatIsFreeInTheLiveMaps) {
  // The port that the client's own flow would keep towards the backend is another flow's.
  for (uint16_t port = 30000; port < 30020; port++) {
    const std::string packet = TcpFrame(Ip("192.0.2.7"), port, kVip, 80);
    const v1alpha1::SimulateResponse simulated = SimulateOn("tc", packet);
    const auto real = RunProgram(objects_->tc_program(), ProgramKind::kTc, 0, packet);
    EXPECT_EQ(simulated.packet(), real->packet) << port;
  }
}

TEST_F(ControlKernelTest, ASimulationNamesTheFieldThatIsWrong) {
  v1alpha1::SimulateRequest request;
  request.set_interface("nowhere");
  request.set_program("tc");
  request.set_packet(ArpFrame());
  EXPECT_TRUE(absl::IsNotFound(Simulate(request, *live_, names_).status()));
  request.set_interface("lo");
  request.set_program("tcx");
  EXPECT_TRUE(absl::IsInvalidArgument(Simulate(request, *live_, names_).status()));
  request.set_program("tc");
  request.set_packet("short");
  EXPECT_TRUE(absl::IsInvalidArgument(Simulate(request, *live_, names_).status()));
}

// ---- upgrade ----

TEST_F(ControlKernelTest, TheProgramsOfThisBinaryPassTheirSelfTest) {
  const absl::Status status = SelfTest(bpf::LbTc(), bpf::LbXdp());
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(ControlKernelTest, AProgramThatDropsEverythingFailsTheSelfTestByName) {
  const absl::Status status = SelfTest(bpf::BrokenTc(), bpf::LbXdp());
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "self-test of the tc program")) << status;
}

TEST_F(ControlKernelTest, OtherProgramsGoOnAllInterfacesOrOnNone) {
  Interfaces interfaces(directory_, *objects_);
  interfaces.Want({{"t0", {.mode = "xdp"}}, {"t1", {.mode = "tc"}}});
  interfaces.Reconcile();
  auto programs = *Programs::Load(bpf::LbTc(), bpf::LbXdp(), *live_);
  const auto program_on = [&](bool xdp, const char* name) {
    const FileDescriptor link(
        bpf_obj_get(LinkPinPath(directory_, xdp, if_nametoindex(name)).c_str()));
    bpf_link_info info{};
    __u32 size = sizeof(info);
    bpf_obj_get_info_by_fd(link.get(), &info, &size);
    return info.prog_id;
  };
  const auto id_of = [](int program) {
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    bpf_obj_get_info_by_fd(program, &info, &size);
    return info.id;
  };
  const uint32_t old_tc = id_of(objects_->tc_program()), old_xdp = id_of(objects_->xdp_program());
  // The kernel refuses a tc program where XDP's stands: after t0 got the new tc program already.
  const auto refused = interfaces.Swap(programs->tc_program(), programs->tc_program());
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(absl::StrContains(refused.status().message(), "map xdp_chain")) << refused.status();
  EXPECT_TRUE(absl::StrContains(refused.status().message(), "go on everywhere"));
  EXPECT_EQ(program_on(false, "t0"), old_tc);
  EXPECT_EQ(program_on(true, "t0"), old_xdp);
  EXPECT_EQ(program_on(false, "t1"), old_tc);
  EXPECT_EQ(*interfaces.Swap(programs->tc_program(), programs->xdp_program()), 2);
  EXPECT_EQ(program_on(false, "t0"), id_of(programs->tc_program()));
  EXPECT_EQ(program_on(true, "t0"), id_of(programs->xdp_program()));
  EXPECT_EQ(program_on(false, "t1"), id_of(programs->tc_program()));
  interfaces.Want({});
  interfaces.Reconcile();
}

// How many programs stand at tcx ingress (attach type 46) of an interface; -1: no tcx here.
int TcxPrograms(uint32_t ifindex) {
  bpf_attr attributes{};
  attributes.query.target_fd = ifindex;
  attributes.query.attach_type = 46;
  if (syscall(SYS_bpf, BPF_PROG_QUERY, &attributes, sizeof(attributes)) != 0) return -1;
  return static_cast<int>(attributes.query.prog_cnt);
}

TEST_F(ControlKernelTest, AnInterfaceWhoseXdpIsRefusedHasNoTcEither) {
  if (TcxPrograms(if_nametoindex("t1")) < 0) GTEST_SKIP() << "this kernel has no tcx to ask";
  const std::string other = directory_ + "-other";
  ASSERT_TRUE(PreparePinDirectory(other).ok());
  const uint32_t ifindex = if_nametoindex("t1");
  auto theirs = Attachment::AttachXdp(other, ifindex, objects_->xdp_program());
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  Interfaces interfaces(directory_, *objects_);
  interfaces.Want({{"t1", {.mode = "tc"}}});
  interfaces.Reconcile();
  EXPECT_EQ(TcxPrograms(ifindex), 1);
  interfaces.Want({{"t1", {.mode = "xdp"}}});
  const std::vector<InterfaceReport> reports = interfaces.Reconcile();
  EXPECT_EQ(reports[0].reason, "no-xdp");
  EXPECT_EQ(TcxPrograms(ifindex), 0);
  EXPECT_TRUE(ListLinkPins(directory_).empty());
  EXPECT_EQ(interfaces.attached(), 0);
  RemovePins(other).IgnoreError();
}

// ---- tracing ----

TEST_F(ControlKernelTest, MarksOfATraceArePutBackAndDoNotOutliveTheProcess) {
  const uint32_t id = names_.FrontendsOf("ns/web").front();
  {
    Tracing tracing(*objects_);
    tracing.Want({.frontends = {id}, .drop_sample = 5});
    EXPECT_TRUE(FlagsOf(id) & PORTOLAN_FRONTEND_TRACE);
    const portolan_frontend_info written{.epoch = 0, .flags = PORTOLAN_FRONTEND_ALIVE, .group = 1};
    bpf_map_update_elem(objects_->map("frontend_info"), &id, &written, BPF_ANY);
    tracing.Reassert();
    EXPECT_TRUE(FlagsOf(id) & PORTOLAN_FRONTEND_TRACE);
    EXPECT_TRUE(FlagsOf(id) & PORTOLAN_FRONTEND_ALIVE);
    tracing.Want({});
    EXPECT_FALSE(FlagsOf(id) & PORTOLAN_FRONTEND_TRACE);
    tracing.Want({.frontends = {id, 15}, .drop_sample = 5});
    EXPECT_FALSE(FlagsOf(15) & PORTOLAN_FRONTEND_TRACE) << "nobody lives there";
  }
  // As after kill -9: the marks are still there.
  EXPECT_TRUE(FlagsOf(id) & PORTOLAN_FRONTEND_TRACE);
  const Tracing next_life(*objects_);
  EXPECT_FALSE(FlagsOf(id) & PORTOLAN_FRONTEND_TRACE);
  portolan_settings settings{};
  const uint32_t zero = 0;
  bpf_map_lookup_elem(objects_->map("settings_map"), &zero, &settings);
  EXPECT_EQ(settings.drop_sample, 0u);
}

// ---- capabilities ----

TEST_F(ControlKernelTest, CapabilitiesSayWhatWasFoundAndWhyItMatters) {
  const v1alpha1::GetCapabilitiesResponse response = ProbeCapabilities({"t0", "nowhere"});
  std::map<std::string, v1alpha1::Capability> by_name;
  for (const v1alpha1::Capability& capability : response.capabilities()) {
    by_name[capability.name()] = capability;
    EXPECT_FALSE(capability.detail().empty()) << capability.name();
    EXPECT_FALSE(capability.matters().empty()) << capability.name();
  }
  for (const char* name : {"privilege/CAP_BPF", "privilege/CAP_NET_ADMIN", "privilege/CAP_PERFMON",
                           "batch-map-operations", "ring-buffer", "native-xdp/t0"}) {
    EXPECT_EQ(by_name[name].answer(), v1alpha1::Capability::ANSWER_YES) << name;
  }
  EXPECT_EQ(by_name["native-xdp/nowhere"].answer(), v1alpha1::Capability::ANSWER_UNKNOWN);
  for (const char* name : {"tcx", "ipv6-checksum-flag", "no-lockdown", "maps-beyond-memory-lock"}) {
    EXPECT_TRUE(by_name.contains(name)) << name;
  }
  // Whether tcx is there is what attaching says, too.
  auto tcx = Attachment::AttachTcx(directory_, if_nametoindex("t0"), objects_->tc_program());
  EXPECT_EQ(by_name["tcx"].answer() == v1alpha1::Capability::ANSWER_YES, tcx.ok());
  if (tcx.ok()) tcx->Detach().IgnoreError();
}

}  // namespace
}  // namespace portolan::datapath
