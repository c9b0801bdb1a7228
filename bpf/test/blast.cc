// Throughput: sends frames as fast as one processor can, and counts what arrives.
//
//   blast send INTERFACE DESTINATION_MAC VIP PORT udp|syn FLOWS FRAMES
//     Prints {"seconds":S}: how long the frames took, from the processor that sent them, which
//     also does all that a frame meets on its way through veths.
//   blast sink INTERFACE xdp|tc
//     Drops and counts what `send` sends; at the end of its input prints {"frames":N}.
//
// Needs root. Both take the network namespace that they are started in.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "bpf/programs/object.h"
#include "bpf/test/feeder.h"
#include "bpf/test/packets.h"

namespace portolan::bpf {

Object Feeder();

namespace {

constexpr uint32_t kBatch = 64;

[[noreturn]] void Fail(const std::string& what) {
  fprintf(stderr, "blast: %s: %s\n", what.c_str(), strerror(errno));
  exit(1);
}

int Silent(enum libbpf_print_level, const char*, va_list) { return 0; }

bpf_object* LoadFeeder() {
  libbpf_set_print(Silent);
  const Object bytes = Feeder();
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = bytes.name);
  bpf_object* object = bpf_object__open_mem(bytes.data, bytes.size, &options);
  if (object == nullptr || bpf_object__load(object) != 0) Fail("cannot load");
  return object;
}

int ProgramOf(bpf_object* object, const char* name) {
  return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}

feeder_plan PlanOf(char** arguments) {
  PacketSpec spec{.source = "198.18.0.0",
                  .destination = arguments[2],
                  .source_port = 0,
                  .destination_port = static_cast<uint16_t>(atoi(arguments[3])),
                  .protocol = static_cast<uint8_t>(strcmp(arguments[4], "syn") == 0 ? 6 : 17)};
  spec.payload_length = FEEDER_FRAME - 14 - 20 - (spec.protocol == 6 ? 20 : 8);
  spec.zero_checksum = true;
  unsigned int mac[6];
  if (sscanf(arguments[1], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
             &mac[5]) != 6) {
    Fail("DESTINATION_MAC");
  }
  for (int i = 0; i < 6; i++) spec.destination_mac[i] = mac[i];
  const Bytes frame = Build(spec);
  feeder_plan plan{};
  memcpy(plan.frame, frame.data(), sizeof(plan.frame));
  plan.ifindex = if_nametoindex(arguments[0]);
  if (plan.ifindex == 0) Fail(arguments[0]);
  plan.flows = atoi(arguments[5]);
  plan.stride = 1;
  return plan;
}

void PinToFirstProcessor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) Fail("sched_setaffinity");
}

int Send(char** arguments) {
  const feeder_plan plan = PlanOf(arguments);
  const uint32_t frames = atoi(arguments[6]);
  bpf_object* object = LoadFeeder();
  const uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "plan"), &zero, &plan, BPF_ANY)) {
    Fail("map plan");
  }
  PinToFirstProcessor();
  std::vector<uint8_t> frame(plan.frame, plan.frame + sizeof(plan.frame));
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(),
              .data_size_in = static_cast<__u32>(frame.size()), .repeat = static_cast<int>(frames),
              .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = kBatch);
  const auto begin = std::chrono::steady_clock::now();
  if (bpf_prog_test_run_opts(ProgramOf(object, "feeder_send"), &run) != 0) Fail("cannot send");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  printf("{\"seconds\":%.6f}\n", took.count());
  bpf_object__close(object);
  return 0;
}

void AttachSink(bpf_object* object, int ifindex, bool xdp) {
  if (xdp) {
    if (bpf_xdp_attach(ifindex, ProgramOf(object, "feeder_sink_xdp"), XDP_FLAGS_DRV_MODE,
                       nullptr)) {
      Fail("cannot attach XDP");
    }
    return;
  }
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = ProgramOf(object, "feeder_sink_tc"));
  const int error = bpf_tc_hook_create(&hook);
  if ((error != 0 && error != -EEXIST) || bpf_tc_attach(&hook, &options) != 0) {
    Fail("cannot attach tc");
  }
}

int Sink(char** arguments) {
  const int ifindex = static_cast<int>(if_nametoindex(arguments[0]));
  if (ifindex == 0) Fail(arguments[0]);
  const bool xdp = strcmp(arguments[1], "xdp") == 0;
  bpf_object* object = LoadFeeder();
  AttachSink(object, ifindex, xdp);
  printf("ready\n");
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  std::vector<uint64_t> counts(libbpf_num_possible_cpus());
  const uint32_t zero = 0;
  bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, "taken"), &zero, counts.data());
  uint64_t frames = 0;
  for (uint64_t count : counts) frames += count;
  printf("{\"frames\":%llu}\n", static_cast<unsigned long long>(frames));
  if (xdp) bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, nullptr);
  bpf_object__close(object);
  return 0;
}

}  // namespace
}  // namespace portolan::bpf

int main(int count, char** arguments) {
  if (count == 9 && strcmp(arguments[1], "send") == 0) return portolan::bpf::Send(arguments + 2);
  if (count == 4 && strcmp(arguments[1], "sink") == 0) return portolan::bpf::Sink(arguments + 2);
  fprintf(stderr, "blast: see the head of blast.cc\n");
  return 2;
}
