// A LAN of announcer engines for tests: a world with state, not a script of calls.
//
// Frames arrive at once and in order; time moves only in RunFor(). A node can be frozen (it gets
// frames and timers when it thaws), killed, or cut off in one direction.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "plugins/owner_elections/rendezvous/rendezvous.h"
#include "plugins/sdk/owner_election.h"
#include "services/l2-announcer/core/engine.h"

namespace portolan::l2 {

inline net::IpAddress Ip(absl::string_view text) { return *net::IpAddress::Parse(text); }
inline net::MacAddress Mac(absl::string_view text) { return *net::MacAddress::Parse(text); }

inline Elections BuiltinElections() {
  std::unique_ptr<plugin::Stage> stage = *plugin::NewRendezvousFactory()->Create("");
  return {{"rendezvous", std::shared_ptr<const plugin::OwnerElection>(
                             dynamic_cast<plugin::OwnerElection*>(stage.release()))}};
}

class World {
 public:
  struct Node {
    std::unique_ptr<Engine> engine;
    net::MacAddress mac;
    bool frozen = false;
    bool open = false;
    absl::Time timer = absl::InfiniteFuture();
    std::deque<Event> waiting;  // while frozen
    std::map<std::pair<std::string, std::string>, Status> statuses;
    std::map<std::string, Announcement> announcements;  // by address
    std::set<std::string> groups;
    std::vector<std::pair<absl::Time, Frame>> sent;
    std::vector<net::IpAddress> asked;  // of the frames sent, those that are answers
  };

  absl::Time now() const { return now_; }
  Node& operator[](const std::string& name) { return nodes_.at(name); }

  // A new process on `name`. Its interface "lan" exists; it knows nothing else yet.
  void Start(const std::string& name) {
    Node& node = nodes_[name];
    node = Node();
    node.mac = MacOf(name);
    node.engine = std::make_unique<Engine>(Engine::Options{
        .node = name, .life = ++lives_ * 0x9e3779b97f4a7c15u, .elections = BuiltinElections()});
    Tell(name, InterfaceChanged{"lan", Lan0(name)});
  }
  void Kill(const std::string& name) { nodes_.erase(name); }

  static net::MacAddress MacOf(const std::string& name) {
    return {{0x02, 0, 0, 0, 1, static_cast<uint8_t>(name[0])}};
  }
  static Interface Lan0(const std::string& name) {
    const auto last = static_cast<uint8_t>(name[0]);
    return {.index = 2,
            .mac = MacOf(name),
            .up = true,
            .ethernet = true,
            .addresses = {net::IpAddress::FromValue(net::Family::kIpv4, 0xac12ff00u + last),
                          net::IpAddress::FromValue(net::Family::kIpv6,
                                                    absl::MakeUint128(0xfe80000000000000u, last))}};
  }

  // The usual configuration: all `nodes`, one policy for everything, and the first snapshot done.
  void Configure(const std::string& name, const std::vector<std::string>& nodes) {
    for (const std::string& node : nodes) Tell(name, NodeChanged{node, Labels{{"name", node}}});
    Tell(name, PolicyChanged{"all", Policy{}});
    Tell(name, Synced{});
  }
  void StartAll(const std::vector<std::string>& nodes) {
    for (const std::string& node : nodes) Start(node);
    for (const std::string& node : nodes) Configure(node, nodes);
  }
  // The address is allocated and programmed on every node.
  void Allocate(const std::string& service, const std::vector<std::string>& addresses) {
    for (auto& [name, node] : nodes_) AllocateOn(name, service, addresses);
  }
  void AllocateOn(const std::string& name, const std::string& service,
                  const std::vector<std::string>& addresses) {
    Allocation allocation{.generation = 1};
    std::set<net::IpAddress> carried;
    for (const std::string& address : addresses) {
      allocation.grants.push_back({Ip(address), "pool"});
      carried.insert(Ip(address));
    }
    Tell(name, AllocationChanged{service, allocation});
    Tell(name, GateChanged{service, carried});
  }

  void Tell(const std::string& name, Event event) {
    Node& node = nodes_.at(name);
    if (node.frozen) {
      node.waiting.push_back(std::move(event));
      return;
    }
    Execute(name, node.engine->Handle(event, now_));
    Drain();
  }
  void TellAll(const Event& event) {
    for (const std::string& name : Names()) Tell(name, event);
  }

  void Freeze(const std::string& name) { nodes_.at(name).frozen = true; }
  // Whatever waited is handled in the order of its arrival, then the timer.
  void Thaw(const std::string& name) {
    Node& node = nodes_.at(name);
    node.frozen = false;
    for (Event& event : std::exchange(node.waiting, {})) Tell(name, std::move(event));
  }

  // Frames of `from` no longer (or again) reach `to`.
  void Cut(const std::string& from, const std::string& to) { cut_.insert({from, to}); }
  void Mend() { cut_.clear(); }

