// Nanoseconds per packet of the XDP program, hot cache, one JSON object per line and figure.
//
// The packet's two frontends point at each other (A's backend is B, B's backend is A), so every
// repetition of BPF_PROG_RUN, which feeds the program its own last output, is again a request that
// needs the whole work; the test before the run proves it. Beside each figure stands the empty
// program under the same call. `value` is the best of the rounds, `median` their median.
//
// With many flows every packet is another one, so a call runs the program once; what a single run
// costs beyond the program (cold caches, the clock) is measured with the empty program, taken off,
// and the floor of repeated runs put back. The flows are visited in an order that no cache
// foresees.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "bpf/test/harness.h"
#include "bpf/test/packets.h"

namespace portolan::bpf {
namespace {

constexpr int kRounds = 7;
constexpr uint32_t kRepeat = 1'000'000;
constexpr uint32_t kManyFlows = 1'000'000;
constexpr uint8_t kAck = 0x10;

struct Sample {
  double best = 0;
  double median = 0;
};

Sample Summary(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2]};
}

// XDP_PASS and nothing else.
int LoadEmptyProgram() {
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  return bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "Dual BSD/GPL", instructions, 2, nullptr);
}

double RunEmpty(int fd, const Bytes& packet) {
  Bytes out(packet.size() + 256);
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data(), .data_out = out.data(),
              .data_size_in = static_cast<__u32>(packet.size()),
              .data_size_out = static_cast<__u32>(out.size()), .repeat = static_cast<int>(kRepeat));
  return bpf_prog_test_run_opts(fd, &run) == 0 ? run.duration : -1;
}

void Print(const char* figure, const Sample& ours, const Sample& empty) {
  printf(
      "{\"figure\":\"%s\",\"value\":%.0f,\"median\":%.0f,\"unit\":\"ns\","
      "\"rival\":\"empty program\",\"rival_value\":%.0f}\n",
      figure, ours.best, ours.median, empty.best);
  fflush(stdout);
}

bool Measure(Harness& harness, int empty_fd, const char* figure, const Bytes& packet) {
  std::vector<double> ours, empty;
  for (int round = 0; round < kRounds; round++) {
    const Outcome outcome = harness.Run(Program::kXdp, packet, kRepeat);
    if (outcome.verdict != 2) return false;
    ours.push_back(outcome.nanoseconds);
    empty.push_back(RunEmpty(empty_fd, packet));
  }
  Print(figure, Summary(ours), Summary(empty));
  return true;
}

// The average of one run for each of `packets` different ones: the flow number mixed by an odd
// factor.
double AverageOfSingleRuns(int fd, Bytes packet, uint32_t flows, uint32_t packets) {
  Bytes out(packet.size() + 256);
  double sum = 0;
  for (uint32_t i = 0; i < packets; i++) {
    const uint32_t flow = static_cast<uint64_t>(i) * 2654435761u % flows;
    packet[27] = flow >> 16;  // of the source address; the checksum need not fit for XDP
    packet[34] = flow >> 8;   // and port
    packet[35] = flow;
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data(), .data_out = out.data(),
                .data_size_in = static_cast<__u32>(packet.size()),
                .data_size_out = static_cast<__u32>(out.size()), .repeat = 1);
    if (bpf_prog_test_run_opts(fd, &run) != 0) return -1;
    sum += run.duration;
  }
  return sum / packets;
}

