// A world for tests of the engine: the routers at the other end of its connections, its timer, and
// everything that it publishes. A test acts on it and looks at the result; nothing is expected call
// by call. Single-threaded; time passes only in Pass().
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/bgp-exporter/core/engine.h"

namespace portolan::bgp {

using net::Family;
using net::IpAddress;
using net::Prefix;

inline IpAddress Address(absl::string_view text) { return *IpAddress::Parse(text); }

// A router at the other end of the engine's connections, and a log of what is published.
class World {
 public:
  explicit World(Engine::Options options = {.node = "a"}) : engine_(std::move(options), now) {}

  void Do(const Event& event) {
    Absorb(engine_.Handle(event, now));
    for (int i = 0; i < 10 && timer <= now; ++i) {
      timer = absl::InfiniteFuture();
      Absorb(engine_.Handle(Tick(), now));
    }
  }
  // Lets the time pass, timer by timer.
  void Pass(absl::Duration duration) {
    const absl::Time end = now + duration;
    while (timer <= end) {
      now = std::max(now, timer);
      timer = absl::InfiniteFuture();
      Absorb(engine_.Handle(Tick(), now));
    }
    now = end;
  }
  void SyncConfig() {
    for (const Input input : {Input::kInstances, Input::kPeers, Input::kNodes}) {
      Do(InputSynced{input});
    }
  }
  void SyncAll() {
    SyncConfig();
    for (const Input input :
         {Input::kAdvertisements, Input::kStages, Input::kAllocations, Input::kDatapath}) {
      Do(InputSynced{input});
    }
  }
  // The configuration of most tests: one instance, one external peer, everything advertised.
  void Configure(const std::function<void(InstanceConfig&, PeerConfig&)>& edit = nullptr) {
    InstanceConfig instance{.name = "lab",
                            .local_as = 65001,
                            .router_id = Address("10.0.0.1"),
                            .graceful_restart_time_s = 120};
    PeerConfig peer;
    peer.instance = "lab";
    peer.name = "tor";
    peer.address = Address("10.0.0.2");
    peer.remote_as = 65000;
    peer.families = {{Family::kIpv4, std::nullopt}, {Family::kIpv6, std::nullopt}};
    if (edit) edit(instance, peer);
    Do(InstanceChanged{instance});
    Do(PeerChanged{peer});
    AdvertisementConfig advertisement;
    advertisement.instance = "lab";
    advertisement.name = "all";
    Do(AdvertisementChanged{advertisement});
  }
  void Allocate(const std::string& key, std::vector<absl::string_view> addresses,
                const Labels& labels = {}) {
    AllocationInput allocation{.key = key, .generation = 3, .labels = labels};
    for (const auto address : addresses) allocation.grants.push_back({Address(address), "main"});
    Do(AllocationChanged{allocation});
  }
  void OpenGate(const std::string& key, std::vector<absl::string_view> addresses) {
    DatapathInput datapath{.key = key};
    for (const auto address : addresses) datapath.addresses.insert(Address(address));
    Do(DatapathChanged{datapath});
  }

  std::optional<std::vector<ReviewFinding>> Review(const ProposedConfig& proposed) const {
    return engine_.Review(proposed);
  }

  // The router answers the last dial, or connects itself, and completes the handshake.
  void Up(const Open& open = RouterOpen(),
          std::vector<absl::string_view> same_interface = {"fe80::1", "2001:db8::1"}) {
    ASSERT_FALSE(dials.empty());
    connection = dials.back().connection;
    LocalAddresses local{.session = Address("10.0.0.1")};
    for (const auto each : same_interface) local.same_interface.push_back(Address(each));
    Do(Connected{connection, local});
    Do(Received{connection, EncodeOpen(open)});
    Do(Received{connection, EncodeKeepalive()});
  }
  static Open RouterOpen() {
    return {.as_number = 65000,
            .hold_time_s = 90,
            .router_id = 0x0a000002,
            .families = std::vector<Family>{Family::kIpv4, Family::kIpv6},
            .four_octet_as = true,
            .route_refresh = true,
            .graceful_restart = GracefulRestart{.restart_time_s = 120}};
  }
  // As text, in order, since the last call: "OPEN", "+2", "-1", "EOR ipv4", "NOTIFICATION 6/2".
  std::string Heard() {
    std::string text = std::move(heard_);
    heard_.clear();
    return text;
  }
  StatusView Status(const std::string& kind, const std::string& key) {
    return statuses.count({kind, key}) > 0 ? statuses[{kind, key}] : StatusView();
  }

