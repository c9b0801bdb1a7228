// Nanoseconds per packet of the XDP program, one JSON object per line and figure.
//
// BPF_PROG_RUN runs a feeder (feeder.bpf.c) that fills the frame anew and hands it to the program,
// so every run is a new packet and none the program's own output. The feeder alone, with an empty
// program behind it, is the floor; it is taken off, and an empty program under plain repetition put
// back (printed as floor_ns), so that a figure is what the program would show by itself. The
// program has its whole work: the packet leaves by redirect to a neighbour that is known. Before a
// figure is taken a single run proves that what is measured happens. `value` is the best of the
// rounds, `median` their median.
//
// A million flows begin, and are asked for, in one order. On a table that they are the first to
// fill (syn_insert_ns, dnat_1m_flows_ns) neighbours in time are neighbours in memory; on one that
// was emptied before (syn_recycled_ns, dnat_1m_scattered_ns) they lie anywhere.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "bpf/programs/object.h"
#include "bpf/test/feeder.h"
#include "bpf/test/harness.h"
#include "bpf/test/network.h"
#include "bpf/test/packets.h"

namespace portolan::bpf {

Object Feeder();

namespace {

constexpr int kRounds = 7;
constexpr int kManyRounds = 3;
constexpr uint32_t kRepeat = 1'000'000;
constexpr uint32_t kManyFlows = 1 << 20;
constexpr uint32_t kFarStride = 2654435761;  // odd: every flow once before one comes again
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;
constexpr uint32_t kPass = 2;
constexpr uint32_t kRedirect = 4;

// The flow table at the beginning of each round.
enum class Table { kAsItIs, kNew, kEmptied };

// What is measured: `packets` packets of `flows` flows, several times.
struct Figure {
  const char* name;
  uint32_t flows = 1;  // 0: the frame as it is, each time
  uint32_t packets = kRepeat;
  int rounds = kRounds;
  Table table = Table::kAsItIs;
  uint32_t verdict = kRedirect;
};

struct Sample {
  double best = 0;
  double median = 0;
};

Sample Summary(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2]};
}

void Serve(Harness& harness, bool ipv6, uint32_t id, const std::string& vip) {
  harness.SetBackend(id, {.ipv6 = ipv6,
                          .address = ipv6 ? "2001:db8:244::1" : "10.244.1.1",
                          .port = 8080,
                          .protocol = 6});
  harness.SetFrontend(id, ipv6, vip, 80, 6, id * 16, std::vector<uint32_t>(251, id));
}

