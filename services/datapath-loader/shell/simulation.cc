#include "services/datapath-loader/shell/simulation.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/directory.h"
#include "services/datapath-loader/shell/drop_reason.h"
#include "services/datapath-loader/shell/frame_view.h"
#include "services/datapath-loader/shell/host.h"
#include "services/datapath-loader/shell/layout.h"
#include "services/datapath-loader/shell/map_scan.h"
#include "services/datapath-loader/shell/program_run.h"
#include "services/datapath-loader/shell/shadow.h"

namespace portolan::datapath {
namespace {

// The programs try 16 source ports; each may be taken.
constexpr int kMostRuns = 20;

struct Ipv4 {
  using Key = portolan_flow_key4;
  using Value = portolan_flow4;
  static constexpr char kMap[] = "flows4";
  static Key Of(const FrameView& view) { return view.Key4(); }
};
struct Ipv6 {
  using Key = portolan_flow_key6;
  using Value = portolan_flow6;
  static constexpr char kMap[] = "flows6";
  static Key Of(const FrameView& view) { return view.Key6(); }
};

// The key of the other half of a flow.
template <typename Key, typename Value>
Key OtherHalf(const Key& key, const Value& value) {
  Key other{};
  memcpy(&other.saddr, &value.daddr, sizeof(other.saddr));
  memcpy(&other.daddr, &value.saddr, sizeof(other.daddr));
  other.sport = value.flow.dport;
  other.dport = value.flow.sport;
  other.protocol = key.protocol;
  return other;
}

template <typename Key>
bool Contains(const std::vector<Key>& keys, const Key& wanted) {
  for (const Key& key : keys) {
    if (memcmp(&key, &wanted, sizeof(key)) == 0) return true;
  }
  return false;
}

class Run {
 public:
  Run(const v1alpha1::SimulateRequest& request, const LiveMaps& live, Shadow& shadow)
      : request_(request), live_(live), shadow_(shadow), view_(ViewFrame(request.packet())) {}

  absl::StatusOr<ProgramRun> Go(uint32_t ifindex) {
    const bool xdp = request_.program() == "xdp";
    const Objects& objects = shadow_.objects();
    std::vector<portolan_flow_key4> touched4;
    std::vector<portolan_flow_key6> touched6;
    for (int i = 0; i < kMostRuns; i++) {
      Prepare(touched4, touched6);
      ASSIGN_OR_RETURN(
          ProgramRun outcome,
          RunProgram(xdp ? objects.xdp_program() : objects.tc_program(),
                     xdp ? ProgramKind::kXdp : ProgramKind::kTc, ifindex, request_.packet()));
      events_ = shadow_.TakeEvents();
      const bool complete = !FindTouched<Ipv4>(touched4) && !FindTouched<Ipv6>(touched6);
      if (complete) return outcome;
    }
    return absl::UnavailableError("the flow table changes too fast here; try again");
  }

  const std::optional<FrameView>& view() const { return view_; }
  const std::vector<portolan_event>& events() const { return events_; }

 private:
  void Prepare(const std::vector<portolan_flow_key4>& touched4,
               const std::vector<portolan_flow_key6>& touched6) {
    for (const char* map : {"flows4", "flows6", "affinity", "fragments"}) shadow_.Empty(map);
    if (view_.has_value()) {
      CopyFragment();
      if (view_->is_ipv6()) {
        CopyFlow<Ipv6>();
      } else {
        CopyFlow<Ipv4>();
      }
      CopyAffinity();
    }
    for (const auto& key : touched4) shadow_.CopyEntry("flows4", &key);
    for (const auto& key : touched6) shadow_.CopyEntry("flows6", &key);
  }

  // A later fragment has the ports of the first one.
  void CopyFragment() {
    if (!view_->fragment_id.has_value()) return;
    const portolan_fragment_key key = view_->FragmentKey();
    portolan_fragment fragment{};
    if (!shadow_.CopyEntry("fragments", &key) || view_->has_ports) return;
    if (bpf_map_lookup_elem(live_.map("fragments"), &key, &fragment) != 0) return;
    view_->source_port = ntohs(fragment.sport);
    view_->destination_port = ntohs(fragment.dport);
  }

  template <typename F>
  void CopyFlow() {
    const typename F::Key key = F::Of(*view_);
    typename F::Value value{};
    if (!shadow_.CopyEntry(F::kMap, &key)) return;
    if (bpf_map_lookup_elem(live_.map(F::kMap), &key, &value) != 0) return;
    const typename F::Key other = OtherHalf(key, value);
    shadow_.CopyEntry(F::kMap, &other);
  }

  void CopyAffinity() {
    const portolan_frontend_key key = datapath::ToKernel(
        FrontendKey{view_->flow_destination, view_->destination_port, view_->flow_protocol});
    portolan_frontend frontend{};
    if (bpf_map_lookup_elem(live_.map("frontends"), &key, &frontend) != 0) return;
    portolan_affinity_key client{};
    client.group = frontend.group;
    PutAddress(view_->flow_source, client.client);
    shadow_.CopyEntry("affinity", &client);
  }