  // Gives an order and returns its answer.
  OrderDone Order(Event event) {
    std::visit(
        [this](auto& each) {
          if constexpr (requires { each.order; }) each.order = ++last_order_;
        },
        event);
    Do(event);
    return answers.count(last_order_) > 0 ? answers[last_order_] : OrderDone();
  }
  // The community values of a route that the peer "lab/tor" has.
  std::vector<uint32_t> Communities(absl::string_view prefix) {
    const auto route = routes.find({"lab/tor", *Prefix::Parse(prefix)});
    return route == routes.end() ? std::vector<uint32_t>() : route->second.communities;
  }

  absl::Time now = absl::UnixEpoch();
  absl::Time timer = absl::InfiniteFuture();
  std::vector<Connect> dials;
  std::vector<ConnectionId> closed;
  std::vector<Listen> listens;
  ConnectionId connection = 0;
  std::optional<Open> last_open;
  std::map<std::string, PeerView> peers;
  std::map<std::pair<std::string, Prefix>, RouteView> routes;
  std::map<std::pair<std::string, std::string>, StatusView> statuses;
  bool synced = false;
  std::map<OrderId, OrderDone> answers;
  std::string disk_problem;         // empty: drains can be saved
  std::optional<absl::Time> saved;  // the drain on disk
  std::string heard_cease;          // text of the last Cease, RFC 9003

 private:
  void Say(absl::string_view text) { absl::StrAppend(&heard_, heard_.empty() ? "" : " ", text); }
  void Hear(const Message& message) {
    if (const auto* open = std::get_if<Open>(&message)) {
      last_open = *open;
      Say("OPEN");
    } else if (const auto* update = std::get_if<Update>(&message)) {
      EXPECT_EQ(update->treat_as_withdraw, "");
      if (update->withdrawn > 0) Say(absl::StrCat("-", update->withdrawn));
      if (update->announced > 0) Say(absl::StrCat("+", update->announced));
      if (update->end_of_rib) Say(absl::StrCat("EOR ", net::FamilyName(*update->end_of_rib)));
    } else if (const auto* notification = std::get_if<Notification>(&message)) {
      Say(absl::StrCat("NOTIFICATION ", notification->code, "/", notification->subcode));
      heard_cease = notification->data.empty() ? "" : notification->data.substr(1);
    }
  }
  void Absorb(std::vector<Effect> effects) {
    for (Effect& effect : effects) std::visit([this](auto& each) { On(each); }, effect);
  }
  void On(Connect& effect) { dials.push_back(effect); }
  void On(Keep&) {}
  void On(Send& effect) {
    Octets rest = AsOctets(effect.octets);
    while (!rest.empty()) {
      const auto frame = std::get<Frame>(*NextFrame(rest));
      Hear(std::get<Message>(Decode(frame, true)));
      rest.remove_prefix(frame.size);
    }
  }
  void On(Close& effect) { closed.push_back(effect.connection); }
  void On(Listen& effect) { listens.push_back(effect); }
  void On(ArmTimer& effect) { timer = effect.at; }
  void On(PublishPeer& effect) {
    peers[effect.view.instance + "/" + effect.view.name] = effect.view;
  }
  void On(RemovePeer& effect) { peers.erase(effect.peer); }
  void On(PublishRoute& effect) { routes[{effect.view.peer, effect.view.prefix}] = effect.view; }
  void On(RemoveRoute& effect) { routes.erase({effect.peer, effect.prefix}); }
  void On(PublishStatus& effect) { statuses[{effect.view.kind, effect.view.key}] = effect.view; }
  void On(RemoveStatus& effect) { statuses.erase({effect.kind, effect.key}); }
  void On(SaveDrain& effect) {
    if (disk_problem.empty()) saved = effect.withdraw_at;
    Do(DrainSaved{effect.order, effect.withdraw_at, disk_problem});
  }
  void On(OrderDone& effect) { answers[effect.order] = effect; }
  void On(MarkSynced&) { synced = true; }

  Engine engine_;
  std::string heard_;
  OrderId last_order_ = 0;
};

}  // namespace portolan::bgp