class Bench {
 public:
  static std::unique_ptr<Bench> Open() {
    std::unique_ptr<Bench> bench(new Bench);
    bench->ifindex_ = if_nametoindex("t0");
    if (!bench->Renew()) return nullptr;
    const Object bytes = Feeder();
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = bytes.name);
    bench->feeder_ = bpf_object__open_mem(bytes.data, bytes.size, &options);
    if (bench->feeder_ == nullptr || bpf_object__load(bench->feeder_) != 0) {
      fprintf(stderr, "datapath_bench: cannot load the feeder\n");
      return nullptr;
    }
    return bench;
  }

  Harness& harness() { return *harness_; }

  void MeasureFloor() {
    std::vector<double> values;
    for (int round = 0; round < kRounds; round++) {
      values.push_back(Run(empty(), Bytes(FEEDER_FRAME), kRepeat).second);
    }
    floor_ = Summary(values);
    Print("floor_ns", floor_);
  }

  // False: what should be measured did not happen.
  bool Measure(const Figure& figure, PacketSpec spec) { return Measure(figure, Frame(spec)); }

  bool Measure(const Figure& figure, const Bytes& frame) {
    std::vector<double> ours, alone;
    for (int round = 0; round < figure.rounds; round++) {
      if (figure.table == Table::kNew && !Renew()) return false;
      if (figure.table == Table::kEmptied) harness_->ForgetFlows();
      Plan(frame, figure.flows);
      Feed(harness_->program(Program::kXdp));
      const auto [last, nanoseconds] = Run(feed(), frame, figure.packets);
      if (last != figure.verdict) {
        fprintf(stderr, "datapath_bench: %s: verdict %u, expected %u\n", figure.name, last,
                figure.verdict);
        return false;
      }
      ours.push_back(nanoseconds);
      Plan(frame, figure.flows);
      Feed(empty());
      alone.push_back(Run(feed(), frame, std::min(figure.packets, kRepeat)).second);
    }
    const double taken_off = Summary(alone).best - floor_.best;
    const Sample sample = Summary(ours);
    Print(figure.name, {sample.best - taken_off, sample.median - taken_off});
    return true;
  }

  bool HasMillion() const { return harness_->FlowCount(false) == static_cast<int>(2 * kManyFlows); }

  bool MeasureAnswer(const char* figure, Bytes question) {
    const Outcome answer = harness_->Run(Program::kXdp, question);
    if (answer.verdict != XDP_REDIRECT || answer.packet == question) return false;
    question.resize(FEEDER_FRAME);  // padded, as on a wire
    return Measure({.name = figure, .flows = 0}, question);
  }

  bool MeasureAnswers() {
    harness_->SetNeighbour({.address = "20.0.10.9", .ifindex = ifindex_});
    harness_->SetNeighbour({.ipv6 = true, .address = "2001:db8:20::9", .ifindex = ifindex_});
    const Bytes arp = BuildNeighbour({.target = "20.0.10.9"});
    const Bytes nd = BuildNeighbour({.ipv6 = true,
                                     .sender = "2001:db8:20::7",
                                     .target = "2001:db8:20::9",
                                     .options = {1, 1, 2, 0, 0, 0, 0, 2},
                                     .destination_mac = {0x33, 0x33, 0xff, 0, 0, 9}});
    return MeasureAnswer("arp_ns", arp) && MeasureAnswer("nd_ns", nd);
  }

 private:
  static Bytes Frame(PacketSpec spec) {
    spec.source_port = 0;
    spec.payload_length = FEEDER_FRAME - 14 - (spec.ipv6 ? 40 : 20) - (spec.protocol == 6 ? 20 : 8);
    return Build(spec);
  }
  // Programs and maps anew, with the services that are measured.
  bool Renew() {
    auto harness = Harness::Load({.flows = 2 * kManyFlows + kManyFlows / 4,
                                  .flows6 = 4096,
                                  .frontends = 4096,
                                  .backends = 16384,
                                  .chunks = 65536});
    if (!harness.ok()) {
      fprintf(stderr, "datapath_bench: %s\n", harness.status().ToString().c_str());
      return false;
    }
    harness_ = *std::move(harness);
    harness_->set_ifindex(ifindex_);
    const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 1};
    harness_->SetInterface(ifindex_, mac, PORTOLAN_INTERFACE_ATTACHED | PORTOLAN_INTERFACE_TARGET);
    Serve(*harness_, false, 1, "20.0.10.1");
    Serve(*harness_, true, 2, "2001:db8:20::1");
    Serve(*harness_, false, 3, "20.0.10.3");
    return true;
  }
  int feed() const { return ProgramOf("feeder_feed"); }
  int empty() const { return ProgramOf("feeder_nothing"); }
  int ProgramOf(const char* name) const {
    return bpf_program__fd(bpf_object__find_program_by_name(feeder_, name));
  }

  void Plan(const Bytes& frame, uint32_t flows) {
    feeder_plan plan{};
    std::copy_n(frame.begin(), sizeof(plan.frame), plan.frame);
    plan.flows = flows;
    plan.stride = kFarStride;
    const uint32_t zero = 0;
    bpf_map_update_elem(bpf_object__find_map_fd_by_name(feeder_, "plan"), &zero, &plan, BPF_ANY);
  }

  void Feed(int program) {
    const uint32_t zero = 0;
    const int fed = bpf_object__find_map_fd_by_name(feeder_, "fed");
    if (bpf_map_update_elem(fed, &zero, &program, BPF_ANY) != 0) abort();
  }

  // The last run's verdict, and the average.
  std::pair<uint32_t, double> Run(int program, const Bytes& packet, uint32_t repeat) const {
    Bytes out(packet.size() + 256);
    xdp_md frame{};
    frame.data_end = packet.size();
    frame.ingress_ifindex = ifindex_;
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data(), .data_out = out.data(),
                .data_size_in = static_cast<__u32>(packet.size()),
                .data_size_out = static_cast<__u32>(out.size()), .ctx_in = &frame,
                .ctx_size_in = sizeof(frame), .repeat = static_cast<int>(repeat));
    if (bpf_prog_test_run_opts(program, &run) != 0) return {UINT32_MAX, -1};
    return {run.retval, run.duration};
  }

  void Print(const char* figure, const Sample& sample) const {
    printf(
        "{\"figure\":\"%s\",\"value\":%.0f,\"median\":%.0f,\"unit\":\"ns\","
        "\"rival\":\"empty program\",\"rival_value\":%.0f}\n",
        figure, sample.best, sample.median, floor_.best);
    fflush(stdout);
  }

  std::unique_ptr<Harness> harness_;
  bpf_object* feeder_ = nullptr;
  uint32_t ifindex_ = 0;
  Sample floor_;
};

