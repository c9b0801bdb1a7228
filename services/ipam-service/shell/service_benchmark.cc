// Figures of the whole ipam-service, one JSON object a line:
//   {"figure":"durable_100k_s","value":2.1,"unit":"s"}
//
//   service_benchmark DIRECTORY       empty, on a disk; the caller removes what is in it afterwards
//
// The service runs as its binary runs it: its loop, its journal thread, SQLite (WAL, full sync) in
// a file of DIRECTORY, its log in another one, streams over UNIX sockets. Who declares Services and
// who subscribes to allocations are other threads of this process, on sockets like anybody.
// Seconds are wall time, because the disk is part of it.
//
//   durable_100k_s         from the first of 100,000 Services declared (100 selector pools) until
//                          the subscriber has seen the last allocation; the rows are counted then
//   adopt_100k_s           a new service on that file: from opening it until the subscriber has the
//                          sync mark and all allocations, the same as before. All Services come
//                          over the stream in this time. Starting a process is not in it.
//   assign_durable_p50_ms, assign_durable_p99_ms
//                          one Service at a time on that service, from its declaration until the
//                          subscriber has seen its allocation. The rival is the disk itself: a
//                          write of 4 KiB and fdatasync, in turn with the Services.
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/builtin/builtin.h"
#include "services/base/clock/clock.h"
#include "services/base/log/log.h"
#include "services/base/loop/loop.h"
#include "services/base/store/sqlite_store.h"
#include "services/base/wire/reader.h"
#include "services/base/wire/server.h"
#include "services/ipam-service/shell/convert.h"
#include "services/ipam-service/shell/leading_service.h"

namespace portolan::ipam {
namespace {

constexpr int kPools = 100;
constexpr int kServices = 100'000;
constexpr int kSamples = 2'000;
constexpr int kWarmUp = 100;
constexpr absl::Duration kDeadline = absl::Minutes(3);

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "service_benchmark: %s\n", message.c_str());
  std::exit(1);
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Publishes what config-service would: the configuration and the declared Services.
class Upstream {
 public:
  explicit Upstream(const std::string& address) {
    for (int i = 0; i < kPools; ++i) AddPool(i);
    pools_.MarkSynced();
    settings_.MarkSynced();
    plugins_.MarkSynced();
    quotas_.MarkSynced();
    namespaces_.MarkSynced();
    services_.MarkSynced();
    server_ = wire::Server::Start(address, {hub_.service()}).value();
  }
  ~Upstream() { hub_.Shutdown(); }

  static std::string KeyOf(int service) {
    return absl::StrCat("namespace-", service % 1000, "/service-", service);
  }
  void Declare(int service) {
    intent::v1alpha1::ServiceIntent intent;
    intent.set_key(KeyOf(service));
    intent.set_generation(1);
    (*intent.mutable_labels())["app"] = absl::StrCat("app-", service);
    (*intent.mutable_labels())["team"] = absl::StrCat("team-", service % kPools);
    services_.Upsert(intent.key(), intent);
  }

 private:
  void AddPool(int i) {
    config::v1alpha1::Pool pool;
    pool.set_name(absl::StrCat("pool-", i));
    pool.set_auto_assign(true);
    config::v1alpha1::AddressBlock* block = pool.add_blocks();
    block->set_id("b");
    block->set_first(absl::StrCat("10.", i, ".0.0"));
    block->set_last(absl::StrCat("10.", i, ".255.255"));
    block->set_prefix_length(16);
    (*pool.mutable_service_selector()->mutable_match_labels())["team"] = absl::StrCat("team-", i);
    pools_.Upsert(pool.name(), pool);
  }

  wire::Hub hub_;
  wire::Writer pools_ = hub_.NewWriter<config::v1alpha1::Pool>();
  wire::Writer settings_ = hub_.NewWriter<config::v1alpha1::IpamSettings>();
  wire::Writer plugins_ = hub_.NewWriter<config::v1alpha1::Plugin>();
  wire::Writer quotas_ = hub_.NewWriter<config::v1alpha1::Quota>();
  wire::Writer namespaces_ = hub_.NewWriter<intent::v1alpha1::Namespace>();
  wire::Writer services_ = hub_.NewWriter<intent::v1alpha1::ServiceIntent>();
  std::unique_ptr<wire::Server> server_;
};

// The service on a thread, as process::Main() would run it.
class Running {
 public:
  Running(const std::string& directory, const std::string& address, const std::string& upstream)
      : log_fd_(open(absl::StrCat(directory, "/log").c_str(),
                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)),
        log_("ipam", Log::Level::kInfo, log_fd_) {
    service_ = NewIpamService({.node = "a",
                               .state_dir = directory,
                               .loop = loop_.get(),
                               .hub = &hub_,
                               .clock = &SystemClock(),
                               .log = &log_},
                              &registry_, std::make_shared<IpamRpc>())
                   .value();
    std::vector<grpc::Service*> rpcs = service_->rpcs();
    rpcs.push_back(hub_.service());
    server_ = wire::Server::Start(address, rpcs).value();
    const std::shared_ptr<grpc::Channel> channel = wire::Connect(upstream);
    const absl::Status started = service_->Start({channel, channel, channel, channel});
    if (!started.ok()) Die(started.ToString());
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~Running() {
    loop_->Stop();
    thread_.join();
    hub_.Shutdown();
    server_.reset();
    service_.reset();
    close(log_fd_);
  }

 private:
  const int log_fd_;
  const Log log_;
  const plugin::Registry registry_ = plugin::NewBuiltinRegistry();
  const std::unique_ptr<Loop> loop_ = NewLoop();
  wire::Hub hub_;
  std::unique_ptr<process::Service> service_;
  std::unique_ptr<wire::Server> server_;
  std::thread thread_;
};

// Follows the allocations on this thread.
class Subscriber {
 public:
  explicit Subscriber(const std::string& address) {
    reader_.emplace(loop_.get(), wire::Connect(address),
                    wire::Handlers<allocation::v1alpha1::Allocation>{
                        .on_upsert =
                            [this](const std::string& key, const auto& value) {
                              seen[key] = value.grants().empty() ? "" : value.grants(0).address();
                              Check();
                            },
                        .on_remove = [](const std::string& key) { Die(key + " lost its address"); },
                        .on_synced =
                            [this] {
                              synced = true;
                              Check();
                            }});
  }
  void RunUntil(absl::string_view what, std::function<bool()> condition) {
    condition_ = std::move(condition);
    const Loop::TimerId deadline = loop_->RunAfter(kDeadline, [this, what] {
      Die(absl::StrCat(what, ": not after ", absl::FormatDuration(kDeadline), "; ", seen.size(),
                       " seen"));
    });
    if (!condition_()) loop_->Run();
    loop_->Cancel(deadline);
    condition_ = nullptr;
  }

