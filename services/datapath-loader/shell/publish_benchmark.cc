// How fast wishes reach the kernel: 10,000 services with 10 backends each, into real maps.
//   bazel run --config=opt //services/datapath-loader/shell:publish_benchmark      (as root)
//
// publish_10k_s          from the first event until the kernel has acknowledged everything; events
//                        come in bursts of a hundred, as from a stream
// publish_10k_start_s    the same when all of it is there before the maps are (a start)
// change_one_p99_ms      one backend of one of them is another one: until the kernel has it
// counters_sweep_ms      reading the counters of all of them, as every second
// memory_service_bytes   of this process, for each service
// memory_service_kernel_bytes, memory_flow_bytes    of the maps, for each service (its frontend,
// its
//                        backends, its table) and for each flow (both directions)
#include <bpf/bpf.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/objects.h"
#include "services/datapath-loader/shell/pins.h"

namespace portolan::datapath {
namespace {

constexpr uint32_t kServices = 10'000;
constexpr uint32_t kBackends = 10;
constexpr int kBurst = 100;
constexpr int kChanges = 2'000;
constexpr Sizes kSizes{.max_flows = 65536, .max_frontends = 16384, .max_backends = 131072};

net::IpAddress Address(uint32_t network, uint32_t number) {
  return net::IpAddress::FromValue(net::Family::kIpv4, network + number);
}

std::string KeyOf(uint32_t service) { return absl::StrCat("shop/service-", service); }

Service ServiceOf(uint32_t service) {
  return {.key = KeyOf(service), .generation = 1, .ports = {{"http", kTcp, 80}}};
}

// `changed`: the first backend is that one instead.
BackendSet SetOf(uint32_t service, uint32_t changed = 0) {
  BackendSet set{KeyOf(service), 1, {}};
  for (uint32_t i = 0; i < kBackends; i++) {
    const net::IpAddress address = i == 0 && changed != 0
                                       ? Address(0x0b000000, changed)
                                       : Address(0x0a000000, service * kBackends + i);
    set.backends.push_back({.id = absl::StrCat("backend-", i),
                            .address = address,
                            .ports = {{"http", 8080}},
                            .node = "b",
                            .local_source = Address(0xac100000, 1)});
  }
  return set;
}

Allocation AllocationOf(uint32_t service) {
  return {KeyOf(service), 1, {{Address(0x14000000, service), 1}}};
}

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Print(const char* figure, double value, const char* unit) {
  printf("{\"figure\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", figure, value, unit);
  fflush(stdout);
}

double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// As the kernel accounts for it.
double MapBytes(const Objects& objects, const char* map) {
  std::ifstream info(absl::StrCat("/proc/self/fdinfo/", objects.map(map)));
  std::string name;
  double value = 0;
  while (info >> name) {
    if (name == "memlock:" && info >> value) return value;
  }
  return 0;
}

// An engine on maps of its own.
class Node {
 public:
  Node() : directory_(absl::StrCat("/sys/fs/bpf/portolan/publish-benchmark-", getpid())) {
    Check(PreparePinDirectory(directory_));
    auto objects = Objects::Load(directory_, kSizes, log_);
    Check(objects.status());
    objects_ = *std::move(objects);
    auto maps = KernelMaps::Open(*objects_);
    Check(maps.status());
    maps_ = *std::move(maps);
  }
  ~Node() {
    maps_.reset();
    objects_.reset();
    RemovePins(directory_).IgnoreError();
  }

  void Send(const Event& event) {
    for (const Effect& effect : engine_.Handle(event, absl::Now())) {
      if (const auto* apply = std::get_if<ApplyBatch>(&effect)) batch_ = apply->batch;
    }
  }
  void Open() {
    auto image = maps_->Read();
    Check(image.status());
    Send(KernelReady{objects_->limits(), *std::move(image)});
    Send(HostChanged{1, true, true});
  }
  // What the loop does when it has nothing else to do.
  void Settle() {
    while (batch_ != nullptr) {
      const std::shared_ptr<const MapBatch> batch = std::exchange(batch_, nullptr);
      std::vector<absl::Status> results = maps_->Execute(*batch);
      for (const absl::Status& result : results) Check(result);
      Send(BatchDone{std::move(results)});
    }
  }
  const Objects& objects() const { return *objects_; }
  const KernelMaps& maps() const { return *maps_; }

