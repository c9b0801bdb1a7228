#include "services/config-service/shell/gnmi/stream.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/base/wire/grpc_status.h"
#include "services/base/yang/filter.h"
#include "services/config-service/shell/gnmi/path.h"
#include "services/config-service/shell/gnmi/reading.h"

namespace portolan::config {
namespace {

using ::gnmi::SubscribeRequest;
using ::gnmi::SubscribeResponse;
using ::gnmi::Subscription;
using ::gnmi::SubscriptionList;

constexpr absl::Duration kShortestSample = absl::Milliseconds(100);
// All services are asked for it.
constexpr absl::Duration kShortestStateSample = absl::Seconds(1);
// Of state, where the client leaves it to us.
constexpr absl::Duration kOwnStateSample = absl::Seconds(10);

// One path that is followed.
struct Followed {
  std::string xpath;
  bool with_state = false;
  bool sampled = false;
  bool suppress_redundant = false;
  absl::Duration interval;
  std::map<std::string, Instance> told;  // by the text of the path
};

// How a stream follows one path. State has no changes of its own.
absl::Status SetMode(const yang::Context& context, const Subscription& subscription,
                     Followed* followed) {
  const bool state = yang::CanSelect(context, followed->xpath, yang::Kind::kState);
  const bool state_alone =
      state && !yang::CanSelect(context, followed->xpath, yang::Kind::kConfiguration);
  if (state_alone && subscription.mode() == ::gnmi::ON_CHANGE) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the path ", followed->xpath, " has nothing but state, which is told by SAMPLE"));
  }
  const bool ours = state_alone && subscription.mode() == ::gnmi::TARGET_DEFINED;
  followed->sampled = ours || subscription.mode() == ::gnmi::SAMPLE;
  followed->with_state = state && followed->sampled;
  followed->suppress_redundant = subscription.suppress_redundant();
  followed->interval =
      ours ? kOwnStateSample
           : std::max(absl::Nanoseconds(subscription.sample_interval()),
                      followed->with_state ? kShortestStateSample : kShortestSample);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Followed>> Parse(const yang::Context& context,
                                            const SubscriptionList& list) {
  RETURN_IF_ERROR(CheckEncoding(list.encoding()));
  if (list.subscription().empty()) {
    return absl::InvalidArgumentError("a subscription needs a path");
  }
  std::vector<Followed> all;
  for (const Subscription& subscription : list.subscription()) {
    if (subscription.heartbeat_interval() != 0) {
      return absl::UnimplementedError("heartbeat_interval is not known; leave it out");
    }
    Followed followed;
    ASSIGN_OR_RETURN(followed.xpath, ToXPath(list.prefix(), subscription.path()));
    if (list.mode() == SubscriptionList::STREAM) {
      RETURN_IF_ERROR(SetMode(context, subscription, &followed));
    } else {
      followed.with_state = yang::CanSelect(context, followed.xpath, yang::Kind::kState);
    }
    all.push_back(std::move(followed));
  }
  return all;
}

}  // namespace

// One call. Its reactor is gRPC's and is spoken to under the lock, as long as it is not finished.
class GnmiStream : public std::enable_shared_from_this<GnmiStream> {
 public:
  GnmiStream(std::shared_ptr<const yang::Context> context, GnmiStreams::Read read,
             GnmiStreams::After after, const Clock* clock, Caller caller,
             GnmiStreams::Reactor* reactor)
      : context_(std::move(context)),
        read_(std::move(read)),
        after_(std::move(after)),
        clock_(clock),
        caller_(std::move(caller)),
        reactor_(reactor) {}

  void Start() {
    absl::MutexLock lock(&mutex_);
    reactor_->StartRead(&request_);
  }

  void OnRead(bool ok) {
    absl::MutexLock lock(&mutex_);
    if (reactor_ == nullptr) return;
    if (!ok) {
      // The client says no more. A stream goes on until it is cancelled.
      if (list_.has_value() && list_->mode() == SubscriptionList::STREAM) return;
      finish_ = absl::OkStatus();
      return Pump();
    }
    if (const absl::Status status = Handle(); !status.ok()) {
      finish_ = status;
      return Pump();
    }
    reactor_->StartRead(&request_);
  }

  void OnWritten(bool ok) {
    absl::MutexLock lock(&mutex_);
    if (reactor_ == nullptr) return;
    writing_ = false;
    if (!ok) return Finish(absl::CancelledError("the client is gone"));
    queue_.pop_front();
    Pump();
  }

  void Cancel() {
    absl::MutexLock lock(&mutex_);
    Finish(absl::CancelledError("cancelled"));
  }

