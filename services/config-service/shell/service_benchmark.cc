// What config-service takes at size: 1,000 pools, 10,000 services of five backends, 100 peers, over
// its socket and with its journal on the disk of /tmp. A commit is over when it is published.
// Prints the figures of `tools/dev/bench config` as JSON lines. The rival of the first commit is
// yanglint on the same data, which only validates.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

constexpr int kPools = 1000;
constexpr int kServices = 10000;
constexpr int kPeers = 100;
constexpr int kEdits = 100;

std::string Text() {
  std::string text = R"({"portolan-ipam:ipam": {"pools": {"pool": [)";
  for (int i = 0; i < kPools; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", R"({"name": "p)", i,
                    R"(", "blocks": {"block": [{"id": "a", "cidr": "20.)", i / 256, ".", i % 256,
                    R"(.0/24"}]}})");
  }
  text += R"(]}}, "portolan-bgp:bgp": {"instances": {"instance": [{"name": "main",
      "local-as": 64512, "router-id": "10.0.0.1", "peers": {"peer": [)";
  for (int i = 0; i < kPeers; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", R"({"name": "r)", i, R"(", "address": "10.1.0.)",
                    i + 1, R"(", "remote-as": 64513})");
  }
  text += R"(]}}]}}, "portolan-service:services": {"service": [)";
  for (int i = 0; i < kServices; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", R"({"namespace": "default", "name": "s)", i,
                    R"(", "port": [{"name": "http", "port": 80}], "requested-pool": "p)",
                    i % kPools, R"(", "backend": [)");
    for (int b = 0; b < 5; ++b) {
      absl::StrAppend(&text, b == 0 ? "" : ",", R"({"id": "b)", b, R"(", "address": "10.)",
                      i / 256 % 256, ".", i % 256, ".", b + 1, R"("})");
    }
    text += "]}";
  }
  return text + "]}}";
}

// Seconds that `work` takes.
template <typename Work>
double Seconds(Work work) {
  const absl::Time start = absl::Now();
  work();
  return absl::ToDoubleSeconds(absl::Now() - start);
}

void Print(const char* figure, double value, const char* unit) {
  std::printf("{\"figure\": \"%s\", \"value\": %.4g, \"unit\": \"%s\"}\n", figure, value, unit);
}

double Percentile99(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() * 99 / 100];
}

void Demand(const v1alpha1::EditResponse& response) {
  if (response.problems().empty()) return;
  std::fprintf(stderr, "refused: %s\n", response.problems(0).message().c_str());
  std::exit(1);
}

double ResidentMegabytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

// In the root of the repository.
double YanglintSeconds(const std::string& file) {
  const std::string command = absl::StrCat(
      "yanglint -p api/yang -p /usr/share/yuma/modules/ietf -t config api/yang/portolan-*.yang ",
      file);
  int code = 0;
  const double seconds = Seconds([&] { code = std::system(command.c_str()); });
  if (code != 0) std::exit(1);
  return seconds;
}

void Run(const std::string& directory) {
  const std::string text = Text();
  const std::string file = directory + "/data.json";
  std::ofstream(file) << text;
  Process process(directory, "", nullptr);
  const double initial = Seconds([&] { Demand(process.Replace(text)); });
  std::printf(
      "{\"figure\": \"commit_initial_s\", \"value\": %.4g, \"unit\": \"s\", "
      "\"rival\": \"yanglint\", \"rival_value\": %.4g}\n",
      initial, YanglintSeconds(file));
  std::vector<double> edits;
  for (int i = 0; i < kEdits; ++i) {
    const std::string edit =
        absl::StrCat(R"({"portolan-service:services": {"service": [{"namespace": "default",
            "name": "s)",
                     i * 97, R"(", "backend": [{"id": "b1", "weight": )", i % 7, "}]}]}}");
    edits.push_back(Seconds([&] { Demand(process.Merge(edit)); }));
  }
  Print("commit_leaf_p99_ms", Percentile99(edits) * 1e3, "ms");
  std::nth_element(edits.begin(), edits.begin() + kEdits / 2, edits.end());
  Print("commit_leaf_p50_ms", edits[kEdits / 2] * 1e3, "ms");
  std::vector<double> rest_edits;
  for (int i = 0; i < kEdits; ++i) {
    const std::string edit =
        absl::StrCat(R"({"portolan-bgp:bgp": {"instances": {"instance": [{"name": "main",
            "peers": {"peer": [{"name": "r)",
                     i, R"(", "hold-time": )", 30 + i, "}]}}]}}}");
    rest_edits.push_back(Seconds([&] { Demand(process.Merge(edit)); }));
  }
  Print("commit_peer_leaf_p99_ms", Percentile99(rest_edits) * 1e3, "ms");
  std::vector<double> reads;
  for (int i = 0; i < kEdits; ++i) {
    reads.push_back(Seconds([&] {
      process.Get(absl::StrCat("/portolan-service:services/service[namespace='default'][name='s",
                               i * 97, "']"));
    }));
  }
  Print("get_one_ms", Percentile99(reads) * 1e3, "ms");
  Print("rss_mb", ResidentMegabytes(), "MB");
}

}  // namespace
}  // namespace portolan::config

int main() {
  std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
  const std::string directory = mkdtemp(pattern.data());
  portolan::config::Run(directory);
  std::filesystem::remove_all(directory);
  return 0;
}