  void RunFor(absl::Duration time) {
    const absl::Time end = now_ + time;
    for (int steps = 0; steps < 200000; ++steps) {
      std::string next;
      absl::Time at = end;
      for (auto& [name, node] : nodes_) {
        if (!node.frozen && node.timer <= at && (next.empty() || node.timer < at)) {
          next = name;
          at = node.timer;
        }
      }
      if (next.empty()) {
        now_ = end;
        return;
      }
      now_ = std::max(now_, at);
      nodes_.at(next).timer = absl::InfiniteFuture();
      Tell(next, TimerFired{});
    }
    abort();  // a timer is armed again and again
  }

  // A frame from a host that is no node.
  void Send(const Frame& frame) {
    for (const std::string& name : Names()) Tell(name, FrameReceived{"lan", frame});
  }
  // Everybody who answers when a client asks by ARP or ND.
  std::vector<std::string> Ask(const std::string& address) {
    const net::IpAddress target = Ip(address);
    for (auto& [name, node] : nodes_) node.sent.clear();
    Send(Question(target));
    std::vector<std::string> answered;
    for (auto& [name, node] : nodes_) {
      for (const auto& [at, frame] : node.sent) {
        const auto* arp = std::get_if<ArpFrame>(&frame);
        const auto* advertisement = std::get_if<NeighborAdvertisement>(&frame);
        if ((arp != nullptr && arp->operation == ArpFrame::Operation::kReply &&
             arp->destination == Client()) ||
            (advertisement != nullptr && advertisement->solicited)) {
          answered.push_back(name);
        }
      }
    }
    return answered;
  }
  static net::MacAddress Client() { return {{0x02, 0, 0, 0, 0, 0x77}}; }
  static Frame Question(const net::IpAddress& target) {
    if (target.is_ipv4()) {
      return ArpFrame{.destination = net::MacAddress::Broadcast(),
                      .source = Client(),
                      .operation = ArpFrame::Operation::kRequest,
                      .sender_mac = Client(),
                      .sender_ip = Ip("172.18.255.9"),
                      .target_ip = target};
    }
    const net::IpAddress group = SolicitedNodeGroup(target);
    return NeighborSolicitation{.destination = MulticastMac(group),
                                .source = Client(),
                                .source_ip = Ip("fe80::77"),
                                .destination_ip = group,
                                .target = target,
                                .source_link = Client()};
  }

  const Status& StatusOf(const std::string& node, const std::string& service) {
    return nodes_.at(node).statuses.at({"service", service});
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [name, node] : nodes_) names.push_back(name);
    return names;
  }

 private:
  void Execute(const std::string& name, std::vector<Effect> effects) {
    for (Effect& effect : effects) {
      Node& node = nodes_.at(name);
      if (auto* send = std::get_if<SendFrame>(&effect)) {
        node.sent.emplace_back(now_, send->frame);
        if (send->asked.has_value()) node.asked.push_back(*send->asked);
        if (node.open) flying_.emplace_back(name, std::move(send->frame));
      } else if (auto* open = std::get_if<OpenLink>(&effect)) {
        node.open = true;
        todo_.emplace_back(name, LinkOpened{open->interface});
      } else if (std::holds_alternative<CloseLink>(effect)) {
        node.open = false;
        node.groups.clear();
      } else if (auto* join = std::get_if<JoinGroup>(&effect)) {
        node.groups.insert(join->group.ToString());
      } else if (auto* leave = std::get_if<LeaveGroup>(&effect)) {
        node.groups.erase(leave->group.ToString());
      } else if (auto* timer = std::get_if<ArmTimer>(&effect)) {
        node.timer = timer->at;
      } else if (auto* status = std::get_if<PublishStatus>(&effect)) {
        if (status->status.has_value()) {
          node.statuses[{status->kind, status->key}] = *status->status;
        } else {
          node.statuses.erase({status->kind, status->key});
        }
      } else if (auto* published = std::get_if<PublishAnnouncement>(&effect)) {
        if (published->announcement.has_value()) {
          node.announcements[published->address.ToString()] = *published->announcement;
        } else {
          node.announcements.erase(published->address.ToString());
        }
      }
    }
  }

  // Answers to links and frames in flight, until there are none.
  void Drain() {
    if (draining_) return;
    draining_ = true;
    while (!todo_.empty() || !flying_.empty()) {
      if (!todo_.empty()) {
        auto [name, event] = std::move(todo_.front());
        todo_.pop_front();
        if (nodes_.contains(name)) Tell(name, std::move(event));
        continue;
      }
      auto [from, frame] = std::move(flying_.front());
      flying_.pop_front();
      const net::MacAddress destination =
          std::visit([](const auto& value) { return value.destination; }, frame);
      for (const std::string& to : Names()) {
        Node& node = nodes_.at(to);
        if (to == from || cut_.contains({from, to}) || !node.open) continue;
        if (!destination.IsMulticast() && destination != node.mac) continue;
        Tell(to, FrameReceived{"lan", frame});
      }
    }
    draining_ = false;
  }

  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  uint64_t lives_ = 0;
  std::map<std::string, Node> nodes_;
  std::set<std::pair<std::string, std::string>> cut_;
  std::deque<std::pair<std::string, Event>> todo_;
  std::deque<std::pair<std::string, Frame>> flying_;
  bool draining_ = false;
};

}  // namespace portolan::l2