  // Adds what the program has written and the live map has, too. True: there was something new.
  template <typename F>
  bool FindTouched(std::vector<typename F::Key>& touched) {
    bool found = false;
    MapScan<typename F::Key, typename F::Value> scan(shadow_.objects().map(F::kMap));
    while (scan.Next().value_or(false)) {
      for (size_t i = 0; i < scan.size(); i++) {
        typename F::Value live{};
        const typename F::Key& key = scan.key(i);
        if (Contains(touched, key)) continue;
        if (bpf_map_lookup_elem(live_.map(F::kMap), &key, &live) != 0) continue;
        touched.push_back(key);
        found = true;
      }
    }
    return found;
  }

  const v1alpha1::SimulateRequest& request_;
  const LiveMaps& live_;
  Shadow& shadow_;
  std::optional<FrameView> view_;
  std::vector<portolan_event> events_;  // of the last run
};

bool IsOwned(const LiveMaps& live, const net::IpAddress& address) {
  const portolan_address_key key = datapath::ToKernel(address);
  portolan_address value{};
  return bpf_map_lookup_elem(live.map("addresses"), &key, &value) == 0;
}

// Why a packet of which nothing was told is passed, or answered.
std::string ReasonOfSilence(const v1alpha1::SimulateRequest& request, const LiveMaps& live,
                            const std::optional<FrameView>& view, Verdict verdict) {
  if (verdict == Verdict::kRedirect || verdict == Verdict::kTransmit) {
    return "answered by the program itself";
  }
  if (verdict == Verdict::kAborted) return "the program aborts: this is a fault of Portolan";
  if (!view.has_value()) return "neither IPv4 nor IPv6, or cut short: passed on untouched";
  const std::string what = view->is_error ? "an ICMP error; the packet that it quotes " : "";
  if (!IsOwned(live, view->destination)) {
    return absl::StrCat(what, view->destination.ToString(),
                        " is no address of a Service of this node, and the packet is of no flow "
                        "that is known: passed on untouched");
  }
  if (request.program() == "xdp") {
    return absl::StrCat(view->destination.ToString(),
                        " is an address of a Service, and what is to be done with this packet only "
                        "the tc program can do, or the frame is not for this interface: left to tc "
                        "untouched; simulate tc");
  }
  return absl::StrCat(view->destination.ToString(),
                      " is an address of a Service, and the program leaves the packet to the "
                      "kernel: its last hop is here, or the frame is not for this interface");
}

void Describe(const portolan_event& event, const ServiceNames& names, const LiveMaps& live,
              Verdict verdict, v1alpha1::SimulateResponse& response) {
  response.set_service(names.ServiceOf(event.frontend));
  portolan_backend backend{};
  if (event.backend != 0 &&
      bpf_map_lookup_elem(live.map("backends"), &event.backend, &backend) == 0) {
    response.set_backend(EndpointOf(backend));
  }
  const std::string whose = response.service().empty()
                                ? std::string("a Service that has no name yet")
                                : absl::StrCat("Service ", response.service());
  if (event.kind == PORTOLAN_EVENT_DROP) {
    const auto [name, meaning] = NameOf(static_cast<portolan_drop>(event.reason));
    response.set_drop(name);
    if (event.frontend != 0) response.add_reasons(absl::StrCat("it is for ", whose));
    response.add_reasons(absl::StrCat(verdict == Verdict::kDrop ? "dropped: "
                                                                : "refused, and the "
                                                                  "sender is told: ",
                                      meaning));
    return;
  }
  const bool is_new = event.kind == PORTOLAN_EVENT_NEW;
  response.set_flow(is_new ? "new" : "known");
  response.add_reasons(absl::StrCat(is_new ? "a new flow of " : "of a known flow of ", whose));
  response.add_reasons(absl::StrCat(
      is_new ? "the backend is chosen by Maglev, or by affinity: " : "the flow belongs to backend ",
      response.backend()));
}

}  // namespace

absl::StatusOr<v1alpha1::SimulateResponse> Simulate(const v1alpha1::SimulateRequest& request,
                                                    const LiveMaps& live,
                                                    const ServiceNames& names) {
  if (request.program() != "xdp" && request.program() != "tc") {
    return absl::InvalidArgumentError(
        absl::StrCat("program: \"", request.program(), "\" is neither \"xdp\" nor \"tc\""));
  }
  const uint32_t ifindex = InterfaceIndex(request.interface());
  if (ifindex == 0) {
    return absl::NotFoundError(absl::StrCat("interface: \"", request.interface(),
                                            "\" does not exist on this node; see `ip link`"));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Shadow> shadow, Shadow::Of(live));
  if (request.program() == "xdp") RETURN_IF_ERROR(shadow->objects().xdp_error());
  Run run(request, live, *shadow);
  ASSIGN_OR_RETURN(ProgramRun outcome, run.Go(ifindex));
  v1alpha1::SimulateResponse response;
  response.set_verdict(VerdictName(outcome.verdict));
  for (const portolan_event& event : run.events()) {
    Describe(event, names, live, outcome.verdict, response);
  }
  if (run.events().empty()) {
    response.add_reasons(ReasonOfSilence(request, live, run.view(), outcome.verdict));
  }
  if (outcome.packet != request.packet()) response.add_reasons("the packet is rewritten");
  response.set_packet(std::move(outcome.packet));
  return response;
}

}  // namespace portolan::datapath
