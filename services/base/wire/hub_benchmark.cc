// What it takes to tell many subscribers, one JSON object a line:
//   {"figure":"fanout_100k_x200_s","value":6.2,"unit":"s"}
//
//   hub_benchmark DIRECTORY     for the socket; the caller removes it afterwards
//
// This process publishes 100,000 keys of the size of an allocation and changes all of them, as fast
// as it can. Its 200 subscribers are streams in one other process, each on a connection of its own
// to a UNIX socket. They count the changes and look at none: the publisher is measured.
//
//   fanout_100k_x200_s           from the first change until the last subscriber has had all
//   100,000
//                                (the latest of a key counts, and no key changes twice in a round)
//   fanout_100k_x200_cpu_s       processor time of the publishing process for that
//   fanout_publish_100k_s        until the publisher itself was through, while it had 200 readers
//   fanout_stalled_peer_ratio    time of the 200 with one more that never reads, over that without.
//                                Two rounds of each, after a first one (the snapshot) to warm up.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/server.h"

namespace portolan::wire {
namespace {

using google::protobuf::internal::WireFormatLite;
using intent::v1alpha1::ServiceIntent;
using stream::v1alpha1::WatchRequest;
using stream::v1alpha1::WatchResponse;

constexpr int kSubscribers = 200;
constexpr int kKeys = 100'000;
constexpr char kAwaitAll = 'a';
constexpr char kStallOne = 's';
constexpr absl::Duration kDeadline = absl::Minutes(4);

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "hub_benchmark: %s\n", message.c_str());
  std::_Exit(1);
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double ProcessorSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// How many changes a serialized response has.
int CountChanges(grpc::ByteBuffer& bytes) {
  grpc::ProtoBufferReader reader(&bytes);
  google::protobuf::io::CodedInputStream input(&reader);
  int changes = 0;
  while (const uint32_t tag = input.ReadTag()) {
    if (WireFormatLite::GetTagFieldNumber(tag) == WatchResponse::kChangesFieldNumber) ++changes;
    if (!WireFormatLite::SkipField(&input, tag)) Die("a response that cannot be read");
  }
  return changes;
}

// How many subscribers have had all changes of the round.
class Progress {
 public:
  void Finished() {
    absl::MutexLock lock(&mutex_);
    ++finished_;
  }
  // And begins a new round.
  void AwaitAll(int subscribers) {
    absl::MutexLock lock(&mutex_);
    const auto all = [&]()
                         ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return finished_ == subscribers; };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&all), kDeadline)) {
      Die(absl::StrCat("only ", finished_, " subscribers have everything"));
    }
    finished_ = 0;
  }

 private:
  absl::Mutex mutex_;
  int finished_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One stream on a connection of its own.
class Subscriber : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // `progress` null: it never reads.
  Subscriber(const std::string& address, Progress* progress) : progress_(progress) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    const auto channel =
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    const auto soon = std::chrono::system_clock::now() + std::chrono::seconds(30);
    if (!channel->WaitForConnected(soon)) Die("cannot connect");
    stub_ = std::make_unique<grpc::GenericStub>(channel);
    WatchRequest watch;
    watch.set_type(ServiceIntent::descriptor()->full_name());
    bool own_buffer = false;
    if (!grpc::SerializationTraits<WatchRequest>::Serialize(watch, &request_, &own_buffer).ok()) {
      Die("cannot ask");
    }
    stub_->PrepareBidiStreamingCall(&context_, "/portolan.stream.v1alpha1.Stream/Watch", {}, this);
    StartWriteLast(&request_, {});
    if (progress_ != nullptr) StartRead(&response_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) Die("a stream ended");
    changes_ += CountChanges(response_);
    StartRead(&response_);
    if (changes_ > kKeys) Die("more changes than were made");
    if (changes_ < kKeys) return;
    changes_ = 0;
    progress_->Finished();
  }

 private:
  Progress* const progress_;
  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  int changes_ = 0;
};

