#include "services/bgp-exporter/shell/service.h"

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/rng/rng.h"
#include "services/base/wire/reader.h"
#include "services/bgp-exporter/core/engine.h"
#include "services/bgp-exporter/shell/control_rpc.h"
#include "services/bgp-exporter/shell/convert.h"
#include "services/bgp-exporter/shell/drain_file.h"
#include "services/bgp-exporter/shell/review.h"
#include "services/bgp-exporter/shell/run_marker.h"
#include "services/bgp-exporter/shell/transport.h"

namespace portolan::bgp {
namespace {

constexpr absl::string_view kDatapathStage = "datapath";

class BgpService : public process::Service {
 public:
  BgpService(const process::Context& context, std::shared_ptr<ControlRpc> rpc)
      : context_(context),
        rpc_(std::move(rpc)),
        peers_(context.hub->NewWriter<v1alpha1::PeerState>()),
        routes_(context.hub->NewWriter<v1alpha1::Route>()),
        statuses_(context.hub->NewWriter<status::v1alpha1::ObjectStatus>()),
        wall_offset_(context.clock->WallNow() - context.clock->Now()),
        marker_(context.state_dir),
        drain_file_(context.state_dir),
        transport_(context.loop, [this](Event event) { Dispatch(std::move(event)); }) {}

  ~BgpService() override {
    rpc_->Leave();
    seat_.reset();
    readers_.clear();
    context_.loop->Cancel(timer_);
    if (engine_ == nullptr) return;
    Dispatch(Stop());
    marker_.Clear();
    for (const std::string& key : peer_keys_) peers_.Remove(key);
    for (const std::string& key : route_keys_) routes_.Remove(key);
    for (const std::string& key : status_keys_) statuses_.Remove(key);
  }

  std::vector<grpc::Service*> rpcs() override { return {rpc_.get()}; }
  absl::Status Start(const process::Upstreams& upstreams) override;
  void Collect(metrics::Page& page) const override;

 private:
  template <typename M>
  void Read(const wire::Channels& channel, Input input,
            std::function<std::optional<Event>(const std::string&, const M&)> upsert,
            std::function<std::optional<Event>(const std::string&)> remove);
  void ReadConfiguration(const wire::Channels& channels);
  void ReadDatapath(const std::shared_ptr<grpc::Channel>& channel);
  std::optional<absl::Time> DrainOfTheLastLife() const;
  void TakeOrders();
  void Give(ControlRpc::Order order, ControlRpc::Answer answer);

  void Dispatch(Event event);
  void Do(const Connect& effect) { transport_.Dial(effect); }
  void Do(const Keep& effect) { transport_.Keep(effect); }
  void Do(const Send& effect) { transport_.Send(effect); }
  void Do(const Close& effect) { transport_.Close(effect.connection); }
  void Do(const Listen& effect) { transport_.Listen(effect); }
  void Do(const ArmTimer& effect);
  void Do(const PublishPeer& effect);
  void Do(const RemovePeer& effect);
  void Do(const PublishRoute& effect);
  void Do(const RemoveRoute& effect);
  void Do(const PublishStatus& effect);
  void Do(const RemoveStatus& effect);
  void Do(const SaveDrain& effect);
  void Do(const OrderDone& effect);
  void Do(const MarkSynced&);
  void LogPeer(const PeerView& view);
  void TakeSeat();