// `flows` new ones, then packets of all of them, through a frontend with a backend of this node.
bool MeasureMany(Harness& harness, int empty_fd, uint32_t flows, double floor) {
  harness.SetBackend(5, {.address = "10.244.1.1", .port = 8080, .protocol = 6});
  harness.SetFrontend(5, false, "20.0.10.5", 80, 6, 5 * 16, std::vector<uint32_t>(251, 5));
  const Bytes syn = Build({.source = "10.0.0.1", .destination = "20.0.10.5"});
  const Bytes ack = Build({.source = "10.0.0.1", .destination = "20.0.10.5", .tcp_flags = kAck});
  const int fd = harness.program(Program::kXdp);
  const double insert = AverageOfSingleRuns(fd, syn, flows, flows);
  if (harness.FlowCount(false) < static_cast<int>(flows)) return false;
  std::vector<double> hits, empty;
  for (int round = 0; round < 3; round++) {
    hits.push_back(AverageOfSingleRuns(fd, ack, flows, flows));
    empty.push_back(AverageOfSingleRuns(empty_fd, ack, flows, flows / 4));
  }
  const double single = Summary(empty).best;
  const Sample base{floor, floor};
  const Sample hit = Summary(hits);
  Print("dnat_1m_flows_ns", {hit.best - single + floor, hit.median - single + floor}, base);
  Print("syn_insert_ns", {insert - single + floor, insert - single + floor}, base);
  return true;
}

void PrintVerified(const Harness& harness) {
  for (const auto& [figure, program] : {std::pair{"verified_insns_xdp", Program::kXdp},
                                        std::pair{"verified_insns_tc", Program::kTc}}) {
    printf("{\"figure\":\"%s\",\"value\":%u,\"unit\":\"instructions\"}\n", figure,
           harness.VerifiedInstructions(program));
  }
}

// Two frontends that are each other's backend.
void PingPong(Harness& harness, bool ipv6, const std::string& a, const std::string& b,
              uint32_t first_id) {
  for (uint32_t i = 0; i < 2; i++) {
    harness.SetBackend(first_id + i,
                       {.ipv6 = ipv6, .address = i == 0 ? b : a, .port = 80, .protocol = 6});
    harness.SetFrontend(first_id + i, ipv6, i == 0 ? a : b, 80, 6, (first_id + i) * 16,
                        std::vector<uint32_t>(251, first_id + i));
  }
}

// One step leads to the other frontend, and the next one back.
bool ReallyPingPongs(Harness& harness, const Bytes& packet) {
  const Outcome there = harness.Run(Program::kXdp, packet);
  const Outcome back = harness.Run(Program::kXdp, there.packet);
  return there.packet != packet && back.packet == packet;
}

int Main() {
  if (geteuid() != 0) {
    fprintf(stderr, "datapath_bench: needs root to load BPF programs\n");
    return 1;
  }
  auto loaded = Harness::Load({.flows = 2 * kManyFlows + kManyFlows / 4,
                               .flows6 = 4096,
                               .frontends = 4096,
                               .backends = 16384,
                               .chunks = 65536});
  const int empty = LoadEmptyProgram();
  if (!loaded.ok() || empty < 0) {
    fprintf(stderr, "datapath_bench: %s\n", loaded.status().ToString().c_str());
    return 1;
  }
  Harness& harness = **loaded;
  PingPong(harness, false, "20.0.10.1", "20.0.10.2", 1);
  PingPong(harness, true, "2001:db8:20::1", "2001:db8:20::2", 3);
  const Bytes hot4 = Build({.tcp_flags = kAck});
  const Bytes hot6 = Build({.ipv6 = true,
                            .source = "2001:db8:c::7",
                            .destination = "2001:db8:20::1",
                            .tcp_flags = kAck});
  const Bytes other = Build({.destination = "198.51.100.9", .tcp_flags = kAck});
  if (!ReallyPingPongs(harness, hot4) || !ReallyPingPongs(harness, hot6)) {
    fprintf(stderr, "datapath_bench: the packet does not come back; figures would be wrong\n");
    return 1;
  }
  std::vector<double> floor;
  floor.reserve(kRounds);
  for (int round = 0; round < kRounds; round++) floor.push_back(RunEmpty(empty, hot4));
  Print("floor_ns", Summary(floor), Summary(floor));
  const bool ok = Measure(harness, empty, "dnat_hot_ns", hot4) &&
                  Measure(harness, empty, "dnat_hot_ipv6_ns", hot6) &&
                  Measure(harness, empty, "no_vip_ns", other) &&
                  MeasureMany(harness, empty, kManyFlows, Summary(floor).best);
  PrintVerified(harness);
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace portolan::bpf

int main() { return portolan::bpf::Main(); }
