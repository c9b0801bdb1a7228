#include "services/l2-announcer/shell/service.h"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "plugins/sdk/owner_election.h"
#include "services/base/process/pins.h"
#include "services/base/rng/rng.h"
#include "services/base/selector/selector_proto.h"
#include "services/base/status/status_macros.h"
#include "services/base/wire/reader.h"
#include "services/l2-announcer/core/engine.h"
#include "services/l2-announcer/shell/convert.h"
#include "services/l2-announcer/shell/interface_monitor.h"
#include "services/l2-announcer/shell/packet_socket.h"
#include "services/l2-announcer/shell/responder.h"
#include "services/l2-announcer/shell/review.h"
#include "services/l2-announcer/shell/vlan.h"

namespace portolan::l2 {
namespace {

namespace config = ::portolan::config::v1alpha1;
using AllocationProto = allocation::v1alpha1::Allocation;
using datapath::v1alpha1::InterfaceState;
using status::v1alpha1::ObjectStatus;

// Frames read in one go, so that a flood on one LAN does not starve the rest.
constexpr int kFramesAtOnce = 64;
// How often so many when another one begins to answer.
constexpr int kReadsAtHandOver = 16;
constexpr absl::string_view kPermissionRemedy =
    "run as root, or give the process the capability CAP_NET_RAW";
constexpr absl::string_view kSocketRemedy = "see the kernel log; it is tried again by itself";

class L2Service : public process::Service {
 public:
  L2Service(const process::Context& context, Elections elections, const Options& options)
      : context_(context),
        responder_(
            process::ChoosePinDirectory(options.pin_directory, context.state_dir, context.node),
            context.clock),
        engine_({.node = context.node, .life = RandomSeed(), .elections = std::move(elections)}),
        announcements_(context.hub->NewWriter<l2::v1alpha1::Announcement>()),
        statuses_(context.hub->NewWriter<ObjectStatus>()) {}

  ~L2Service() override {
    seat_.reset();
    Handle(Leave{});
    context_.loop->Cancel(timer_);
    for (auto& [name, link] : links_) context_.loop->Unwatch(link.watch);
  }

  absl::Status Start(const process::Upstreams& upstreams) override;
  void Collect(metrics::Page& page) const override;

 private:
  struct Link {
    std::unique_ptr<PacketSocket> socket;
    Loop::FdId watch = 0;
  };

  // Streams.
  void FollowConfiguration(const process::Upstreams& upstreams);
  void FollowDatapath(const process::Upstreams& upstreams);
  template <typename M>
  void Follow(const wire::Channels& channel,
              std::function<void(const std::string&, const M&)> on_upsert,
              std::function<void(const std::string&)> on_remove);
  void FollowAttachments(const process::Upstreams& upstreams);
  void OnAttachment(const std::string& interface, bool attached);
  void OnSynced(int stream);
  void OnInterfaces(const Interfaces& interfaces);
  void TakeSeat();

  // The engine.
  void Handle(Event event);
  void Execute(const OpenLink& effect);
  void Execute(const CloseLink& effect);
  void Execute(const SendFrame& effect);
  void Execute(const JoinGroup& effect);
  void Execute(const LeaveGroup& effect);
  void Execute(const PublishAnnouncement& effect);
  void Execute(const PublishStatus& effect);
  void Execute(const ArmTimer& effect);
  // Returns false when more may wait.
  bool ReadFrames(const std::string& interface);

  process::Context context_;
  Responder responder_;  // opened before the first heartbeat of this life is sent
  Engine engine_;
  wire::Writer announcements_;
  wire::Writer statuses_;
  std::deque<Event> results_;  // of effects, handled before anything else
  std::map<std::string, Link> links_;
  Loop::TimerId timer_ = 0;
  Interfaces interfaces_;
  std::map<std::string, std::string> gates_;  // status key -> service
  bool announce_ = true;
  bool need_datapath_ = true;
  int streams_ = 0;  // that must be synced
  std::set<int> synced_;
  std::map<std::string, bool> owned_;  // announcement key -> this node answers
  uint64_t frames_sent_ = 0;
  uint64_t frames_lost_ = 0;  // late, or refused by the kernel