  const process::Context context_;
  const std::shared_ptr<ControlRpc> rpc_;
  wire::Writer peers_;
  wire::Writer routes_;
  wire::Writer statuses_;
  // What was published, to be taken back at the end.
  std::set<std::string> peer_keys_;
  std::set<std::string> route_keys_;
  std::set<std::string> status_keys_;
  std::map<std::string, PeerView> logged_;
  uint64_t established_ = 0;          // sessions since the start
  const absl::Duration wall_offset_;  // fixed, so that one state has one time
  RunMarker marker_;
  DrainFile drain_file_;
  OrderId last_order_ = 0;
  std::map<OrderId, ControlRpc::Answer> orders_;  // that are not answered
  Transport transport_;
  std::unique_ptr<Engine> engine_;
  std::deque<Event> queue_;
  bool dispatching_ = false;
  Loop::TimerId timer_ = 0;
  std::vector<std::shared_ptr<void>> readers_;  // TypedReader of various types
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<process::ReviewBoard::Seat> seat_;
};

// Upstream changes become events; absent ones are not for us.
template <typename M>
void BgpService::Read(const wire::Channels& channel, Input input,
                      std::function<std::optional<Event>(const std::string&, const M&)> upsert,
                      std::function<std::optional<Event>(const std::string&)> remove) {
  wire::Handlers<M> handlers;
  handlers.on_upsert = [this, upsert = std::move(upsert)](const std::string& key, const M& value) {
    if (auto event = upsert(key, value)) Dispatch(*std::move(event));
  };
  handlers.on_remove = [this, remove = std::move(remove)](const std::string& key) {
    if (auto event = remove(key)) Dispatch(*std::move(event));
  };
  handlers.on_synced = [this, input] { Dispatch(InputSynced{input}); };
  readers_.push_back(
      std::make_shared<wire::TypedReader<M>>(context_.loop, channel, std::move(handlers)));
}

absl::Status BgpService::Start(const process::Upstreams& upstreams) {
  LastLife last;
  const absl::Status marked = marker_.Set(last);
  if (!marked.ok()) {
    context_.log->Warning(
        "routes will not be kept over a crash: correct the state directory and restart",
        {{"error", std::string(marked.message())}});
  }
  engine_ = std::make_unique<Engine>(
      Engine::Options{
          .node = context_.node,
          .restarted = last.ended_without_order,
          .forwarding_kept = last.same_boot,
          .seed = RandomSeed(),
          .drain = DrainOfTheLastLife(),
      },
      context_.clock->Now());
  // Not later: this table is also what we read the datapath's status from, and a reader hears
  // "synced" only when every writer has said so.
  statuses_.MarkSynced();
  ReadConfiguration(upstreams.config);
  Read<allocation::v1alpha1::Allocation>(
      upstreams.allocation, Input::kAllocations,
      [](const std::string&, const auto& allocation) -> std::optional<Event> {
        return AllocationChanged{FromProto(allocation)};
      },
      [](const std::string& key) -> std::optional<Event> { return AllocationRemoved{key}; });
  ReadDatapath(upstreams.datapath);
  TakeOrders();
  TakeSeat();
  return absl::OkStatus();
}

std::optional<absl::Time> BgpService::DrainOfTheLastLife() const {
  const std::optional<absl::Time> withdraw_at = drain_file_.Read();
  if (!withdraw_at.has_value()) return std::nullopt;
  context_.log->Warning("the node is drained since an earlier life; portolan bgp undrain ends it");
  return *withdraw_at - wall_offset_;
}

// ---- orders ----

void BgpService::TakeOrders() {
  rpc_->Serve([this, alive = std::weak_ptr<bool>(alive_)](ControlRpc::Order order,
                                                          ControlRpc::Answer answer) {
    context_.loop->Post([this, alive, order = std::move(order), answer = std::move(answer)] {
      if (alive.lock() != nullptr) Give(order, answer);
    });
  });
}

void BgpService::Give(ControlRpc::Order order, ControlRpc::Answer answer) {
  const OrderId id = ++last_order_;
  orders_[id] = std::move(answer);
  std::visit(
      [&](auto& each) {
        each.order = id;
        Dispatch(std::move(each));
      },
      order);
}

void BgpService::Do(const SaveDrain& effect) {
  std::optional<absl::Time> wall;
  if (effect.withdraw_at.has_value()) wall = *effect.withdraw_at + wall_offset_;
  const absl::Status saved = drain_file_.Write(wall);
  Dispatch(DrainSaved{effect.order, effect.withdraw_at, std::string(saved.message())});
}

void BgpService::Do(const OrderDone& effect) {
  if (effect.status.ok()) {
    context_.log->Info("order carried out", {{"done", effect.message}});
  } else {
    context_.log->Warning("order refused", {{"reason", std::string(effect.status.message())}});
  }
  const auto answer = orders_.extract(effect.order);
  if (!answer.empty()) answer.mapped()(effect.status, effect.message);
}

// From then on config-service may ask what an edit would do.
void BgpService::TakeSeat() {
  if (context_.reviews == nullptr) return;
  using review::v1alpha1::ReviewRequest;
  using review::v1alpha1::ReviewResponse;
  seat_ = context_.reviews->Take(
      "bgp", context_.loop, [this](const ReviewRequest& request) -> absl::StatusOr<ReviewResponse> {
        const auto findings = engine_->Review(FromProto(request));
        if (!findings.has_value()) return absl::UnavailableError("it is starting");
        return ToProto(*findings);
      });
}

void BgpService::ReadConfiguration(const wire::Channels& channels) {
  Read<config::v1alpha1::BgpInstance>(
      channels, Input::kInstances,
      [](const std::string&, const auto& instance) -> std::optional<Event> {
        return InstanceChanged{FromProto(instance)};
      },
      [](const std::string& key) -> std::optional<Event> { return InstanceRemoved{key}; });
  Read<config::v1alpha1::BgpPeer>(
      channels, Input::kPeers,
      [](const std::string&, const auto& peer) -> std::optional<Event> {
        return PeerChanged{FromProto(peer)};
      },
      [](const std::string& key) -> std::optional<Event> { return PeerRemoved{key}; });
  Read<config::v1alpha1::BgpAdvertisement>(
      channels, Input::kAdvertisements,
      [](const std::string&, const auto& advertisement) -> std::optional<Event> {
        return AdvertisementChanged{FromProto(advertisement)};
      },
      [](const std::string& key) -> std::optional<Event> { return AdvertisementRemoved{key}; });
  Read<config::v1alpha1::Node>(
      channels, Input::kNodes,
      [](const std::string&, const auto& node) -> std::optional<Event> {
        return NodeChanged{FromProto(node)};
      },
      [](const std::string& key) -> std::optional<Event> { return NodeRemoved{key}; });
  Read<config::v1alpha1::PipelineStage>(
      channels, Input::kStages,
      [](const std::string& key, const auto& stage) -> std::optional<Event> {
        if (key != kDatapathStage) return std::nullopt;
        return DatapathStageChanged{stage.enabled()};
      },
      [](const std::string& key) -> std::optional<Event> {
        if (key != kDatapathStage) return std::nullopt;
        return DatapathStageChanged{true};
      });
}

void BgpService::ReadDatapath(const std::shared_ptr<grpc::Channel>& channel) {
  const std::string ours = absl::StrCat("datapath/", context_.node, "/service/");
  Read<status::v1alpha1::ObjectStatus>(
      channel, Input::kDatapath,
      [ours](const std::string& key, const auto& status) -> std::optional<Event> {
        if (key.rfind(ours, 0) != 0) return std::nullopt;
        return DatapathChanged{FromProto(status)};
      },
      [ours](const std::string& key) -> std::optional<Event> {
        if (key.rfind(ours, 0) != 0) return std::nullopt;
        return DatapathRemoved{key.substr(ours.size())};
      });
}

// Effects may bring events at once (a socket that fails): they wait for their turn.
void BgpService::Dispatch(Event event) {
  queue_.push_back(std::move(event));
  if (dispatching_) return;
  dispatching_ = true;
  while (!queue_.empty()) {
    const Event next = std::move(queue_.front());
    queue_.pop_front();
    for (const Effect& effect : engine_->Handle(next, context_.clock->Now())) {
      std::visit([this](const auto& each) { Do(each); }, effect);
    }
  }
  dispatching_ = false;
}

void BgpService::Do(const ArmTimer& effect) {
  context_.loop->Cancel(timer_);
  timer_ = context_.loop->RunAfter(effect.at - context_.clock->Now(), [this] { Dispatch(Tick()); });
}

void BgpService::Do(const PublishPeer& effect) {
  const PeerView& view = effect.view;
  const std::string key = PeerKey(context_.node, absl::StrCat(view.instance, "/", view.name));
  peer_keys_.insert(key);
  peers_.Upsert(key, ToProto(view, context_.node, view.since + wall_offset_));
  LogPeer(view);
}

// One line for each session that begins, ends or cannot begin for a new reason.
void BgpService::LogPeer(const PeerView& view) {
  const std::string peer = absl::StrCat(view.instance, "/", view.name);
  PeerView& before = logged_[peer];
  const bool is_up = view.state == SessionState::kEstablished;
  const bool was_up = before.state == SessionState::kEstablished;
  if (is_up && !was_up) {
    ++established_;
    context_.log->Info("peer established", {{"peer", peer}, {"address", view.address.ToString()}});
  } else if (!is_up && (was_up || view.last_error != before.last_error)) {
    context_.log->Warning(
        was_up ? "peer lost" : "peer not established",
        {{"peer", peer}, {"address", view.address.ToString()}, {"error", view.last_error}});
  }
  before = view;
}

void BgpService::Collect(metrics::Page& page) const {
  for (const auto& [peer, view] : logged_) {
    page.AddGauge("portolan_bgp_session_up", "1: the session with the peer is established.",
                  {{"peer", peer}}, view.state == SessionState::kEstablished ? 1 : 0);
  }
  page.AddCounter("portolan_bgp_sessions_established_total", "Sessions that were established.", {},
                  static_cast<double>(established_));
  page.AddGauge("portolan_bgp_routes", "Routes in the tables towards peers.", {},
                static_cast<double>(route_keys_.size()));
}

void BgpService::Do(const RemovePeer& effect) {
  const std::string key = PeerKey(context_.node, effect.peer);
  peer_keys_.erase(key);
  logged_.erase(effect.peer);
  peers_.Remove(key);
}

void BgpService::Do(const PublishRoute& effect) {
  const std::string key = RouteKey(context_.node, effect.view.peer, effect.view.prefix);
  route_keys_.insert(key);
  routes_.Upsert(key, ToProto(effect.view, context_.node));
}

void BgpService::Do(const RemoveRoute& effect) {
  const std::string key = RouteKey(context_.node, effect.peer, effect.prefix);
  route_keys_.erase(key);
  routes_.Remove(key);
}

void BgpService::Do(const PublishStatus& effect) {
  const std::string key = StatusKey(context_.node, effect.view.kind, effect.view.key);
  status_keys_.insert(key);
  statuses_.Upsert(key, ToProto(effect.view, context_.node));
}

void BgpService::Do(const RemoveStatus& effect) {
  const std::string key = StatusKey(context_.node, effect.kind, effect.key);
  status_keys_.erase(key);
  statuses_.Remove(key);
}

void BgpService::Do(const MarkSynced&) {
  peers_.MarkSynced();
  routes_.MarkSynced();
}

}  // namespace

absl::StatusOr<std::unique_ptr<process::Service>> NewBgpService(const process::Context& context,
                                                                std::shared_ptr<ControlRpc> rpc) {
  return std::make_unique<BgpService>(context, std::move(rpc));
}

}  // namespace portolan::bgp
