// How long a change of one leaf takes until it is in force in every service.
//
//   in_force RUN_DIR SERVICES EDITS
//
// The five services run already, with SERVICES Services "default/s0" and so on, each with a label
// "round". Waits until all of them know every Service, then EDITS times commits another value of a
// label and waits until ipam-service, l2-announcer, bgp-exporter and datapath-loader have
// published a status of that Service with the generation of the commit. (A label concerns them
// all: pools, policies and advertisements select by it.) Prints the figures as JSON
// lines. Exit code 1 with a reason when something does not happen in time.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"

namespace portolan {
namespace {

constexpr std::array kFollowers = {"ipam-service", "l2-announcer", "bgp-exporter",
                                   "datapath-loader"};
constexpr absl::Duration kFirst = absl::Minutes(5);
constexpr absl::Duration kEach = absl::Seconds(10);
constexpr absl::Duration kQuiet = absl::Seconds(2);

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "in_force: %s\n", what.c_str());
  std::exit(1);
}

std::shared_ptr<grpc::Channel> Open(const std::string& run_dir, const std::string& service) {
  return grpc::CreateChannel(absl::StrCat("unix:", run_dir, "/", service, ".sock"),
                             grpc::InsecureChannelCredentials());
}

// What the followers say of each Service: the highest generation.
class Board {
 public:
  void Set(size_t follower, const std::string& service, uint64_t generation) {
    const std::lock_guard lock(mutex_);
    known_[follower][service] = generation;
    latest_ = absl::Now();
    changed_.notify_all();
  }
  // Nothing has been said for a while: what the start brought with it is done.
  bool WaitForQuiet(absl::Duration patience) {
    const absl::Time deadline = absl::Now() + patience;
    std::unique_lock lock(mutex_);
    while (absl::Now() < std::min(deadline, latest_ + kQuiet)) {
      changed_.wait_for(lock, absl::ToChronoNanoseconds(kQuiet));
    }
    return absl::Now() >= latest_ + kQuiet;
  }
  bool WaitForAll(size_t services, absl::Duration patience) {
    return Wait(patience, [&] {
      return std::all_of(known_.begin(), known_.end(),
                         [&](const auto& known) { return known.size() >= services; });
    });
  }
  bool WaitFor(const std::string& service, uint64_t generation, absl::Duration patience) {
    return Wait(patience, [&] {
      return std::all_of(known_.begin(), known_.end(),
                         [&](auto& known) { return known[service] >= generation; });
    });
  }
  // How many Services each follower knows, and what it knows of one.
  std::string Report(const std::string& service) {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (size_t i = 0; i < kFollowers.size(); ++i) {
      absl::StrAppend(&text, "; ", kFollowers[i], ": ", known_[i].size(), " services, ", service,
                      " at ", known_[i][service]);
    }
    return text;
  }

 private:
  template <typename Condition>
  bool Wait(absl::Duration patience, Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoNanoseconds(patience), condition);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<std::map<std::string, uint64_t>, kFollowers.size()> known_;
  absl::Time latest_ = absl::Now();
};

void Follow(const std::string& run_dir, size_t follower, Board& board,
            grpc::ClientContext& context) {
  const auto stub = stream::v1alpha1::Stream::NewStub(Open(run_dir, kFollowers[follower]));
  stream::v1alpha1::WatchRequest request;
  request.set_type(status::v1alpha1::ObjectStatus::descriptor()->full_name());
  const auto stream = stub->Watch(&context, request);
  stream::v1alpha1::WatchResponse response;
  while (stream->Read(&response)) {
    for (const stream::v1alpha1::Change& change : response.changes()) {
      status::v1alpha1::ObjectStatus status;
      if (!change.has_value() || !change.value().UnpackTo(&status)) continue;
      if (status.kind() == "service") board.Set(follower, status.key(), status.generation());
    }
  }
}

class Editor {
 public:
  explicit Editor(const std::string& run_dir)
      : stub_(config::v1alpha1::Config::NewStub(Open(run_dir, "config-service"))) {}

  // Its revision is the Service's new generation.
  uint64_t SetLabel(int service, int round) {
    config::v1alpha1::EditRequest request;
    request.set_operation(config::v1alpha1::EDIT_OPERATION_MERGE);
    request.set_format(config::v1alpha1::FORMAT_JSON);
    request.set_take_over(true);  // from the file that the services were started with
    request.set_data(absl::StrCat(
        R"({"portolan-service:services": {"service": [{"namespace": "default", "name": "s)",
        service, R"(", "label": [{"key": "round", "value": "r)", round, R"("}]}]}})"));
    config::v1alpha1::EditResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub_->Apply(&context, request, &response);
    if (!status.ok()) Fail(status.error_message());
    if (!response.problems().empty()) Fail(response.problems(0).message());
    return response.revision();
  }

 private:
  std::unique_ptr<config::v1alpha1::Config::Stub> stub_;
};

void Print(const char* figure, std::vector<double>& values, size_t percent) {
  std::sort(values.begin(), values.end());
  std::printf("{\"figure\": \"%s\", \"value\": %.4g, \"unit\": \"ms\"}\n", figure,
              values[values.size() * percent / 100]);
}

void Run(const std::string& run_dir, int services, int edits, Board& board) {
  if (!board.WaitForAll(services, kFirst)) {
    Fail(absl::StrCat("not every Service is known everywhere", board.Report("default/s0")));
  }
  if (!board.WaitForQuiet(kFirst)) Fail("the services do not come to rest");
  Editor editor(run_dir);
  std::vector<double> committed;
  std::vector<double> in_force;
  for (int i = 0; i < edits; ++i) {
    const int service = i * 97 % services;
    const std::string key = absl::StrCat("default/s", service);
    const absl::Time start = absl::Now();
    const uint64_t revision = editor.SetLabel(service, i + 1);
    committed.push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
    if (!board.WaitFor(key, revision, kEach)) {
      Fail(absl::StrCat("revision ", revision, " of ", key, " is not everywhere",
                        board.Report(key)));
    }
    in_force.push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
  }
  Print("commit_beside_services_p99_ms", committed, 99);
  Print("in_force_p50_ms", in_force, 50);
  Print("in_force_p99_ms", in_force, 99);
}

int Main(const std::string& run_dir, int services, int edits) {
  Board board;
  std::array<grpc::ClientContext, kFollowers.size()> contexts;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kFollowers.size(); ++i) {
    threads.emplace_back([&, i] { Follow(run_dir, i, board, contexts[i]); });
  }
  Run(run_dir, services, edits, board);
  for (grpc::ClientContext& context : contexts) context.TryCancel();
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace portolan

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: in_force RUN_DIR SERVICES EDITS\n");
    return 2;
  }
  return portolan::Main(argv[1], std::atoi(argv[2]), std::atoi(argv[3]));
}