  std::unique_ptr<InterfaceMonitor> monitor_;
  std::vector<std::shared_ptr<void>> readers_;  // destroyed first
  std::unique_ptr<process::ReviewBoard::Seat> seat_;
};

absl::Status L2Service::Start(const process::Upstreams& upstreams) {
  ASSIGN_OR_RETURN(monitor_,
                   InterfaceMonitor::Open(context_.loop, [this](const Interfaces& interfaces) {
                     OnInterfaces(interfaces);
                   }));
  FollowConfiguration(upstreams);
  FollowDatapath(upstreams);
  FollowAttachments(upstreams);
  TakeSeat();
  return absl::OkStatus();
}

// From then on config-service may ask what an edit would do.
void L2Service::TakeSeat() {
  if (context_.reviews == nullptr) return;
  using review::v1alpha1::ReviewRequest;
  using review::v1alpha1::ReviewResponse;
  seat_ = context_.reviews->Take(
      "l2", context_.loop, [this](const ReviewRequest& request) -> absl::StatusOr<ReviewResponse> {
        const auto findings = engine_.Review(FromProto(request));
        if (!findings.has_value()) return absl::UnavailableError("it is starting");
        return ToProto(*findings);
      });
}

// ---- streams ----

template <typename M>
void L2Service::Follow(const wire::Channels& channel,
                       std::function<void(const std::string&, const M&)> on_upsert,
                       std::function<void(const std::string&)> on_remove) {
  const int stream = streams_++;
  readers_.push_back(std::make_shared<wire::TypedReader<M>>(
      context_.loop, channel,
      wire::Handlers<M>{.on_upsert = std::move(on_upsert),
                        .on_remove = std::move(on_remove),
                        .on_synced = [this, stream] { OnSynced(stream); }}));
}

void L2Service::OnSynced(int stream) {
  synced_.insert(stream);
  if (static_cast<int>(synced_.size()) < streams_) return;
  Handle(Synced{});
  announcements_.MarkSynced();
  statuses_.MarkSynced();
}

void L2Service::FollowConfiguration(const process::Upstreams& upstreams) {
  Follow<AllocationProto>(
      upstreams.allocation,
      [this](const std::string& key, const AllocationProto& proto) {
        absl::StatusOr<Allocation> allocation = FromProto(proto);
        if (allocation.ok()) return Handle(AllocationChanged{key, *std::move(allocation)});
        context_.log->Error("allocation ignored",
                            {{"key", key}, {"error", allocation.status().message()}});
      },
      [this](const std::string& key) {
        Handle(AllocationChanged{key, std::nullopt});
      });
  Follow<config::L2Policy>(
      upstreams.config,
      [this](const std::string& key, const config::L2Policy& proto) {
        Handle(PolicyChanged{key, FromProto(proto)});
      },
      [this](const std::string& key) {
        Handle(PolicyChanged{key, std::nullopt});
      });
  Follow<config::L2Settings>(
      upstreams.config,
      [this](const std::string&, const config::L2Settings& proto) {
        Handle(SettingsChanged{FromProto(proto)});
      },
      [this](const std::string&) { Handle(SettingsChanged{std::nullopt}); });
  Follow<config::Node>(
      upstreams.config,
      [this](const std::string& key, const config::Node& proto) {
        Handle(NodeChanged{key, portolan::FromProto(proto.labels())});
      },
      [this](const std::string& key) {
        Handle(NodeChanged{key, std::nullopt});
      });
  const auto stage = [this](const std::string& name, bool enabled) {
    if (name == "l2") announce_ = enabled;
    if (name == "datapath") need_datapath_ = enabled;
    Handle(PipelineChanged{announce_, need_datapath_});
  };
  Follow<config::PipelineStage>(
      upstreams.config,
      [stage](const std::string& key, const config::PipelineStage& proto) {
        stage(key, proto.enabled());
      },
      [stage](const std::string& key) { stage(key, true); });
}

// Not among the streams that must be synced: without its word nothing is announced anyway.
void L2Service::FollowDatapath(const process::Upstreams& upstreams) {
  readers_.push_back(std::make_shared<wire::TypedReader<ObjectStatus>>(
      context_.loop, upstreams.datapath,
      wire::Handlers<ObjectStatus>{
          .on_upsert =
              [this](const std::string& key, const ObjectStatus& proto) {
                if (proto.component() != "datapath" || proto.kind() != "service" ||
                    proto.node() != context_.node) {
                  return;
                }
                absl::StatusOr<GateChanged> gate = GateFromProto(proto);
                if (!gate.ok()) {
                  context_.log->Error("datapath status ignored",
                                      {{"key", key}, {"error", gate.status().message()}});
                  return;
                }
                gates_[key] = gate->service;
                Handle(*std::move(gate));
              },
          .on_remove =
              [this](const std::string& key) {
                auto gate = gates_.extract(key);
                if (!gate.empty()) Handle(GateChanged{gate.mapped(), {}});
              }}));
}

// Where the datapath's programs are, they answer.
void L2Service::FollowAttachments(const process::Upstreams& upstreams) {
  readers_.push_back(std::make_shared<wire::TypedReader<InterfaceState>>(
      context_.loop, upstreams.datapath,
      wire::Handlers<InterfaceState>{.on_upsert =
                                         [this](const std::string&, const InterfaceState& proto) {
                                           if (proto.node() != context_.node) return;
                                           OnAttachment(proto.interface(), !proto.mode().empty());
                                         },
                                     .on_remove =
                                         [this](const std::string& key) {
                                           absl::string_view interface = key;
                                           if (!absl::ConsumePrefix(
                                                   &interface, absl::StrCat(context_.node, "/")))
                                             return;
                                           OnAttachment(std::string(interface), false);
                                         }}));
}

void L2Service::OnAttachment(const std::string& interface, bool attached) {
  // What waits was asked of whoever has answered until now.
  if (responder_.attached(interface) != attached) {
    for (const std::string& link : responder_.LinksAt(interface)) {
      for (int i = 0; i < kReadsAtHandOver && !ReadFrames(link); ++i) {
      }
    }
  }
  responder_.SetAttached(interface, attached);
  if (attached && !responder_.error().empty()) {
    context_.log->Warning("the datapath cannot be told what to answer; answering without it",
                          {{"interface", interface}, {"error", responder_.error()}});
  }
}

void L2Service::OnInterfaces(const Interfaces& interfaces) {
  const Interfaces before = std::exchange(interfaces_, interfaces);
  for (const auto& [name, interface] : before) {
    if (!interfaces.contains(name)) Handle(InterfaceChanged{name, std::nullopt});
  }
  for (const auto& [name, interface] : interfaces) {
    auto old = before.find(name);
    if (old == before.end() || old->second != interface) Handle(InterfaceChanged{name, interface});
  }
}

// ---- the engine ----

void L2Service::Handle(Event event) {
  results_.push_back(std::move(event));
  while (!results_.empty()) {
    const Event next = std::move(results_.front());
    results_.pop_front();
    for (const Effect& effect : engine_.Handle(next, context_.clock->Now())) {
      std::visit([this](const auto& value) { Execute(value); }, effect);
    }
  }
}

void L2Service::Execute(const OpenLink& effect) {
  absl::StatusOr<std::unique_ptr<PacketSocket>> socket =
      PacketSocket::Open(effect.interface, effect.index);
  if (!socket.ok()) {
    const bool permission = socket.status().code() == absl::StatusCode::kPermissionDenied;
    const std::string remedy(permission ? kPermissionRemedy : kSocketRemedy);
    const std::string message(socket.status().message());
    context_.log->Error("cannot use an interface",
                        {{"interface", effect.interface}, {"error", message}, {"remedy", remedy}});
    results_.push_back(LinkFailed{effect.interface, message, remedy});
    return;
  }
  Link& link = links_[effect.interface];
  link.socket = *std::move(socket);
  link.watch =
      context_.loop->Watch(link.socket->fd(), Loop::kReadable,
                           [this, interface = effect.interface](int) { ReadFrames(interface); });
  const auto index = static_cast<uint32_t>(effect.index);
  responder_.AddLink(effect.interface, index, ReadVlan(index));
  results_.push_back(LinkOpened{effect.interface});
}

void L2Service::Execute(const CloseLink& effect) {
  auto link = links_.find(effect.interface);
  if (link == links_.end()) return;
  context_.loop->Unwatch(link->second.watch);
  links_.erase(link);
  responder_.RemoveLink(effect.interface);
}

void L2Service::Execute(const SendFrame& effect) {
  auto link = links_.find(effect.interface);
  if (link == links_.end()) return;
  if (effect.asked.has_value() && responder_.Answers(effect.interface, *effect.asked)) return;
  const bool sent = context_.clock->Now() < effect.expires &&
                    link->second.socket->Send(Encode(effect.frame)).ok();
  ++(sent ? frames_sent_ : frames_lost_);
  // What else is lost is asked for again, or repeated.
  if (!std::holds_alternative<Heartbeat>(effect.frame)) return;
  if (sent) {
    responder_.Renew(effect.interface, effect.expires);
  } else {
    results_.push_back(HeartbeatLost{effect.interface});
  }
}

void L2Service::Execute(const JoinGroup& effect) {
  auto link = links_.find(effect.interface);
  if (link == links_.end()) return;
  if (absl::Status status = link->second.socket->Join(effect.group); !status.ok()) {
    context_.log->Warning("cannot join a multicast group",
                          {{"interface", effect.interface}, {"error", status.message()}});
  }
}

void L2Service::Execute(const LeaveGroup& effect) {
  auto link = links_.find(effect.interface);
  if (link != links_.end()) link->second.socket->Leave(effect.group);
}

void L2Service::Execute(const PublishAnnouncement& effect) {
  const std::string key = AnnouncementKey(context_.node, effect);
  const bool owner = effect.announcement.has_value() && effect.announcement->owner;
  if (owner) {
    responder_.Own(effect.interface, effect.address, effect.announcement->mac);
  } else {
    responder_.Disown(effect.interface, effect.address);
  }
  if (std::exchange(owned_[key], owner) != owner) {
    context_.log->Info(owner ? "announcing" : "no longer announcing",
                       {{"interface", effect.interface}, {"address", effect.address.ToString()}});
  }
  if (!effect.announcement.has_value()) {
    owned_.erase(key);
    announcements_.Remove(key);
    return;
  }
  const absl::Duration age = context_.clock->Now() - effect.announcement->since;
  announcements_.Upsert(key, ToProto(context_.node, effect, context_.clock->WallNow() - age));
}

void L2Service::Collect(metrics::Page& page) const {
  const auto owned = std::count_if(owned_.begin(), owned_.end(),
                                   [](const auto& announcement) { return announcement.second; });
  page.AddGauge("portolan_l2_owned_addresses",
                "Addresses that this node answers for, on each interface.", {},
                static_cast<double>(owned));
  page.AddGauge("portolan_l2_addresses_answered_by_datapath",
                "Of those, the ones that the datapath answers for.", {}, responder_.answered());
  page.AddGauge("portolan_l2_links", "Interfaces that frames go out on.", {},
                static_cast<double>(links_.size()));
  page.AddCounter("portolan_l2_frames_sent_total", "Answers, announcements and heartbeats.", {},
                  static_cast<double>(frames_sent_));
  page.AddCounter("portolan_l2_frames_lost_total", "Frames that were late or that did not go out.",
                  {}, static_cast<double>(frames_lost_));
}

void L2Service::Execute(const PublishStatus& effect) {
  const std::string key = StatusKey(context_.node, effect.kind, effect.key);
  if (!effect.status.has_value()) return statuses_.Remove(key);
  statuses_.Upsert(key, ToProto(context_.node, effect.kind, effect.key, *effect.status));
  if (effect.status->state != State::kReady && effect.status->state != State::kPending) {
    context_.log->Warning(effect.status->reason, {{"kind", effect.kind},
                                                  {"key", effect.key},
                                                  {"message", effect.status->message},
                                                  {"remedy", effect.status->remedy}});
  }
}

void L2Service::Execute(const ArmTimer& effect) {
  context_.loop->Cancel(timer_);
  const absl::Duration delay = effect.at - context_.clock->Now();
  timer_ = context_.loop->RunAfter(std::max(delay, absl::ZeroDuration()),
                                   [this] { Handle(TimerFired{}); });
}

bool L2Service::ReadFrames(const std::string& interface) {
  std::array<uint8_t, 2048> buffer;
  for (int i = 0; i < kFramesAtOnce; ++i) {
    // Handling a frame may close the link.
    auto link = links_.find(interface);
    if (link == links_.end()) return true;
    const std::optional<size_t> size = link->second.socket->Receive(absl::MakeSpan(buffer));
    if (!size.has_value()) return true;
    absl::StatusOr<Frame> frame = Decode(absl::MakeConstSpan(buffer.data(), *size));
    if (frame.ok()) Handle(FrameReceived{interface, *std::move(frame)});
  }
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<process::Service>> NewL2Service(const process::Context& context,
                                                               const plugin::Registry& registry,
                                                               const Options& options) {
  Elections elections;
  for (const std::string& name : registry.Names(plugin::OwnerElection::kExtensionPoint)) {
    ASSIGN_OR_RETURN(elections[name], registry.Create<plugin::OwnerElection>(name, ""));
  }
  if (!elections.contains(Settings().owner_election)) {
    return absl::InternalError(absl::StrCat("there is no owner election \"",
                                            Settings().owner_election, "\" in this program"));
  }
  return std::make_unique<L2Service>(context, std::move(elections), options);
}

}  // namespace portolan::l2
