#include "services/datapath-loader/shell/self_test.h"

#include <arpa/inet.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/core/programmer.h"
#include "services/datapath-loader/shell/frame_view.h"
#include "services/datapath-loader/shell/interface_map.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/objects.h"
#include "services/datapath-loader/shell/program_run.h"
#include "services/datapath-loader/shell/test_frame.h"

namespace portolan::datapath {
namespace {

const MapSizes kSizes = {{"flows4", 1024},      {"flows6", 1024},         {"frontends", 16},
                         {"frontend_info", 17}, {"addresses", 16},        {"sources", 16},
                         {"backends", 17},      {"backend_counters", 17}, {"counters", 17},
                         {"maglev", 1024},      {"affinity", 1024},       {"fragments", 1024},
                         {"neighbours", 16},    {"events", 4096}};

// Addresses for documentation (RFC 5737, RFC 3849): no network has them.
struct Addresses {
  const char* frontend;
  const char* backend;
  const char* client;
  const char* stranger;
};
constexpr Addresses kAddresses[] = {
    {"192.0.2.1", "198.51.100.1", "203.0.113.1", "203.0.113.2"},
    {"2001:db8::1", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::2"}};
constexpr uint32_t kLoopback = 1;  // in every network namespace
constexpr uint16_t kPort = 80, kTargetPort = 8080, kClientPort = 40000;

net::IpAddress Ip(const char* text) { return *net::IpAddress::Parse(text); }

absl::Status Serve(const Objects& objects, KernelMaps& maps) {
  RETURN_IF_ERROR(maps.Write(ProgramSettings()));
  // The frames seem to come in on the loopback interface, whose address is 0.
  RETURN_IF_ERROR(InterfaceMap(objects.map("interfaces"))
                      .Put(kLoopback, {.mac = {}, .flags = PORTOLAN_INTERFACE_ATTACHED}));
  ASSIGN_OR_RETURN(MapImage image, maps.Read());
  Programmer programmer(objects.limits(), 1, std::move(image));
  std::vector<WantedGroup> groups;
  for (const Addresses& addresses : kAddresses) {
    WantedGroup group;
    group.name = addresses.frontend;
    group.backends.push_back({});
    group.backends.back().address = Ip(addresses.backend);
    group.backends.back().port = kTargetPort;
    group.backends.back().weight = 1;
    group.frontends = {{Ip(addresses.frontend), kPort, kTcp}};
    groups.push_back(std::move(group));
  }
  programmer.Want("self-test", std::move(groups));
  for (const absl::Status& status : maps.Execute(programmer.Plan(absl::UnixEpoch()))) {
    RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

class Examination {
 public:
  Examination(const Objects& objects, ProgramKind kind)
      : program_(kind == ProgramKind::kXdp ? objects.xdp_program() : objects.tc_program()),
        kind_(kind) {}

  absl::Status Pass(const char* what, const std::string& packet) const {
    ASSIGN_OR_RETURN(const ProgramRun run, RunProgram(program_, kind_, 0, packet));
    if (run.verdict != Verdict::kPass) return Fault(what, run, "and should be passed on");
    if (run.packet != packet) return Fault(what, run, "and came out changed");
    return absl::OkStatus();
  }

  // From `packet`'s addresses to others.
  absl::Status Carry(const char* what, const std::string& packet, const FrameView& wanted) const {
    ASSIGN_OR_RETURN(const ProgramRun run, RunProgram(program_, kind_, 0, packet));
    if (run.verdict == Verdict::kDrop || run.verdict == Verdict::kAborted) {
      return Fault(what, run, "and should be carried");
    }
    const std::optional<FrameView> view = ViewFrame(run.packet);
    if (!view.has_value() || view->source != wanted.source ||
        view->destination != wanted.destination || view->source_port != wanted.source_port ||
        view->destination_port != wanted.destination_port) {
      return Fault(what, run, absl::StrCat("and does not reach ", wanted.destination.ToString()));
    }
    if (!HasRightChecksums(run.packet)) return Fault(what, run, "and its checksum is wrong");
    return absl::OkStatus();
  }

 private:
  absl::Status Fault(const char* what, const ProgramRun& run, const std::string& but) const {
    return absl::AbortedError(absl::StrCat(
        "self-test of the ", kind_ == ProgramKind::kXdp ? "xdp" : "tc", " program: ", what,
        " gets the verdict \"", VerdictName(run.verdict), "\", ", but));
  }

  const int program_;
  const ProgramKind kind_;
};

absl::Status Examine(const Examination& program, const Addresses& addresses) {
  const net::IpAddress frontend = Ip(addresses.frontend), backend = Ip(addresses.backend);
  const net::IpAddress client = Ip(addresses.client), stranger = Ip(addresses.stranger);
  RETURN_IF_ERROR(
      program.Pass("a packet between strangers", TcpFrame(client, kClientPort, stranger, kPort)));
  FrameView wanted;
  wanted.source = client;
  wanted.destination = backend;
  wanted.source_port = kClientPort;
  wanted.destination_port = kTargetPort;
  RETURN_IF_ERROR(program.Carry("a client's first packet",
                                TcpFrame(client, kClientPort, frontend, kPort), wanted));
  RETURN_IF_ERROR(program.Carry("a client's second packet",
                                TcpFrame(client, kClientPort, frontend, kPort), wanted));
  wanted.source = frontend;
  wanted.destination = client;
  wanted.source_port = kPort;
  wanted.destination_port = kClientPort;
  return program.Carry("the answer", TcpFrame(backend, kTargetPort, client, kClientPort), wanted);
}

}  // namespace

absl::Status SelfTest(const bpf::Object& tc, const bpf::Object& xdp) {
  for (const ProgramKind kind : {ProgramKind::kTc, ProgramKind::kXdp}) {
    // Anew for each: the flows of one would be known to the other.
    ASSIGN_OR_RETURN(const std::unique_ptr<Objects> objects, Objects::LoadPrivate(tc, xdp, kSizes));
    if (kind == ProgramKind::kXdp && !objects->xdp_error().ok()) break;
    ASSIGN_OR_RETURN(const std::unique_ptr<KernelMaps> maps, KernelMaps::Open(*objects));
    RETURN_IF_ERROR(Serve(*objects, *maps));
    const Examination program(*objects, kind);
    RETURN_IF_ERROR(program.Pass("an ARP request", ArpFrame()));
    for (const Addresses& addresses : kAddresses) RETURN_IF_ERROR(Examine(program, addresses));
  }
  return absl::OkStatus();
}

}  // namespace portolan::datapath
