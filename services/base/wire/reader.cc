#include "services/base/wire/reader.h"

#include <grpcpp/grpcpp.h>

#include <set>
#include <utility>

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
  State(Loop* loop, const std::shared_ptr<grpc::Channel>& channel, std::string type,
        RawHandlers handlers)
      : loop_(loop), stub_(Stream::NewStub(channel)), handlers_(std::move(handlers)) {
    request_.set_type(std::move(type));
  }

  void Open() {
    retry_timer_ = 0;
    std::weak_ptr<State> weak = weak_from_this();
    Loop* loop = loop_;
    const auto post = [loop, weak](auto method) {
      return [loop, weak, method](Call* call, auto&&...) {
        loop->Post([weak, call, method] {
          // A closed reader has waited for its call; `call` is alive only while the state is.
          if (const auto state = weak.lock(); state != nullptr && state->call_.get() == call) {
            (state.get()->*method)();
          }
        });
      };
    };
    call_ = std::make_unique<Call>(stub_.get(), request_, post(&State::OnResponse),
                                   post(&State::OnEnd));
  }

  void Close() {
    if (retry_timer_ != 0) loop_->Cancel(retry_timer_);
    if (call_ == nullptr) return;
    call_->Cancel();
    call_->Release();
    call_->WaitUntilDone();
    call_.reset();
  }

 private:
  void OnResponse() {
    // The handlers may destroy the reader: hold on to the state, and look again before reading on.
    const auto self = shared_from_this();
    const WatchResponse response = std::move(call_->response());
    Call* const call = call_.get();
    if (!connected_) {
      connected_ = true;
      retry_ = kFirstRetry;
      if (handlers_.on_connected) handlers_.on_connected(true);
    }
    Deliver(response);
    if (call_.get() == call) call_->ReadNext();
  }

  void Deliver(const WatchResponse& response) {
    if (response.reset()) stale_.swap(known_), known_.clear();
    for (const auto& change : response.changes()) {
      if (change.has_value()) {
        stale_.erase(change.key());
        known_.insert(change.key());
        handlers_.on_upsert(change.key(), change.value());
      } else if (known_.erase(change.key()) + stale_.erase(change.key()) > 0) {
        handlers_.on_remove(change.key());
      }
    }
    request_.set_epoch(response.epoch());
    request_.set_revision(response.revision());
    if (!response.synced()) return;
    // In the order of keys, so that what follows does not depend on chance.
    const std::set<std::string> gone(stale_.begin(), stale_.end());
    stale_.clear();
    for (const std::string& key : gone) handlers_.on_remove(key);
    if (handlers_.on_synced) handlers_.on_synced();
  }

  void OnEnd() {
    const auto self = shared_from_this();
    call_->Release();
    call_->WaitUntilDone();
    call_.reset();
    retry_timer_ = loop_->RunAfter(retry_, [weak = weak_from_this()] {
      if (const auto state = weak.lock()) state->Open();
    });
    retry_ = std::min(retry_ * 2, kMaxRetry);
    if (std::exchange(connected_, false) && handlers_.on_connected) handlers_.on_connected(false);
  }

  Loop* const loop_;
  const std::unique_ptr<Stream::Stub> stub_;
  const RawHandlers handlers_;
  WatchRequest request_;
  std::unique_ptr<Call> call_;
  absl::flat_hash_set<std::string> known_;
  absl::flat_hash_set<std::string> stale_;  // of the snapshot before; not yet seen in the new one
  bool connected_ = false;
  absl::Duration retry_ = kFirstRetry;
  Loop::TimerId retry_timer_ = 0;
};

Reader::Reader(Loop* loop, std::shared_ptr<grpc::Channel> channel, std::string type,
               RawHandlers handlers)
    : state_(std::make_shared<State>(loop, channel, std::move(type), std::move(handlers))) {
  state_->Open();
}

Reader::~Reader() { state_->Close(); }

}  // namespace portolan::wire