// The other process: does what it reads from `in`, and answers on `out` when it is done.
[[noreturn]] void Subscribe(const std::string& address, int in, int out) {
  Progress progress;
  std::vector<std::unique_ptr<Subscriber>> subscribers;
  for (int i = 0; i < kSubscribers; ++i) {
    subscribers.push_back(std::make_unique<Subscriber>(address, &progress));
  }
  for (char order = 0; read(in, &order, 1) == 1;) {
    if (order == kStallOne) {
      subscribers.push_back(std::make_unique<Subscriber>(address, nullptr));
    } else {
      progress.AwaitAll(kSubscribers);
    }
    if (write(out, &order, 1) != 1) break;
  }
  std::_Exit(0);
}

class Publisher {
 public:
  Publisher(const std::string& address, int order, int answer) : order_(order), answer_(answer) {
    writer_.MarkSynced();
    auto server = Server::Start(address, {hub_.service()});
    if (!server.ok()) Die(server.status().ToString());
    server_ = *std::move(server);
  }
  ~Publisher() { hub_.Shutdown(); }

  struct Round {
    double publish_s = 0;
    double all_s = 0;
    double processor_s = 0;
  };
  // Changes every key and waits until all subscribers know.
  Round ChangeAll() {
    ++generation_;
    const double start = Now();
    const double processor_start = ProcessorSeconds();
    for (int i = 0; i < kKeys; ++i) {
      ServiceIntent value;
      value.set_key(absl::StrCat("namespace-", i % 1000, "/service-", i));
      value.set_generation(generation_);
      (*value.mutable_labels())["app"] = absl::StrCat("app-", i);
      (*value.mutable_labels())["team"] = absl::StrCat("team-", i % 100);
      writer_.Upsert(value.key(), value);
    }
    const double published = Now();
    Order(kAwaitAll);
    return {published - start, Now() - start, ProcessorSeconds() - processor_start};
  }
  void Order(char what) {
    char answer = 0;
    if (write(order_, &what, 1) != 1 || read(answer_, &answer, 1) != 1) {
      Die("the subscribers are gone");
    }
  }

 private:
  const int order_;
  const int answer_;
  uint64_t generation_ = 0;
  Hub hub_;
  Writer writer_ = hub_.NewWriter<ServiceIntent>();
  std::unique_ptr<Server> server_;
};

void Print(const char* figure, double value, const char* unit) {
  std::printf("{\"figure\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n", figure, value, unit);
  std::fflush(stdout);
}

void Measure(Publisher& publisher) {
  publisher.ChangeAll();
  const Publisher::Round first = publisher.ChangeAll();
  const Publisher::Round second = publisher.ChangeAll();
  const double without_s = (first.all_s + second.all_s) / 2;
  publisher.Order(kStallOne);
  const double with_s = (publisher.ChangeAll().all_s + publisher.ChangeAll().all_s) / 2;
  Print("fanout_100k_x200_s", without_s, "s");
  Print("fanout_100k_x200_cpu_s", (first.processor_s + second.processor_s) / 2, "s");
  Print("fanout_publish_100k_s", (first.publish_s + second.publish_s) / 2, "s");
  Print("fanout_stalled_peer_ratio", with_s / without_s, "ratio");
}

void Run(const std::string& directory) {
  const std::string address = absl::StrCat("unix:", directory, "/hub.sock");
  int orders[2], answers[2];
  if (pipe(orders) != 0 || pipe(answers) != 0) Die("no pipe");
  const pid_t subscribers = fork();
  if (subscribers == 0) {
    close(orders[1]);
    Subscribe(address, orders[0], answers[1]);
  }
  close(answers[1]);
  Publisher publisher(address, orders[1], answers[0]);
  Measure(publisher);
  // Before the streams end, which subscribers take for a failure.
  kill(subscribers, SIGKILL);
  waitpid(subscribers, nullptr, 0);
}

}  // namespace
}  // namespace portolan::wire

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: hub_benchmark DIRECTORY\n");
    return 2;
  }
  portolan::wire::Run(argv[1]);
  return 0;
}
