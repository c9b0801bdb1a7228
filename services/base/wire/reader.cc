#include "services/base/wire/reader.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"

namespace portolan::wire {
namespace {

using stream::v1alpha1::Stream;
using stream::v1alpha1::WatchRequest;
using stream::v1alpha1::WatchResponse;

constexpr absl::Duration kFirstRetry = absl::Milliseconds(50);
constexpr absl::Duration kMaxRetry = absl::Seconds(1);

// So many responses may have arrived before the loop takes them.
constexpr size_t kMaxAhead = 2;

// One response as the loop takes it.
struct Arrival {
  struct Change {
    std::string key;
    bool has_value = false;
  };

  Arrival() = default;
  Arrival(WatchResponse& response, std::unique_ptr<Values> decoded)
      : term(response.term()),
        revision(response.revision()),
        reset(response.reset()),
        synced(response.synced()),
        epoch(response.epoch()),
        values(std::move(decoded)) {
    changes.reserve(static_cast<size_t>(response.changes_size()));
    for (auto& change : *response.mutable_changes()) {
      changes.push_back({std::move(*change.mutable_key()), change.has_value()});
    }
  }

  uint64_t term = 0;
  uint64_t revision = 0;
  bool reset = false;
  bool synced = false;
  std::string epoch;
  std::vector<Change> changes;
  std::unique_ptr<Values> values;
};

// One Watch call. Each response is handed to the loop. While kMaxAhead of them wait there, no more
// are read: a busy loop slows the stream, it does not pile up messages.
class Call : public grpc::ClientReadReactor<WatchResponse> {
 public:
  using Decode = std::function<std::unique_ptr<Values>(const WatchResponse&)>;

  Call(Stream::Stub* stub, const WatchRequest& request, Decode decode,
       std::function<void(Call*)> on_response, std::function<void(Call*)> on_end)
      : request_(request),
        decode_(std::move(decode)),
        on_response_(std::move(on_response)),
        on_end_(std::move(on_end)) {
    context_.set_wait_for_ready(true);
    stub->async()->Watch(&context_, &request_, this);
    StartRead(&response_);
    // The loop starts reads from outside the reactions: the call must not end in between.
    AddHold();
    StartCall();
  }

  // The response that came first. Once for each time that `on_response` was called.
  Arrival Take() {
    Arrival arrival;
    bool read = false;
    {
      absl::MutexLock lock(&mutex_);
      arrival = std::move(arrived_.front());
      arrived_.pop_front();
      read = std::exchange(paused_, false);
    }
    if (read) StartRead(&response_);
    return arrival;
  }
  void Cancel() { context_.TryCancel(); }
  void Release() {
    if (!std::exchange(released_, true)) RemoveHold();
  }
  void WaitUntilDone() { done_.WaitForNotification(); }

  void OnReadDone(bool ok) override {
    if (!ok) return on_end_(this);  // the loop releases the hold; OnDone() follows
    Arrival arrival(response_, decode_(response_));
    bool read = false;
    {
      absl::MutexLock lock(&mutex_);
      arrived_.push_back(std::move(arrival));
      read = arrived_.size() < kMaxAhead;
      paused_ = !read;
    }
    on_response_(this);
    if (read) StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override { done_.Notify(); }

 private:
  WatchRequest request_;
  WatchResponse response_;  // that is being read
  grpc::ClientContext context_;
  const Decode decode_;
  std::function<void(Call*)> on_response_;
  std::function<void(Call*)> on_end_;
  absl::Mutex mutex_;
  std::deque<Arrival> arrived_ ABSL_GUARDED_BY(mutex_);
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;  // no read is outstanding, Take() starts the next
  bool released_ = false;
  absl::Notification done_;
};

}  // namespace

// Lives on the loop's thread, but for what Call posts.
class Reader::State : public std::enable_shared_from_this<State> {
 public:
  State(Loop* loop, const Channels& channels, const std::string& type, RawHandlers handlers)
      : loop_(loop), type_(type), handlers_(std::move(handlers)) {
    for (const std::shared_ptr<grpc::Channel>& channel : channels.all()) {
      links_.push_back({.stub = Stream::NewStub(channel)});
    }
  }

  void OpenAll() {
    for (size_t i = 0; i < links_.size(); ++i) Open(i);
  }

  void Close() {
    closed_ = true;
    for (Link& link : links_) {
      if (link.retry_timer != 0) loop_->Cancel(link.retry_timer);
      End(link);
    }
  }

 private:
  // One publisher.
  struct Link {
    std::unique_ptr<Stream::Stub> stub;
    std::unique_ptr<Call> call;
    absl::Duration retry = kFirstRetry;
    Loop::TimerId retry_timer = 0;
  };
  static constexpr size_t kNobody = SIZE_MAX;

