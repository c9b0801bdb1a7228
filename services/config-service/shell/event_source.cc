#include "services/config-service/shell/event_source.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/bgp/v1alpha1/bgp.pb.h"
#include "api/proto/l2/v1alpha1/l2.pb.h"

namespace portolan::config {
namespace {

using allocation::v1alpha1::Allocation;
using allocation::v1alpha1::PoolState;
using bgp::v1alpha1::PeerState;
using l2::v1alpha1::Announcement;

constexpr absl::Duration kDeliverEvery = absl::Milliseconds(50);
constexpr size_t kDeliverAtOnce = 200;
constexpr size_t kMaxWaiting = 200'000;

SeenAllocation FromProto(const Allocation& message) {
  SeenAllocation allocation;
  allocation.grants.reserve(static_cast<size_t>(message.grants_size()));
  for (const auto& grant : message.grants()) {
    allocation.grants.push_back({grant.address(), grant.pool(), grant.adopted()});
  }
  return allocation;
}

SeenPool FromProto(const PoolState& message) {
  SeenPool pool{.conflicting = message.state() == "conflicting",
                .conflicts_with = message.conflicts_with(),
                .message = message.message()};
  for (const auto& count : message.counts()) {
    pool.counts[count.family()] = {count.used(), count.available()};
  }
  return pool;
}

SeenAnnouncement FromProto(const Announcement& message) {
  return {.service = message.service(),
          .mac = message.mac(),
          .owner = message.state() == "owner",
          .owner_node = message.owner(),
          .rival = message.rival()};
}

SeenPeer FromProto(const PeerState& message) {
  return {.node = message.node(),
          .instance = message.instance(),
          .name = message.name(),
          .address = message.address(),
          .remote_as = message.remote_as(),
          .state = message.session_state(),
          .since_unix_ms = message.since_unix_ms(),
          .last_error = message.last_error(),
          .hold_time_s = message.hold_time_s()};
}

// Of the process that runs that service: its own, or the one that runs all of them.
wire::Channels ChannelsOf(const process::Upstreams& upstreams, const std::string& service) {
  for (const process::Peer& peer : upstreams.peers) {
    if (peer.name == service || peer.name == "portolan") return peer.channel;
  }
  return {};
}

}  // namespace

struct EventSource::Readers {
  template <typename M, typename V>
  wire::Handlers<M, V> HandlersOf(EventSource* source, SeenStream stream) {
    return {.convert = [](const M& message) -> V { return FromProto(message); },
            .on_upsert =
                [source](const std::string& key, V&& value) {
                  source->Handle(Seen<V>{key, std::move(value)});
                },
            .on_remove =
                [source](const std::string& key) {
                  source->Handle(Seen<V>{key, std::nullopt});
                },
            .on_synced = [source, stream] { source->Handle(StreamSynced{stream}); },
            .on_connected =
                [source, stream](bool connected) {
                  if (!connected) source->Handle(StreamLost{stream});
                }};
  }

  explicit Readers(EventSource* source)
      : allocations(source->context_.loop, source->upstreams_.allocation,
                    HandlersOf<Allocation, SeenAllocation>(source, SeenStream::kAllocations)),
        pools(source->context_.loop, source->upstreams_.allocation,
              HandlersOf<PoolState, SeenPool>(source, SeenStream::kPools)),
        announcements(
            source->context_.loop, ChannelsOf(source->upstreams_, "l2-announcer"),
            HandlersOf<Announcement, SeenAnnouncement>(source, SeenStream::kAnnouncements)),
        peers(source->context_.loop, ChannelsOf(source->upstreams_, "bgp-exporter"),
              HandlersOf<PeerState, SeenPeer>(source, SeenStream::kPeers)) {}

  wire::TypedReader<Allocation, SeenAllocation> allocations;
  wire::TypedReader<PoolState, SeenPool> pools;
  wire::TypedReader<Announcement, SeenAnnouncement> announcements;
  wire::TypedReader<PeerState, SeenPeer> peers;
};

EventSource::EventSource(const process::Context& context, const process::Upstreams& upstreams)
    : context_(context), upstreams_(upstreams) {}

EventSource::~EventSource() { Listen(nullptr); }

void EventSource::PostToLoop(std::function<void()> callback) {
  context_.loop->Post([alive = std::weak_ptr<bool>(alive_), callback = std::move(callback)] {
    if (alive.lock() != nullptr) callback();
  });
}

void EventSource::Listen(Listener listener) {
  listener_ = std::move(listener);
  Adjust();
}

void EventSource::Follow(bool wanted) {
  PostToLoop([this, wanted] {
    wanted_ = wanted;
    Adjust();
  });
}

void EventSource::SetThreshold(uint32_t percent) {
  PostToLoop([this, percent] {
    threshold_percent_ = percent;
    if (lookout_.has_value()) Handle(ThresholdSet{percent});
  });
}

void EventSource::Adjust() {
  const bool follow = wanted_ && listener_ != nullptr;
  if (follow == (readers_ != nullptr)) return;
  if (follow) {
    lookout_.emplace();
    lookout_->Handle(ThresholdSet{threshold_percent_}, context_.clock->Now());
    readers_ = std::make_unique<Readers>(this);
    return;
  }
  readers_.reset();
  lookout_.reset();
  waiting_.clear();
  context_.loop->Cancel(std::exchange(settle_timer_, 0));
  context_.loop->Cancel(std::exchange(deliver_timer_, 0));
}

void EventSource::Handle(SeenEvent event) {
  const absl::Time deadline = lookout_->deadline();
  std::vector<Notice> notices = lookout_->Handle(std::move(event), context_.clock->Now());
  if (lookout_->deadline() != deadline) Arm();
  if (notices.empty()) return;
  std::move(notices.begin(), notices.end(), std::back_inserter(waiting_));
  while (waiting_.size() > kMaxWaiting) {
    waiting_.pop_front();
    ++dropped_;
  }
  if (deliver_timer_ == 0) {
    deliver_timer_ = context_.loop->RunAfter(absl::ZeroDuration(), [this] { Deliver(); });
  }
}

void EventSource::Deliver() {
  deliver_timer_ = 0;
  if (dropped_ > 0) {
    context_.log->Warning("more happens than can be told; notifications were dropped",
                          {{"dropped", absl::StrCat(std::exchange(dropped_, 0))}});
  }
  const size_t count = std::min(waiting_.size(), kDeliverAtOnce);
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Notice> batch(std::make_move_iterator(waiting_.begin()),
                            std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  if (!waiting_.empty()) {
    deliver_timer_ = context_.loop->RunAfter(kDeliverEvery, [this] { Deliver(); });
  }
  listener_(std::move(batch));
}

void EventSource::Arm() {
  context_.loop->Cancel(std::exchange(settle_timer_, 0));
  const absl::Time deadline = lookout_->deadline();
  if (deadline == absl::InfiniteFuture()) return;
  const absl::Duration delay = std::max(deadline - context_.clock->Now(), absl::ZeroDuration());
  settle_timer_ = context_.loop->RunAfter(delay, [this] {
    settle_timer_ = 0;
    Handle(SettleTimer{});
  });
}

}  // namespace portolan::config
