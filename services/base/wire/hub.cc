#include "services/base/wire/hub.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"
#include "services/base/rng/rng.h"
#include "services/base/wire/stream_table.h"

namespace portolan::wire {

using stream::v1alpha1::WatchRequest;

namespace {

// When changes come faster than they are sent, those of so long go out together: a response costs
// what dozens of changes cost.
const gpr_timespec kGatherTime = gpr_time_from_millis(1, GPR_TIMESPAN);

// The bytes become the message without another copy.
grpc::ByteBuffer ToByteBuffer(std::string bytes) {
  auto* owned = new std::string(std::move(bytes));
  const grpc::Slice slice(
      owned->data(), owned->size(), [](void* text) { delete static_cast<std::string*>(text); },
      owned);
  return {&slice, 1};
}

class Session;

// Wakes the sessions that wait, on a thread of its own: whoever publishes is not held up by the
// number of its readers, and changes that come meanwhile go out together.
class Courier {
 public:
  ~Courier() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    if (thread_.joinable()) thread_.join();
  }
  void Add(std::weak_ptr<Session> session) {
    absl::MutexLock lock(&mutex_);
    // Not before it is needed: a process blocks its signals after it has made its hub, and a
    // thread from before would take them.
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
    sessions_.push_back(std::move(session));
  }

 private:
  void Run();

  absl::Mutex mutex_;
  std::vector<std::weak_ptr<Session>> sessions_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// One running Watch. gRPC calls it from its own threads; a table wakes it from a writer's thread.
class Session : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                public Waker,
                public std::enable_shared_from_this<Session> {
 public:
  Session(Courier* courier, StreamTable* table, const WatchRequest& request)
      : courier_(courier),
        table_(table),
        position_(table->Begin(request)),
        snapshot_only_(request.snapshot_only()) {}

  // Keeps the session alive until gRPC says that it is done with it.
  void Start() {
    self_ = shared_from_this();
    table_->CountReader(1);
    Pump();
  }

  void Wake() override { courier_->Add(weak_from_this()); }

  // Goes on after a wait.
  void Resume() {
    {
      absl::MutexLock lock(&mutex_);
      if (state_ != State::kWaiting) return;
      state_ = State::kBusy;
    }
    Pump();
  }

  void End(const grpc::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      ended_ = true;
      if (state_ != State::kWaiting) return;  // whoever is busy will see it
      state_ = State::kFinished;
    }
    Finish(status);
  }

  void OnWriteDone(bool ok) override {
    const auto self = shared_from_this();
    bool gathers = false;
    {
      absl::MutexLock lock(&mutex_);
      if (!ok) ended_ = true;
      gathers = position_.crowded && !ended_;
      if (gathers) state_ = State::kWaiting;
    }
    if (gathers) {
      ResumeLater();
    } else {
      Pump();
    }
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override {
    table_->CountReader(-1);
    self_.reset();
  }

 private:
  enum class State { kBusy, kWaiting, kFinished };

  void ResumeLater() {
    const gpr_timespec at = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), kGatherTime);
    alarm_.Set(at, [weak = weak_from_this()](bool) {
      if (const std::shared_ptr<Session> session = weak.lock()) session->Resume();
    });
  }

  // Sends what is new, or waits. Only the one who holds kBusy calls it.
  void Pump() {
    const bool snapshot_done = snapshot_only_ && position_.synced_sent;
    bool has_more = false;
    std::string bytes;
    {
      absl::MutexLock lock(&mutex_);
      if (ended_ || snapshot_done) {
        state_ = State::kFinished;
      } else {
        // Under our lock: a Resume() that comes right after Read() must find kWaiting.
        has_more = table_->Read(position_, bytes, weak_from_this());
        if (!has_more) state_ = position_.ended ? State::kFinished : State::kWaiting;
      }
      if (state_ == State::kWaiting) return;
    }
    if (has_more) {
      response_ = ToByteBuffer(std::move(bytes));
      StartWrite(&response_);
    } else if (position_.ended) {
      Finish({grpc::StatusCode::UNAVAILABLE, table_->closed().value_or("published anew")});
    } else {
      Finish(snapshot_done ? grpc::Status::OK : grpc::Status::CANCELLED);
    }
  }

  Courier* const courier_;
  StreamTable* const table_;
  Position position_;
  const bool snapshot_only_;
  grpc::ByteBuffer response_;
  grpc::Alarm alarm_;
  absl::Mutex mutex_;
  State state_ = State::kBusy;
  bool ended_ = false;
  std::shared_ptr<Session> self_;
};