  void Open(size_t index) {
    Link& link = links_[index];
    link.retry_timer = 0;
    WatchRequest request;
    request.set_type(type_);
    if (index == source_) {
      request.set_epoch(epoch_);
      request.set_revision(revision_);
    }
    std::weak_ptr<State> weak = weak_from_this();
    Loop* loop = loop_;
    const auto post = [loop, weak, index](auto method) {
      return [loop, weak, index, method](Call* call) {
        loop->Post([weak, index, call, method] {
          // A closed reader has waited for its call; `call` is alive only while the state is.
          const auto state = weak.lock();
          if (state != nullptr && state->links_[index].call.get() == call) {
            (state.get()->*method)(index);
          }
        });
      };
    };
    link.call = std::make_unique<Call>(link.stub.get(), request, handlers_.decode,
                                       post(&State::OnResponse), post(&State::OnEnd));
  }

  void OnResponse(size_t index) {
    const auto self = shared_from_this();  // the handlers may destroy the reader
    Arrival arrival = links_[index].call->Take();
    if (!Follow(index, arrival)) {
      End(links_[index]);
      return Retry(index);
    }
    Deliver(arrival);
  }

  // Whether to listen to this one. What the one before said stays until the sync mark.
  bool Follow(size_t index, const Arrival& arrival) {
    const bool heard = speaker_ != kNobody;
    if (arrival.term < term_ || (heard && index > speaker_ && arrival.term == term_)) {
      return false;
    }
    // It resumes what we have from somebody else by now.
    if (index != source_ && !arrival.reset) return false;
    links_[index].retry = kFirstRetry;
    term_ = arrival.term;
    if (index == speaker_) return true;
    const size_t before = std::exchange(speaker_, index);
    source_ = index;
    if (before != kNobody) {
      End(links_[before]);
      Retry(before);
    }
    if (!heard && handlers_.on_connected) handlers_.on_connected(true);
    return true;
  }

  void Deliver(Arrival& arrival) {
    if (arrival.reset) stale_.merge(known_), known_.clear();
    for (size_t i = 0; i < arrival.changes.size() && !closed_; ++i) {
      Arrival::Change& change = arrival.changes[i];
      const bool was_stale = !stale_.empty() && stale_.erase(change.key) > 0;
      if (change.has_value) {
        const std::string& key = *known_.insert(std::move(change.key)).first;
        if (void* value = arrival.values->At(i)) handlers_.on_upsert(key, value);
      } else if (known_.erase(change.key) > 0 || was_stale) {
        handlers_.on_remove(change.key);
      }
    }
    epoch_ = std::move(arrival.epoch);
    revision_ = arrival.revision;
    if (!arrival.synced || closed_) return;
    // In the order of keys, so that what follows does not depend on chance.
    const std::set<std::string> gone(stale_.begin(), stale_.end());
    stale_.clear();
    for (const std::string& key : gone) {
      handlers_.on_remove(key);
      if (closed_) return;
    }
    if (handlers_.on_synced) handlers_.on_synced();
  }

  void OnEnd(size_t index) {
    const auto self = shared_from_this();
    End(links_[index]);
    Retry(index);
    if (index != speaker_) return;
    speaker_ = kNobody;
    if (handlers_.on_connected) handlers_.on_connected(false);
  }

  void End(Link& link) {
    if (link.call == nullptr) return;
    link.call->Cancel();
    link.call->Release();
    link.call->WaitUntilDone();
    link.call.reset();
  }

  void Retry(size_t index) {
    Link& link = links_[index];
    link.retry_timer = loop_->RunAfter(link.retry, [weak = weak_from_this(), index] {
      if (const auto state = weak.lock()) state->Open(index);
    });
    link.retry = std::min(link.retry * 2, kMaxRetry);
  }

  Loop* const loop_;
  const std::string type_;
  const RawHandlers handlers_;
  std::vector<Link> links_;
  size_t speaker_ = kNobody;  // whom we listen to
  size_t source_ = kNobody;   // who said what we know: the position is in its table
  std::string epoch_;
  uint64_t revision_ = 0;
  uint64_t term_ = 0;
  bool closed_ = false;
  absl::flat_hash_set<std::string> known_;
  absl::flat_hash_set<std::string> stale_;  // of the snapshot before; not yet seen in the new one
};

Reader::Reader(Loop* loop, const Channels& channels, std::string type, RawHandlers handlers)
    : state_(std::make_shared<State>(loop, channels, type, std::move(handlers))) {
  state_->OpenAll();
}

Reader::~Reader() { state_->Close(); }

}  // namespace portolan::wire
