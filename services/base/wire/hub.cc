#include "services/base/wire/hub.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"
#include "services/base/rng/rng.h"
#include "services/base/wire/stream_table.h"

namespace portolan::wire {

using stream::v1alpha1::WatchRequest;
using stream::v1alpha1::WatchResponse;

namespace {

// One running Watch. gRPC calls it from its own threads; a table wakes it from a writer's thread.
class Session : public grpc::ServerWriteReactor<WatchResponse>,
                public Waker,
                public std::enable_shared_from_this<Session> {
 public:
  Session(StreamTable* table, const WatchRequest& request)
      : table_(table), position_(table->Begin(request)), snapshot_only_(request.snapshot_only()) {}

  // Keeps the session alive until gRPC says that it is done with it.
  void Start() {
    self_ = shared_from_this();
    Pump();
  }

  void Wake() override {
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
    {
      absl::MutexLock lock(&mutex_);
      if (!ok) ended_ = true;
    }
    Pump();
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override { self_.reset(); }

 private:
  enum class State { kBusy, kWaiting, kFinished };

  // Sends what is new, or waits. Only the one who holds kBusy calls it.
  void Pump() {
    const bool snapshot_done = snapshot_only_ && position_.synced_sent;
    bool has_more = false;
    {
      absl::MutexLock lock(&mutex_);
      if (ended_ || snapshot_done) {
        state_ = State::kFinished;
      } else {
        // Under our lock: a Wake() that comes right after Read() must find kWaiting.
        has_more = table_->Read(position_, response_, weak_from_this());
        if (!has_more) state_ = position_.ended ? State::kFinished : State::kWaiting;
      }
      if (state_ == State::kWaiting) return;
    }
    if (has_more) {
      StartWrite(&response_);
    } else if (position_.ended) {
      Finish({grpc::StatusCode::UNAVAILABLE, table_->closed().value_or("published anew")});
    } else {
      Finish(snapshot_done ? grpc::Status::OK : grpc::Status::CANCELLED);
    }
  }

  StreamTable* const table_;
  Position position_;
  const bool snapshot_only_;
  WatchResponse response_;
  absl::Mutex mutex_;
  State state_ = State::kBusy;
  bool ended_ = false;
  std::shared_ptr<Session> self_;
};

class Refusal : public grpc::ServerWriteReactor<WatchResponse> {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

class Hub::StreamService : public stream::v1alpha1::Stream::CallbackService {
 public:
  explicit StreamService(Hub* hub) : hub_(hub) {}

  grpc::ServerWriteReactor<WatchResponse>* Watch(grpc::CallbackServerContext*,
                                                 const WatchRequest* request) override {
    StreamTable* table = hub_->Find(request->type());
    if (table == nullptr) {
      return new Refusal({grpc::StatusCode::NOT_FOUND,
                          absl::StrCat("this process does not publish ", request->type())});
    }
    if (const std::optional<std::string> why = table->closed()) {
      return new Refusal({grpc::StatusCode::UNAVAILABLE, *why});
    }
    auto session = std::make_shared<Session>(table, *request);
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
};

void Writer::Upsert(absl::string_view key, const google::protobuf::Message& value) {
  table_->Upsert(key, value);
}
void Writer::Remove(absl::string_view key) { table_->Remove(key); }
void Writer::MarkSynced() { table_->MarkSynced(id_); }
void Writer::Close(absl::string_view why) { table_->Close(std::string(why)); }
void Writer::Open(uint64_t term) { table_->Open(term); }
Writer::~Writer() {
  if (table_ != nullptr) table_->MarkSynced(id_);
}

Hub::Hub() : service_(std::make_unique<StreamService>(this)) {}
Hub::~Hub() { Shutdown(); }

grpc::Service* Hub::service() { return service_.get(); }
void Hub::Shutdown() { service_->Shutdown(); }

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