void Courier::Run() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !sessions_.empty();
  };
  for (;;) {
    std::vector<std::weak_ptr<Session>> sessions;
    {
      absl::MutexLock lock(&mutex_, absl::Condition(&has_work));
      if (stopping_) return;
      sessions.swap(sessions_);
    }
    for (const std::weak_ptr<Session>& weak : sessions) {
      if (const std::shared_ptr<Session> session = weak.lock()) session->Resume();
    }
  }
}

class Refusal : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

// Raw: tables hold what is sent in serialized form.
class Hub::StreamService : public stream::v1alpha1::Stream::WithRawCallbackMethod_Watch<
                               stream::v1alpha1::Stream::Service> {
 public:
  explicit StreamService(Hub* hub) : hub_(hub) {}

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(grpc::CallbackServerContext*,
                                                    const grpc::ByteBuffer* message) override {
    WatchRequest request;
    grpc::ByteBuffer bytes = *message;  // parsing consumes its own
    const grpc::Status parsed =
        grpc::SerializationTraits<WatchRequest>::Deserialize(&bytes, &request);
    if (!parsed.ok())
      return new Refusal({grpc::StatusCode::INVALID_ARGUMENT, parsed.error_message()});
    StreamTable* table = hub_->Find(request.type());
    if (table == nullptr) {
      return new Refusal({grpc::StatusCode::NOT_FOUND,
                          absl::StrCat("this process does not publish ", request.type())});
    }
    if (const std::optional<std::string> why = table->closed()) {
      return new Refusal({grpc::StatusCode::UNAVAILABLE, *why});
    }
    auto session = std::make_shared<Session>(&courier_, table, request);
    {
      absl::MutexLock lock(&mutex_);
      if (shut_down_) return new Refusal({grpc::StatusCode::UNAVAILABLE, "shutting down"});
      std::erase_if(sessions_, [](const std::weak_ptr<Session>& s) { return s.expired(); });
      sessions_.push_back(session);
    }
    session->Start();
    return session.get();
  }

  void Shutdown() {
    std::vector<std::weak_ptr<Session>> sessions;
    {
      absl::MutexLock lock(&mutex_);
      shut_down_ = true;
      sessions.swap(sessions_);
    }
    for (const std::weak_ptr<Session>& weak : sessions) {
      if (const auto session = weak.lock()) {
        session->End({grpc::StatusCode::UNAVAILABLE, "shutting down"});
      }
    }
  }

 private:
  Hub* const hub_;
  absl::Mutex mutex_;
  bool shut_down_ = false;
  std::vector<std::weak_ptr<Session>> sessions_;
  Courier courier_;
};

void Writer::Upsert(absl::string_view key, const google::protobuf::Message& value) {
  table_->Upsert(key, value);
}
void Writer::Remove(absl::string_view key) { table_->Remove(key); }
void Writer::MarkSynced() { table_->MarkSynced(id_); }
void Writer::Close(absl::string_view why) { table_->Close(std::string(why)); }
void Writer::Open(uint64_t term) { table_->Open(term); }
Writer::~Writer() {
  if (table_ != nullptr) table_->RemoveWriter(id_);
}

Hub::Hub() : service_(std::make_unique<StreamService>(this)) {}
Hub::~Hub() { Shutdown(); }

grpc::Service* Hub::service() { return service_.get(); }
void Hub::Shutdown() { service_->Shutdown(); }

std::vector<StreamFigures> Hub::Figures() const {
  std::vector<StreamFigures> figures;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [type, table] : tables_) {
      figures.push_back(table->Figures());
      figures.back().type = type;
    }
  }
  std::sort(figures.begin(), figures.end(),
            [](const StreamFigures& a, const StreamFigures& b) { return a.type < b.type; });
  return figures;
}

Writer Hub::NewWriter(const std::string& type) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<StreamTable>& table = tables_[type];
  if (table == nullptr) {
    table = std::make_unique<StreamTable>(absl::StrFormat("%016x", RandomSeed()));
  }
  return Writer(table.get(), table->AddWriter());
}

StreamTable* Hub::Find(const std::string& type) {
  absl::MutexLock lock(&mutex_);
  const auto it = tables_.find(type);
  return it == tables_.end() ? nullptr : it->second.get();
}

}  // namespace portolan::wire
