#include "services/base/wire/reader.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

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

// One Watch call. Each response is handed to the loop and the next read starts when the loop has
// taken it: a busy loop slows the stream, it does not pile up messages.
class Call : public grpc::ClientReadReactor<WatchResponse> {
 public:
  Call(Stream::Stub* stub, const WatchRequest& request, std::function<void(Call*)> on_response,
       std::function<void(Call*, grpc::Status)> on_done)
      : request_(request), on_response_(std::move(on_response)), on_done_(std::move(on_done)) {
    context_.set_wait_for_ready(true);
    stub->async()->Watch(&context_, &request_, this);
    StartRead(&response_);
    // The loop starts reads from outside the reactions: the call must not end in between.
    AddHold();
    StartCall();
  }

  WatchResponse& response() { return response_; }
  void ReadNext() { StartRead(&response_); }
  void Cancel() { context_.TryCancel(); }
  void Release() {
    if (!std::exchange(released_, true)) RemoveHold();
  }
  void WaitUntilDone() { done_.WaitForNotification(); }

  void OnReadDone(bool ok) override {
    if (ok) {
      on_response_(this);
    } else {
      on_done_(this, grpc::Status::OK);  // the loop releases the hold; OnDone() follows
    }
  }
  void OnDone(const grpc::Status&) override { done_.Notify(); }

 private:
  WatchRequest request_;
  WatchResponse response_;
  grpc::ClientContext context_;
  std::function<void(Call*)> on_response_;
  std::function<void(Call*, grpc::Status)> on_done_;
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
      return [loop, weak, index, method](Call* call, auto&&...) {
        loop->Post([weak, index, call, method] {
          // A closed reader has waited for its call; `call` is alive only while the state is.
          const auto state = weak.lock();
          if (state != nullptr && state->links_[index].call.get() == call) {
            (state.get()->*method)(index);
          }
        });
      };
    };
    link.call = std::make_unique<Call>(link.stub.get(), request, post(&State::OnResponse),
                                       post(&State::OnEnd));
  }

  void OnResponse(size_t index) {
    // The handlers may destroy the reader: hold on to the state, and look again before reading on.
    const auto self = shared_from_this();
    Call* const call = links_[index].call.get();
    const WatchResponse response = std::move(call->response());
    if (!Follow(index, response)) {
      End(links_[index]);
      return Retry(index);
    }
    Deliver(response);
    if (links_[index].call.get() == call) call->ReadNext();
  }

  // Whether to listen to this one. What the one before said stays until the sync mark.
  bool Follow(size_t index, const WatchResponse& response) {
    const bool heard = speaker_ != kNobody;
    if (response.term() < term_ || (heard && index > speaker_ && response.term() == term_)) {
      return false;
    }
    // It resumes what we have from somebody else by now.
    if (index != source_ && !response.reset()) return false;
    links_[index].retry = kFirstRetry;
    term_ = response.term();
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

  void Deliver(const WatchResponse& response) {
    if (response.reset()) stale_.merge(known_), known_.clear();
    for (const auto& change : response.changes()) {
      if (change.has_value()) {
        stale_.erase(change.key());
        known_.insert(change.key());
        handlers_.on_upsert(change.key(), change.value());
      } else if (known_.erase(change.key()) + stale_.erase(change.key()) > 0) {
        handlers_.on_remove(change.key());
      }
    }
    epoch_ = response.epoch();
    revision_ = response.revision();
    if (!response.synced()) return;
    // In the order of keys, so that what follows does not depend on chance.
    const std::set<std::string> gone(stale_.begin(), stale_.end());
    stale_.clear();
    for (const std::string& key : gone) handlers_.on_remove(key);
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
  absl::flat_hash_set<std::string> known_;
  absl::flat_hash_set<std::string> stale_;  // of the snapshot before; not yet seen in the new one
};

Reader::Reader(Loop* loop, const Channels& channels, std::string type, RawHandlers handlers)
    : state_(std::make_shared<State>(loop, channels, type, std::move(handlers))) {
  state_->OpenAll();
}

Reader::~Reader() { state_->Close(); }

}  // namespace portolan::wire
