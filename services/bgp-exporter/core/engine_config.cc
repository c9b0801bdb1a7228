// Which peers this node has, out of the configuration, and what is wrong with the others.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/bgp-exporter/core/engine.h"

namespace portolan::bgp {
namespace {

StatusView Refusal(const PeerConfig& config, StatusState state, absl::string_view reason,
                   std::string message, std::string remedy) {
  StatusView view;
  view.kind = "peer";
  view.key = config.key();
  view.state = state;
  view.reason = std::string(reason);
  view.message = absl::StrCat("peer ", config.name, ": ", message);
  view.remedy = std::move(remedy);
  return view;
}

// FNV-1a: an identifier for nodes without an IPv4 address; any non-zero value will do (RFC 6286).
uint32_t IdentifierFromName(absl::string_view name) {
  uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash == 0 ? 1 : hash;
}

std::vector<net::Family> FamiliesOf(const PeerConfig& config) {
  if (config.families.empty()) return {config.address.family()};
  std::vector<net::Family> families;
  for (const FamilyConfig& each : config.families) families.push_back(each.family);
  return families;
}

std::string InstanceProblem(const InstanceConfig& instance) {
  if (!instance.problem.empty()) return instance.problem;
  if (instance.local_as == 0) return "local-as is 0, which is reserved (RFC 7607)";
  if (instance.router_id.has_value() &&
      (!instance.router_id->is_ipv4() || instance.router_id->IsUnspecified())) {
    return absl::StrCat("router-id ", instance.router_id->ToString(),
                        " is not a non-zero dotted quad");
  }
  return "";
}

std::string PeerProblem(const PeerConfig& config) {
  if (!config.problem.empty()) return config.problem;
  if (config.remote_as == 0) return "remote-as is 0, which is reserved (RFC 7607)";
  if (config.port == 0) return "port is 0";
  if (config.hold_time_s == 1 || config.hold_time_s == 2) {
    return absl::StrCat("hold-time ", config.hold_time_s, " s is neither 0 nor 3 or more");
  }
  if (config.address.IsUnspecified() || config.address.IsMulticast()) {
    return absl::StrCat("address ", config.address.ToString(), " is not the address of a router");
  }
  for (const FamilyConfig& each : config.families) {
    if (each.family == net::Family::kIpv6 && each.next_hop && each.next_hop->is_ipv4()) {
      return absl::StrCat("next-hop ", each.next_hop->ToString(), " of family ipv6 is IPv4");
    }
  }
  return "";
}

}  // namespace

const NodeConfig* Engine::ThisNode() const {
  const auto node = nodes_.find(options_.node);
  return node == nodes_.end() ? nullptr : &node->second;
}

uint32_t Engine::RouterId(const InstanceConfig& instance) const {
  const NodeConfig* node = ThisNode();
  if (instance.router_id.has_value()) return static_cast<uint32_t>(instance.router_id->value());
  if (node != nullptr && node->ipv4_address.has_value()) {
    return static_cast<uint32_t>(node->ipv4_address->value());
  }
  return IdentifierFromName(options_.node);
}

Engine::Verdict Engine::Judge(const PeerConfig& config) const {
  const NodeConfig* node = ThisNode();
  if (!config.node_selector.Matches(options_.node, node == nullptr ? Labels() : node->labels)) {
    return {};
  }
  Verdict verdict{.kind = Verdict::kBad, .status = {}, .parameters = {}};
  const std::string problem = PeerProblem(config);
  if (!problem.empty()) {
    verdict.status =
        Refusal(config, StatusState::kRejected, "invalid-peer", problem,
                absl::StrCat("correct peer ", config.name, " of instance ", config.instance));
    return verdict;
  }
  const auto instance = instances_.find(config.instance);
  if (instance == instances_.end()) {
    verdict.status = Refusal(config, StatusState::kPending, "no-instance",
                             absl::StrCat("instance ", config.instance, " does not exist"),
                             absl::StrCat("add instance ", config.instance));
    return verdict;
  }
  const std::string instance_problem = InstanceProblem(instance->second);
  if (!instance_problem.empty()) {
    verdict.status = Refusal(config, StatusState::kRejected, "invalid-instance",
                             absl::StrCat("instance ", config.instance, ": ", instance_problem),
                             absl::StrCat("correct instance ", config.instance));
    return verdict;
  }
  if (!config.enabled) {
    verdict.status = Refusal(config, StatusState::kPending, "disabled", "enabled is false",
                             "set enabled to true to have a session");
    return verdict;
  }
  verdict.kind = Verdict::kRun;
  verdict.parameters = {
      .local_as = instance->second.local_as,
      .remote_as = config.remote_as,
      .router_id = RouterId(instance->second),
      .hold_time_s = config.hold_time_s,
      .families = FamiliesOf(config),
      .ipv4_over_ipv6_hop = std::any_of(config.families.begin(), config.families.end(),
                                        [](const FamilyConfig& each) {
                                          return each.next_hop &&
                                                 each.next_hop->family() != each.family;
                                        }),
      .graceful_restart_time_s = instance->second.graceful_restart_time_s,
  };
  return verdict;
}

void Engine::ReconcilePeers() {
  std::map<std::pair<net::IpAddress, uint16_t>, std::string> owners;
  std::set<std::string> run;
  std::set<std::string> told;
  for (const auto& [key, config] : peer_configs_) {
    Verdict verdict = Judge(config);
    if (verdict.kind == Verdict::kRun) {
      const auto [owner, first] = owners.insert({{config.address, config.port}, key});
      if (!first) {
        verdict.kind = Verdict::kBad;
        verdict.status = Refusal(config, StatusState::kRejected, "duplicate-address",
                                 absl::StrCat(config.address.ToString(), " port ", config.port,
                                              " is the address of peer ", owner->second, " too"),
                                 "remove one of the two peers, or change its address");
      }
    }
    if (verdict.kind == Verdict::kElsewhere) continue;
    told.insert(key);
    if (verdict.kind == Verdict::kRun) {
      run.insert(key);
      RunPeer(config, verdict.parameters);
    } else {
      RemovePeerEntry(key,
                      {kCease, config.enabled ? kPeerDeconfigured : kAdministrativeShutdown, ""});
      PublishStatusView(std::move(verdict.status));
    }
  }
  std::vector<std::string> gone;
  for (const auto& [key, entry] : peers_) {
    if (run.count(key) == 0) gone.push_back(key);
  }
  for (const std::string& key : gone) RemovePeerEntry(key, {kCease, kPeerDeconfigured, ""});
  std::vector<std::string> untold;
  for (const auto& [id, view] : statuses_) {
    if (id.first == "peer" && told.count(id.second) == 0) untold.push_back(id.second);
  }
  for (const std::string& key : untold) EraseStatus("peer", key);
  ReconcileListeners();
  all_statuses_dirty_ = true;
}

void Engine::RunPeer(const PeerConfig& config, const SessionParameters& parameters) {
  const std::string key = config.key();
  const auto existing = peers_.find(key);
  if (existing != peers_.end()) {
    Entry& entry = existing->second;
    if (entry.peer.Adopt(config, parameters)) {
      FindNextHops(entry);
      entry.rib.MarkAllDirty();
      return;
    }
    RemovePeerEntry(key, {kCease, kConfigurationChange, ""});
  }
  Entry& entry = peers_.emplace(key, Entry{.peer = Peer(config, parameters, now_)}).first->second;
  const size_t first = effects_.size();
  PeerContext context = Context(entry.peer);
  entry.peer.Start(context);
  Touched(entry, first);
}

void Engine::RemovePeerEntry(const std::string& key, const Notification& farewell) {
  const auto existing = peers_.find(key);
  if (existing == peers_.end()) return;
  Entry& entry = existing->second;
  const size_t first = effects_.size();
  PeerContext context = Context(entry.peer);
  entry.peer.Stop(farewell, context);
  Touched(entry, first);
  Reschedule(key, absl::InfiniteFuture());
  effects_.push_back(RemovePeer{key});
  EraseStatus("peer", key);
  peers_.erase(existing);
}

void Engine::ReconcileListeners() {
  std::map<std::string, Listen> wanted;
  for (const auto& [key, entry] : peers_) {
    const PeerConfig& config = entry.peer.config();
    const InstanceConfig& instance = instances_.at(config.instance);
    if (instance.listen_port == 0) continue;
    Listen& listen = wanted[instance.name];
    listen.instance = instance.name;
    listen.port = instance.listen_port;
    if (!config.password.empty()) listen.keys.push_back({config.address, config.password});
  }
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    if (wanted.count(it->first) > 0) {
      ++it;
      continue;
    }
    effects_.push_back(Listen{it->first, 0, {}});
    listen_problems_.erase(it->first);
    it = listeners_.erase(it);
  }
  for (const auto& [instance, listen] : wanted) {
    const auto known = listeners_.find(instance);
    if (known != listeners_.end() && known->second == listen) continue;
    listeners_[instance] = listen;
    effects_.push_back(listen);
  }
}

