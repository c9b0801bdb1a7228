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
#include "services/config-service/shell/gnmi/path.h"
#include "services/config-service/shell/gnmi/reading.h"

namespace portolan::config {
namespace {

using ::gnmi::SubscribeRequest;
using ::gnmi::SubscribeResponse;
using ::gnmi::Subscription;
using ::gnmi::SubscriptionList;

constexpr absl::Duration kShortestSample = absl::Milliseconds(100);

// One path that is followed.
struct Followed {
  std::string xpath;
  bool sampled = false;
  bool suppress_redundant = false;
  absl::Duration interval;
  std::map<std::string, Instance> told;  // by the text of the path
};

absl::StatusOr<std::vector<Followed>> Parse(const SubscriptionList& list) {
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
    followed.sampled = subscription.mode() == ::gnmi::SAMPLE;
    followed.suppress_redundant = subscription.suppress_redundant();
    followed.interval =
        std::max(absl::Nanoseconds(subscription.sample_interval()), kShortestSample);
    all.push_back(std::move(followed));
  }
  return all;
}

}  // namespace

// One call. Its reactor is gRPC's and is spoken to under the lock, as long as it is not finished.
class GnmiStream : public std::enable_shared_from_this<GnmiStream> {
 public:
  GnmiStream(GnmiStreams::Read read, GnmiStreams::After after, const Clock* clock,
             GnmiStreams::Reactor* reactor)
      : read_(std::move(read)), after_(std::move(after)), clock_(clock), reactor_(reactor) {}

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
      Ask([](GnmiStream* stream, const Configuration& configuration) {
        stream->TellAll(configuration);
      });
      return absl::OkStatus();
    }
    if (request_.request_case() != SubscribeRequest::kSubscribe || list_.has_value()) {
      return absl::InvalidArgumentError("a call subscribes once, with its first message");
    }
    list_ = request_.subscribe();
    ASSIGN_OR_RETURN(followed_, Parse(*list_));
    Ask([](GnmiStream* stream, const Configuration& configuration) {
      stream->Begin(configuration);
    });
    return absl::OkStatus();
  }

  // Under the lock, with what runs.
  void Ask(void (*job)(GnmiStream* stream, const Configuration& configuration))
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++asked_;
    read_([stream = shared_from_this(), job](const Configuration& configuration, uint64_t) {
      absl::MutexLock lock(&stream->mutex_);
      if (stream->reactor_ == nullptr) return;
      --stream->asked_;
      job(stream.get(), configuration);
      stream->Pump();
    });
  }

  void Begin(const Configuration& configuration) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (list_->updates_only()) {
      for (Followed& followed : followed_) Differences(configuration, &followed);
      Push(Synced());
    } else {
      TellAll(configuration);
    }
    if (list_->mode() == SubscriptionList::ONCE) finish_ = absl::OkStatus();
    if (list_->mode() != SubscriptionList::STREAM) return;
    begun_ = true;
    for (size_t i = 0; i < followed_.size(); ++i) {
      if (followed_[i].sampled) Sample(i);
    }
  }

  // Everything, and the mark.
  void TellAll(const Configuration& configuration) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (Followed& followed : followed_) {
      followed.told.clear();
      Push(Differences(configuration, &followed));
    }
    Push(Synced());
  }

  void Sample(size_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    after_(followed_[index].interval, [weak = weak_from_this(), index] {
      const std::shared_ptr<GnmiStream> stream = weak.lock();
      if (stream == nullptr) return;
      stream->read_([stream, index](const Configuration& configuration, uint64_t) {
        absl::MutexLock lock(&stream->mutex_);
        if (stream->reactor_ == nullptr) return;
        Followed& followed = stream->followed_[index];
        if (stream->queue_.empty()) {
          // What is gone is told even where everything else is told anew.
          SubscribeResponse response = stream->Differences(configuration, &followed);
          if (!followed.suppress_redundant) stream->AddAll(followed, &response);
          stream->Push(std::move(response));
          stream->Pump();
        }
        stream->Sample(index);
      });
    });
  }

  // What differs from what was told. A path that the modules do not have ends the call.
  SubscribeResponse Differences(const Configuration& configuration, Followed* followed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    SubscribeResponse response;
    absl::StatusOr<std::vector<Instance>> leaves = LeavesOf(configuration, followed->xpath);
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
    Ask([](GnmiStream* stream, const Configuration& configuration) {
      stream->TellChanges(configuration);
    });
  }

  void TellChanges(const Configuration& configuration) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (Followed& followed : followed_) {
      if (!followed.sampled) Push(Differences(configuration, &followed));
    }
  }

  void Finish(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reactor_ == nullptr) return;
    std::exchange(reactor_, nullptr)
        ->Finish(grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                              std::string(status.message())));
  }

  const GnmiStreams::Read read_;
  const GnmiStreams::After after_;
  const Clock* const clock_;

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
  StreamReactor(GnmiStreams::Read read, GnmiStreams::After after, const Clock* clock)
      : stream_(std::make_shared<GnmiStream>(std::move(read), std::move(after), clock, this)) {}
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

GnmiStreams::Reactor* GnmiStreams::Begin() {
  auto* reactor = new StreamReactor(read_, after_, clock_);
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