  // Another configuration runs.
  void Change() {
    absl::MutexLock lock(&mutex_);
    if (reactor_ == nullptr || !begun_) return;
    changed_ = true;
    Pump();
  }

 private:
  absl::Status Handle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (request_.request_case() == SubscribeRequest::kPoll) {
      if (!list_.has_value() || list_->mode() != SubscriptionList::POLL) {
        return absl::InvalidArgumentError("a poll needs a subscription of the mode POLL");
      }
      Ask(WithState(), [](GnmiStream* stream, const View& view) { stream->TellAll(view); });
      return absl::OkStatus();
    }
    if (request_.request_case() != SubscribeRequest::kSubscribe || list_.has_value()) {
      return absl::InvalidArgumentError("a call subscribes once, with its first message");
    }
    list_ = request_.subscribe();
    ASSIGN_OR_RETURN(followed_, Parse(*context_, *list_));
    Ask(WithState(), [](GnmiStream* stream, const View& view) { stream->Begin(view); });
    return absl::OkStatus();
  }

  bool WithState() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::any_of(followed_.begin(), followed_.end(),
                       [](const Followed& followed) { return followed.with_state; });
  }

  // Under the lock, with what runs.
  void Ask(bool with_state, void (*job)(GnmiStream* stream, const View& view))
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++asked_;
    read_(with_state, [stream = shared_from_this(), job](const Configuration& configuration,
                                                         const yang::Tree* state) {
      absl::MutexLock lock(&stream->mutex_);
      if (stream->reactor_ == nullptr) return;
      --stream->asked_;
      job(stream.get(), {&configuration, state, &stream->caller_});
      stream->Pump();
    });
  }

  void Begin(const View& view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (list_->updates_only()) {
      for (Followed& followed : followed_) Differences(view, &followed);
      Push(Synced());
    } else {
      TellAll(view);
    }
    if (list_->mode() == SubscriptionList::ONCE) finish_ = absl::OkStatus();
    if (list_->mode() != SubscriptionList::STREAM) return;
    begun_ = true;
    for (size_t i = 0; i < followed_.size(); ++i) {
      if (followed_[i].sampled) Sample(i);
    }
  }

  // Everything, and the mark.
  void TellAll(const View& view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (Followed& followed : followed_) {
      followed.told.clear();
      Push(Differences(view, &followed));
    }
    Push(Synced());
  }

  void Sample(size_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    after_(followed_[index].interval, [weak = weak_from_this(), index] {
      const std::shared_ptr<GnmiStream> stream = weak.lock();
      if (stream == nullptr) return;
      stream->TakeSample(index);
    });
  }

  void TakeSample(size_t index) {
    bool with_state = false;
    {
      absl::MutexLock lock(&mutex_);
      with_state = followed_[index].with_state;
    }
    read_(with_state, [stream = shared_from_this(), index](const Configuration& configuration,
                                                           const yang::Tree* state) {
      absl::MutexLock lock(&stream->mutex_);
      if (stream->reactor_ == nullptr) return;
      Followed& followed = stream->followed_[index];
      if (stream->queue_.empty()) {
        // What is gone is told even where everything else is told anew.
        SubscribeResponse response =
            stream->Differences({&configuration, state, &stream->caller_}, &followed);
        if (!followed.suppress_redundant) stream->AddAll(followed, &response);
        stream->Push(std::move(response));
        stream->Pump();
      }
      stream->Sample(index);
    });
  }

  // What differs from what was told. A path that the modules do not have ends the call.
  SubscribeResponse Differences(View view, Followed* followed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    SubscribeResponse response;
    if (!followed->with_state) view.state = nullptr;
    absl::StatusOr<std::vector<Instance>> leaves = LeavesOf(view, followed->xpath);
    if (!leaves.ok()) {
      finish_ = leaves.status();
      return response;
    }
    std::map<std::string, Instance> now;
    for (Instance& leaf : *leaves) now.emplace(ToText(leaf.path), std::move(leaf));
    ::gnmi::Notification* notification = Stamped(&response);
    for (const auto& [key, instance] : followed->told) {
      if (now.count(key) == 0) *notification->add_delete_() = instance.path;
    }
    for (const auto& [key, instance] : now) {
      const auto told = followed->told.find(key);
      if (told == followed->told.end() || told->second.json != instance.json) {
        AddUpdate(instance, notification);
      }
    }
    followed->told = std::move(now);
    return response;
  }

  void AddAll(const Followed& followed, SubscribeResponse* response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ::gnmi::Notification* notification = Stamped(response);
    notification->clear_update();
    for (const auto& [key, instance] : followed.told) AddUpdate(instance, notification);
  }

  ::gnmi::Notification* Stamped(SubscribeResponse* response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ::gnmi::Notification* notification = response->mutable_update();
    notification->set_timestamp(absl::ToUnixNanos(clock_->WallNow()));
    notification->mutable_prefix()->set_target(list_->prefix().target());
    return notification;
  }

  void AddUpdate(const Instance& instance, ::gnmi::Notification* notification)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ::gnmi::Update* update = notification->add_update();
    *update->mutable_path() = instance.path;
    *update->mutable_val() = ToValue(instance.json, list_->encoding());
  }

  static SubscribeResponse Synced() {
    SubscribeResponse response;
    response.set_sync_response(true);
    return response;
  }

  // An update that says nothing is not sent.
  void Push(SubscribeResponse response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (response.has_update() && response.update().update().empty() &&
        response.update().delete_().empty()) {
      return;
    }
    if (response.response_case() != SubscribeResponse::RESPONSE_NOT_SET) {
      queue_.push_back(std::move(response));
    }
  }

  // Writes what waits, then looks at what changed meanwhile, then ends.
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reactor_ == nullptr || writing_) return;
    const bool failed = finish_.has_value() && !finish_->ok();
    if (!queue_.empty() && !failed) {
      writing_ = true;
      return reactor_->StartWrite(&queue_.front());
    }
    if (finish_.has_value() && (failed || asked_ == 0)) return Finish(*finish_);
    if (!changed_ || asked_ > 0) return;
    changed_ = false;
    Ask(false, [](GnmiStream* stream, const View& view) { stream->TellChanges(view); });
  }

  void TellChanges(const View& view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (Followed& followed : followed_) {
      if (!followed.sampled) Push(Differences(view, &followed));
    }
  }

  void Finish(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reactor_ == nullptr) return;
    std::exchange(reactor_, nullptr)->Finish(wire::ToGrpc(status));
  }

  const std::shared_ptr<const yang::Context> context_;
  const GnmiStreams::Read read_;
  const GnmiStreams::After after_;
  const Clock* const clock_;
  const Caller caller_;

  absl::Mutex mutex_;
  GnmiStreams::Reactor* reactor_ ABSL_GUARDED_BY(mutex_);  // null once finished
  SubscribeRequest request_;                               // of the read that is out
  std::optional<SubscriptionList> list_ ABSL_GUARDED_BY(mutex_);
  std::vector<Followed> followed_ ABSL_GUARDED_BY(mutex_);
  std::deque<SubscribeResponse> queue_ ABSL_GUARDED_BY(mutex_);  // the first one is being written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  int asked_ ABSL_GUARDED_BY(mutex_) = 0;  // answers that are to come
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> finish_ ABSL_GUARDED_BY(mutex_);  // once all is written
};