 private:
  static void Check(const absl::Status& status) {
    if (status.ok()) return;
    fprintf(stderr, "publish_benchmark: %s\n", status.ToString().c_str());
    _exit(1);
  }

  const Log log_{"publish_benchmark", Log::Level::kError};
  const std::string directory_;
  std::unique_ptr<Objects> objects_;
  std::unique_ptr<KernelMaps> maps_;
  Engine engine_{"a"};
  std::shared_ptr<const MapBatch> batch_;
};

void Declare(Node& node, uint32_t service) {
  node.Send(ServiceChanged{ServiceOf(service)});
  node.Send(BackendsChanged{SetOf(service)});
  node.Send(AllocationChanged{AllocationOf(service)});
}

void MeasureStart() {
  Node node;
  const auto start = std::chrono::steady_clock::now();
  for (uint32_t i = 0; i < kServices; i++) Declare(node, i);
  node.Open();
  node.Send(InputsSynced{});
  node.Settle();
  Print("publish_10k_start_s", Since(start), "s");
}

void MeasureChanges(Node& node) {
  std::vector<double> times;
  for (uint32_t i = 0; i < kChanges; i++) {
    BackendSet set = SetOf(i * 7919 % kServices, i + 1);
    const auto start = std::chrono::steady_clock::now();
    node.Send(BackendsChanged{std::move(set)});
    node.Settle();
    times.push_back(Since(start));
  }
  std::sort(times.begin(), times.end());
  Print("change_one_p50_ms", times[times.size() / 2] * 1e3, "ms");
  Print("change_one_p99_ms", times[times.size() * 99 / 100] * 1e3, "ms");
}

void MeasureSweep(const Node& node) {
  std::vector<portolan_counter> counters;
  const auto start = std::chrono::steady_clock::now();
  node.maps().FrontendCounters(1, kServices, counters);
  node.maps().BackendCounters(1, kServices * kBackends, counters);
  Print("counters_sweep_ms", Since(start) * 1e3, "ms");
}

int Main() {
  if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
    fprintf(stderr, "publish_benchmark: needs root\n");
    return 1;
  }
  {
    Node node;
    node.Open();
    node.Send(InputsSynced{});
    const double frontends = MapBytes(node.objects(), "frontends");
    const double addresses = MapBytes(node.objects(), "addresses");
    const double before = ResidentBytes();
    const auto start = std::chrono::steady_clock::now();
    for (uint32_t i = 0; i < kServices; i++) {
      Declare(node, i);
      if ((i + 1) % (kBurst / 3) == 0) node.Settle();
    }
    node.Settle();
    Print("publish_10k_s", Since(start), "s");
    const double after = ResidentBytes();
    const double hashed = MapBytes(node.objects(), "frontends") - frontends +
                          MapBytes(node.objects(), "addresses") - addresses;
    const double backend =
        (MapBytes(node.objects(), "backends") + MapBytes(node.objects(), "backend_counters") +
         MapBytes(node.objects(), "maglev")) /
        kSizes.max_backends;
    const double counters =
        (MapBytes(node.objects(), "counters") + MapBytes(node.objects(), "frontend_info")) /
        kSizes.max_frontends;
    MeasureChanges(node);
    MeasureSweep(node);
    Print("memory_service_bytes", (after - before) / kServices, "bytes");
    Print("memory_service_kernel_bytes", hashed / kServices + counters + kBackends * backend,
          "bytes");
    Print("memory_flow_bytes", MapBytes(node.objects(), "flows4") / kSizes.max_flows, "bytes");
  }
  MeasureStart();
  return 0;
}

}  // namespace
}  // namespace portolan::datapath

int main() { return portolan::datapath::Main(); }