void Engine::On(const ListenResult& event) {
  if (listeners_.count(event.instance) == 0) return;
  if (event.problem.empty()) {
    listen_problems_.erase(event.instance);
  } else {
    listen_problems_[event.instance] = event.problem;
    listen_retry_at_ = std::min(listen_retry_at_, now_ + absl::Seconds(10));
  }
  all_statuses_dirty_ = flush_due_ = true;
}

void Engine::PublishInstanceStatuses() {
  std::set<std::string> told;
  for (const auto& [name, instance] : instances_) {
    StatusView view{.kind = "instance", .key = name};
    const std::string problem = InstanceProblem(instance);
    const auto listen_problem = listen_problems_.find(name);
    if (!problem.empty()) {
      view.state = StatusState::kRejected;
      view.reason = "invalid-instance";
      view.message = absl::StrCat("instance ", name, ": ", problem);
      view.remedy = absl::StrCat("correct instance ", name);
    } else if (listen_problem != listen_problems_.end()) {
      view.state = StatusState::kDegraded;
      view.reason = "listen-failed";
      view.message =
          absl::StrCat("instance ", name, " cannot listen on port ", instance.listen_port, ": ",
                       listen_problem->second, "; peers are dialled all the same");
      view.remedy =
          absl::StrCat("free TCP port ", instance.listen_port, ", set listen-port of instance ",
                       name, " to another one, or to 0 to dial only");
    } else {
      view.state = StatusState::kReady;
      view.reason = "running";
      view.message = instance.listen_port == 0
                         ? absl::StrCat("instance ", name, " dials its peers")
                         : absl::StrCat("instance ", name, " dials its peers and listens on port ",
                                        instance.listen_port);
    }
    told.insert(name);
    PublishStatusView(std::move(view));
  }
  std::vector<std::string> untold;
  for (const auto& [id, view] : statuses_) {
    if (id.first == "instance" && told.count(id.second) == 0) untold.push_back(id.second);
  }
  for (const std::string& key : untold) EraseStatus("instance", key);
}

}  // namespace portolan::bgp