namespace {

class StreamReactor : public GnmiStreams::Reactor {
 public:
  StreamReactor(std::shared_ptr<const yang::Context> context, GnmiStreams::Read read,
                GnmiStreams::After after, const Clock* clock, Caller caller)
      : stream_(std::make_shared<GnmiStream>(std::move(context), std::move(read), std::move(after),
                                             clock, std::move(caller), this)) {}
  const std::shared_ptr<GnmiStream>& stream() const { return stream_; }
  // With a reference of their own: finishing may end in OnDone() before it returns.
  void OnReadDone(bool ok) override { std::shared_ptr<GnmiStream>(stream_)->OnRead(ok); }
  void OnWriteDone(bool ok) override { std::shared_ptr<GnmiStream>(stream_)->OnWritten(ok); }
  void OnCancel() override { std::shared_ptr<GnmiStream>(stream_)->Cancel(); }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<GnmiStream> stream_;
};

}  // namespace

GnmiStreams::Reactor* GnmiStreams::Begin(Caller caller) {
  auto* reactor = new StreamReactor(context_, read_, after_, clock_, std::move(caller));
  {
    absl::MutexLock lock(&mutex_);
    streams_.erase(std::remove_if(streams_.begin(), streams_.end(),
                                  [](const auto& stream) { return stream.expired(); }),
                   streams_.end());
    streams_.push_back(reactor->stream());
  }
  reactor->stream()->Start();
  return reactor;
}

void GnmiStreams::Tell() {
  std::vector<std::shared_ptr<GnmiStream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    for (const std::weak_ptr<GnmiStream>& weak : streams_) {
      if (std::shared_ptr<GnmiStream> stream = weak.lock(); stream != nullptr) {
        streams.push_back(std::move(stream));
      }
    }
  }
  for (const std::shared_ptr<GnmiStream>& stream : streams) stream->Change();
}

}  // namespace portolan::config
