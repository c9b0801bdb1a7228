// Figures of the ipam core, one JSON object a line:
//   {"figure":"assign_100k_s","value":0.61,"unit":"s"}
//
// Services over 100 selector pools arrive one by one; the journal answers each write at once. The
// time is processor time from the first Service to the last published allocation. Memory is what
// the allocator holds more than before the first Service: its chunks with their headers, and what
// it mapped for large tables (mallinfo2()), at a million Services.
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

constexpr int kPools = 100;

// Of this process, which has one thread: others on the machine do not count.
double ProcessorSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

size_t HeldBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct Figures {
  double assign_s = 0;
  double adopt_s = 0;
  double bytes_per_service = 0;
};

PoolConfig PoolNumber(int i) {
  PoolConfig pool = PoolOf(absl::StrCat("pool-", i), {absl::StrCat("10.", i, ".0.0/16")});
  pool.service_selector = LabelSelector(
      {{"team", LabelSelector::Operator::kIn, {absl::StrCat("team-", i), "everybody"}}});
  return pool;
}

ServiceRequest ServiceNumber(int i) {
  return ServiceOf(absl::StrCat("namespace-", i % 1000, "/service-", i),
                   {{"app", absl::StrCat("app-", i)}, {"team", absl::StrCat("team-", i % kPools)}});
}

// Feeds events until nothing is left to answer; counts published allocations and keeps the rows.
class Driver {
 public:
  Driver() : engine_(BuiltinOptions()) {}

  void Send(const Event& event) {
    Take(engine_.Handle(event, now_));
    while (!done_.empty()) {
      std::vector<JournalDone> done;
      done.swap(done_);
      for (const JournalDone& each : done) Take(engine_.Handle(each, now_));
    }
  }
  void Sync() {
    for (const Source source : kSources) Send(Synced{source});
  }

  bool keep_rows = false;
  std::vector<JournalRow> rows;
  int published = 0;

 private:
  void Take(const Effects& effects) {
    for (const Effect& effect : effects) {
      if (const auto* commit = std::get_if<JournalCommit>(&effect)) {
        if (keep_rows) rows.insert(rows.end(), commit->create.begin(), commit->create.end());
        done_.push_back({commit->batch, absl::OkStatus()});
      } else if (std::holds_alternative<PublishAllocation>(effect)) {
        ++published;
      }
    }
  }

  Engine engine_;
  const Moment now_{absl::UnixEpoch(), absl::UnixEpoch()};
  std::vector<JournalDone> done_;
};

Figures Measure(int services) {
  Figures figures;
  std::vector<JournalRow> rows;
  {
    Driver driver;
    driver.keep_rows = services <= 100'000;
    for (int i = 0; i < kPools; ++i) driver.Send(PoolChanged{PoolNumber(i)});
    driver.Send(JournalLoaded{});
    driver.Sync();
    const size_t before = HeldBytes();
    const double start = ProcessorSeconds();
    for (int i = 0; i < services; ++i) driver.Send(ServiceChanged{ServiceNumber(i)});
    figures.assign_s = ProcessorSeconds() - start;
    figures.bytes_per_service =
        static_cast<double>(HeldBytes() - before) / static_cast<double>(services);
    rows = std::move(driver.rows);
    if (driver.published != services) std::abort();
  }
  if (rows.empty()) return figures;
  Driver driver;
  for (int i = 0; i < kPools; ++i) driver.Send(PoolChanged{PoolNumber(i)});
  for (int i = 0; i < services; ++i) driver.Send(ServiceChanged{ServiceNumber(i)});
  const double start = ProcessorSeconds();
  driver.Send(JournalLoaded{std::move(rows), {}});
  driver.Sync();
  figures.adopt_s = ProcessorSeconds() - start;
  if (driver.published != services) std::abort();
  return figures;
}

// Seconds of the middle one of several: a single small run is mostly chance.
double MedianSeconds(int services) {
  std::vector<double> seconds;
  for (int i = 0; i < 9; ++i) seconds.push_back(Measure(services).assign_s);
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

void Print(const char* figure, double value, const char* unit) {
  std::printf("{\"figure\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n", figure, value, unit);
  std::fflush(stdout);
}

}  // namespace
}  // namespace portolan::ipam

int main() {
  using portolan::ipam::Figures;
  using portolan::ipam::Measure;
  using portolan::ipam::MedianSeconds;
  using portolan::ipam::Print;
  const double small_s = MedianSeconds(10'000);
  const Figures middle = Measure(100'000);
  Print("assign_100k_s", middle.assign_s, "s");
  Print("adopt_100k_core_s", middle.adopt_s, "s");
  const Figures large = Measure(1'000'000);
  Print("assign_1m_s", large.assign_s, "s");
  Print("growth_1m_over_10k", large.assign_s / 1'000'000 / (small_s / 10'000), "ratio");
  Print("bytes_per_service", large.bytes_per_service, "B");
  return 0;
}