PacketSpec Request4(const std::string& vip, uint8_t flags) {
  return {.source = "198.18.0.0", .destination = vip, .tcp_flags = flags};
}

PacketSpec Request6(uint8_t flags) {
  return {
      .ipv6 = true, .source = "2001:db8:c::", .destination = "2001:db8:20::1", .tcp_flags = flags};
}

Figure Million(const char* name, Table table) {
  return {.name = name,
          .flows = kManyFlows,
          .packets = kManyFlows,
          .rounds = kManyRounds,
          .table = table};
}

void PrintVerified(const Harness& harness) {
  for (const auto& [figure, program] : {std::pair{"verified_insns_xdp", Program::kXdp},
                                        std::pair{"verified_insns_tc", Program::kTc}}) {
    printf("{\"figure\":\"%s\",\"value\":%u,\"unit\":\"instructions\"}\n", figure,
           harness.VerifiedInstructions(program));
  }
}

int Main() {
  if (geteuid() != 0) {
    fprintf(stderr, "datapath_bench: needs root to load BPF programs\n");
    return 1;
  }
  if (!EnterTestNetwork()) {
    fprintf(stderr, "datapath_bench: cannot make a network namespace\n");
    return 1;
  }
  const std::unique_ptr<Bench> bench = Bench::Open();
  if (bench == nullptr) return 1;
  bench->MeasureFloor();
  const PacketSpec hot = Request4("20.0.10.1", kAck);
  const PacketSpec syn = Request4("20.0.10.3", kSyn);
  const PacketSpec known = Request4("20.0.10.3", kAck);
  const bool measured =
      bench->Measure({.name = "dnat_hot_ns"}, hot) &&
      bench->Measure({.name = "dnat_hot_ipv6_ns"}, Request6(kAck)) &&
      bench->Measure({.name = "dnat_4k_flows_ns", .flows = 4096}, hot) &&
      bench->Measure({.name = "no_vip_ns", .verdict = kPass}, Request4("198.51.100.9", kAck)) &&
      bench->MeasureAnswers() && bench->Measure(Million("syn_insert_ns", Table::kNew), syn) &&
      bench->HasMillion() && bench->Measure(Million("dnat_1m_flows_ns", Table::kAsItIs), known) &&
      bench->Measure(Million("syn_recycled_ns", Table::kEmptied), syn) && bench->HasMillion() &&
      bench->Measure(Million("dnat_1m_scattered_ns", Table::kAsItIs), known);
  if (!measured) return 1;
  PrintVerified(bench->harness());
  return 0;
}

}  // namespace
}  // namespace portolan::bpf

int main() { return portolan::bpf::Main(); }