  std::map<std::string, std::string> seen;  // Service -> its address
  bool synced = false;

 private:
  void Check() {
    if (condition_ && condition_()) loop_->Stop();
  }
  const std::unique_ptr<Loop> loop_ = NewLoop();
  std::function<bool()> condition_;
  std::optional<wire::TypedReader<allocation::v1alpha1::Allocation>> reader_;
};

// What the disk asks for one durable write.
class Disk {
 public:
  explicit Disk(const std::string& directory)
      : fd_(open(absl::StrCat(directory, "/disk").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) {}
  ~Disk() { close(fd_); }
  double SecondsOfOneWrite() {
    const double start = Now();
    if (write(fd_, block_.data(), block_.size()) < 0 || fdatasync(fd_) != 0) Die("cannot write");
    return Now() - start;
  }

 private:
  const int fd_;
  const std::string block_ = std::string(4096, 'x');
};

void Print(const char* figure, double value, const char* unit) {
  std::printf("{\"figure\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n", figure, value, unit);
  std::fflush(stdout);
}

// The value that this part of all values does not exceed.
double Quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(static_cast<double>(values.size() - 1) * part)];
}

void PrintLatency(const char* figure, double part, const std::vector<double>& seconds,
                  const std::vector<double>& disk_seconds) {
  std::printf(
      "{\"figure\":\"%s\",\"value\":%.6g,\"unit\":\"ms\",\"rival\":\"disk\",\"rival_value\":%.6g}"
      "\n",
      figure, Quantile(seconds, part) * 1e3, Quantile(disk_seconds, part) * 1e3);
  std::fflush(stdout);
}

void CountRows(const std::string& directory) {
  auto store = store::OpenSqlite(absl::StrCat(directory, "/ipam.sqlite"));
  if (!store.ok()) Die(store.status().ToString());
  const size_t rows = (*store)->List(kAddressPrefix)->size();
  if (rows != kServices) Die(absl::StrCat(rows, " rows in the journal, not ", kServices));
}

void Measure(const std::string& directory) {
  const std::string address = absl::StrCat("unix:", directory, "/ipam.sock");
  const std::string above = absl::StrCat("unix:", directory, "/upstream.sock");
  Upstream upstream(above);
  std::map<std::string, std::string> before;
  {
    Running service(directory, address, above);
    Subscriber subscriber(address);
    subscriber.RunUntil("first sync", [&] { return subscriber.synced; });
    const double start = Now();
    for (int i = 0; i < kServices; ++i) upstream.Declare(i);
    subscriber.RunUntil("assignment", [&] { return subscriber.seen.size() == kServices; });
    Print("durable_100k_s", Now() - start, "s");
    before = std::move(subscriber.seen);
  }
  CountRows(directory);

  const double start = Now();
  Running service(directory, address, above);
  Subscriber subscriber(address);
  subscriber.RunUntil("adoption",
                      [&] { return subscriber.synced && subscriber.seen.size() == kServices; });
  Print("adopt_100k_s", Now() - start, "s");
  if (subscriber.seen != before) Die("an address changed by the restart");

  Disk disk(directory);
  std::vector<double> seconds, disk_seconds;
  for (int i = kServices; i < kServices + kWarmUp + kSamples; ++i) {
    const std::string key = Upstream::KeyOf(i);
    const double declared = Now();
    upstream.Declare(i);
    subscriber.RunUntil(key, [&] { return subscriber.seen.contains(key); });
    const double taken = Now() - declared;
    const double disk_taken = disk.SecondsOfOneWrite();
    if (i < kServices + kWarmUp) continue;
    seconds.push_back(taken);
    disk_seconds.push_back(disk_taken);
  }
  PrintLatency("assign_durable_p50_ms", 0.50, seconds, disk_seconds);
  PrintLatency("assign_durable_p99_ms", 0.99, seconds, disk_seconds);
}

void Run(const std::string& directory) {
  struct statfs info = {};
  if (statfs(directory.c_str(), &info) != 0 || info.f_type == TMPFS_MAGIC) {
    Die(directory + " is not a directory on a disk; name one that is");
  }
  if (!std::filesystem::is_empty(directory)) Die(directory + " is not empty");
  Measure(directory);
}

}  // namespace
}  // namespace portolan::ipam

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: service_benchmark DIRECTORY\n");
    return 2;
  }
  portolan::ipam::Run(argv[1]);
  return 0;
}
