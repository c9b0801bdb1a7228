#include "services/bgp-exporter/core/engine.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace portolan::bgp {
namespace {

// After a restart, End-of-RIB waits this long for the datapath to speak of every Service.
constexpr absl::Duration kSettleTime = absl::Seconds(5);

// So many routes at once are no news of a single Service.
constexpr size_t kManyRoutes = 100;

}  // namespace

Engine::Engine(Options options, absl::Time now)
    : options_(std::move(options)), started_(now), rng_(options_.seed), now_(now) {
  if (options_.drain.has_value()) drain_ = std::max(*options_.drain, now);
}

std::vector<Effect> Engine::Handle(const Event& event, absl::Time now) {
  now_ = now;
  effects_.clear();
  if (stopped_) return {};
  std::visit([this](const auto& each) { On(each); }, event);
  absl::Time next = flush_due_ ? now_ : listen_retry_at_;
  if (!timers_.empty()) next = std::min(next, timers_.begin()->first);
  if (!settled_ && settle_by_ != absl::InfinitePast()) next = std::min(next, settle_by_);
  if (drain_.has_value() && !withdrawn_) next = std::min(next, *drain_);
  if (next != armed_ && next != absl::InfiniteFuture() && !stopped_) {
    armed_ = next;
    effects_.push_back(ArmTimer{next});
  }
  return std::move(effects_);
}

// ---- inputs ----

void Engine::On(const InstanceChanged& event) {
  instances_[event.config.name] = event.config;
  config_dirty_ = flush_due_ = true;
}

void Engine::On(const InstanceRemoved& event) {
  instances_.erase(event.name);
  config_dirty_ = flush_due_ = true;
}

void Engine::On(const PeerChanged& event) {
  peer_configs_[event.config.key()] = event.config;
  config_dirty_ = flush_due_ = true;
}

void Engine::On(const PeerRemoved& event) {
  peer_configs_.erase(event.key);
  config_dirty_ = flush_due_ = true;
}

void Engine::On(const AdvertisementChanged& event) {
  advertisements_.Set(event.config);
  all_services_dirty_ = flush_due_ = true;
}

void Engine::On(const AdvertisementRemoved& event) {
  advertisements_.Erase(event.key);
  all_services_dirty_ = flush_due_ = true;
}

void Engine::On(const NodeChanged& event) {
  nodes_[event.config.name] = event.config;
  if (event.config.name == options_.node) config_dirty_ = flush_due_ = true;
}

void Engine::On(const NodeRemoved& event) {
  nodes_.erase(event.name);
  if (event.name == options_.node) config_dirty_ = flush_due_ = true;
}

void Engine::On(const DatapathStageChanged& event) {
  if (datapath_stage_ == event.enabled) return;
  datapath_stage_ = event.enabled;
  all_services_dirty_ = flush_due_ = true;
}

void Engine::Touch(const std::string& service) {
  dirty_services_.insert(service);
  status_dirty_services_.insert(service);  // says what is waited for, too
  flush_due_ = true;
}

void Engine::On(const AllocationChanged& event) {
  allocations_[event.allocation.key] = event.allocation;
  Touch(event.allocation.key);
}

void Engine::On(const AllocationRemoved& event) {
  if (allocations_.erase(event.key) == 0) return;
  Touch(event.key);
}

void Engine::On(const DatapathChanged& event) {
  DatapathInput& known = datapath_[event.datapath.key];
  if (known == event.datapath) return;
  known = event.datapath;
  Touch(event.datapath.key);
}

void Engine::On(const DatapathRemoved& event) {
  if (datapath_.erase(event.key) == 0) return;
  Touch(event.key);
}

void Engine::On(const InputSynced& event) {
  if (synced_[static_cast<size_t>(event.input)]) return;
  synced_.set(static_cast<size_t>(event.input));
  if (ConfigSynced()) config_dirty_ = true;
  flush_due_ = true;
}

bool Engine::ConfigSynced() const {
  const auto has = [this](Input input) { return synced_[static_cast<size_t>(input)]; };
  return has(Input::kInstances) && has(Input::kPeers) && has(Input::kNodes);
}

bool Engine::AllSynced() const {
  std::bitset<kInputCount> missing = ~synced_;
  if (!datapath_stage_) missing.reset(static_cast<size_t>(Input::kDatapath));
  return missing.none();
}

// ---- transport ----

PeerContext Engine::Context(const Peer& peer) {
  const absl::Duration window = absl::Seconds(peer.parameters().graceful_restart_time_s);
  return {now_,
          rng_,
          next_connection_,
          {.restarting = options_.restarted && now_ < started_ + window,
           .forwarding_kept = options_.forwarding_kept},
          effects_};
}

Engine::Entry* Engine::EntryOf(ConnectionId id) {
  const auto key = connections_.find(id);
  if (key == connections_.end()) return nullptr;
  const auto entry = peers_.find(key->second);
  return entry == peers_.end() ? nullptr : &entry->second;
}

void Engine::On(const Connected& event) {
  Entry* entry = EntryOf(event.connection);
  if (entry == nullptr) return;
  const size_t first = effects_.size();
  PeerContext context = Context(entry->peer);
  entry->peer.Connected(event.connection, event.local, context);
  Touched(*entry, first);
}

void Engine::On(const Accepted& event) {
  for (auto& [key, entry] : peers_) {
    const PeerConfig& config = entry.peer.config();
    if (config.instance != event.instance || config.address != event.remote) continue;
    connections_[event.connection] = key;
    const size_t first = effects_.size();
    PeerContext context = Context(entry.peer);
    entry.peer.Accepted(event.connection, event.local, context);
    Touched(entry, first);
    return;
  }
  effects_.push_back(Send{event.connection, EncodeNotification({kCease, kConnectionRejected, ""})});
  effects_.push_back(Close{event.connection});
}

void Engine::On(const Received& event) {
  Entry* entry = EntryOf(event.connection);
  if (entry == nullptr) return;
  const size_t first = effects_.size();
  PeerContext context = Context(entry->peer);
  entry->peer.Received(event.connection, event.octets, context);
  Touched(*entry, first);
}

void Engine::On(const Disconnected& event) {
  Entry* entry = EntryOf(event.connection);
  if (entry == nullptr) return;
  const size_t first = effects_.size();
  PeerContext context = Context(entry->peer);
  entry->peer.Disconnected(event.connection, event.reason, context);
  Touched(*entry, first);
}

void Engine::On(const WriteBlocked& event) {
  Entry* entry = EntryOf(event.connection);
  if (entry == nullptr) return;
  entry->peer.WriteBlocked(event.connection, now_);
  entry->blocked = entry->peer.established() && entry->peer.connection() == event.connection;
  Touched(*entry, effects_.size());
}

void Engine::On(const WriteProgress& event) {
  Entry* entry = EntryOf(event.connection);
  if (entry == nullptr) return;
  entry->peer.WriteProgress(event.connection, event.drained, now_);
  if (event.drained && entry->blocked) {
    entry->blocked = false;
    flush_due_ = true;
  }
  Touched(*entry, effects_.size());
}

void Engine::On(const Tick&) {
  armed_ = absl::InfiniteFuture();
  if (drain_.has_value() && !withdrawn_ && now_ >= *drain_) Withdraw();
  while (!timers_.empty() && timers_.begin()->first <= now_) {
    const std::string key = timers_.begin()->second;
    Entry& entry = peers_.at(key);
    const size_t first = effects_.size();
    PeerContext context = Context(entry.peer);
    entry.peer.Tick(context);
    Touched(entry, first);
  }
  if (now_ >= listen_retry_at_) {
    listen_retry_at_ = absl::InfiniteFuture();
    for (const auto& [instance, problem] : listen_problems_) listeners_.erase(instance);
    config_dirty_ = flush_due_ = true;
  }
  if (flush_due_ || (!settled_ && AllSynced())) Flush();
}

void Engine::On(const Stop&) {
  const Notification farewell =
      CeaseWithText(kAdministrativeShutdown, absl::StrCat("Portolan on ", options_.node, " stops"));
  for (auto& [key, entry] : peers_) {
    PeerContext context = Context(entry.peer);
    entry.peer.Stop(farewell, context);
  }
  for (const auto& [instance, listener] : listeners_) effects_.push_back(Listen{instance, 0, {}});
  stopped_ = true;
}

// ---- sessions ----

// After every call to a peer: keeps indexes, timers and what is published in step.
void Engine::Touched(Entry& entry, size_t first_effect) {
  const std::string key = entry.peer.config().key();
  for (size_t i = first_effect; i < effects_.size(); ++i) {
    if (const auto* connect = std::get_if<Connect>(&effects_[i])) {
      connections_[connect->connection] = key;
    } else if (const auto* close = std::get_if<Close>(&effects_[i])) {
      connections_.erase(close->connection);
    }
  }
  if (entry.seen_epoch != entry.peer.epoch()) SessionChanged(entry);
  for (const net::Family family : entry.peer.TakeRefresh()) {
    entry.refresh.insert(family);
    flush_due_ = true;
  }
  if (entry.seen_error != entry.peer.last_error()) {
    entry.seen_error = entry.peer.last_error();
    all_statuses_dirty_ = flush_due_ = true;
  }
  PublishPeerView(entry);
  Reschedule(key, entry.peer.deadline());
}

void Engine::SessionChanged(Entry& entry) {
  entry.seen_epoch = entry.peer.epoch();
  for (const auto& [prefix, route] : entry.rib.sent()) {
    effects_.push_back(RemoveRoute{entry.peer.config().key(), prefix});
  }
  entry.rib = AdjRibOut();
  entry.filled = false;
  entry.blocked = false;
  entry.refresh.clear();
  entry.end_of_rib_due.clear();
  FindNextHops(entry);
  if (entry.peer.established() && entry.peer.negotiated().wants_end_of_rib) {
    const auto& families = entry.peer.negotiated().families;
    entry.end_of_rib_due.insert(families.begin(), families.end());
  }
  all_statuses_dirty_ = flush_due_ = true;
}

void Engine::PublishPeerView(Entry& entry) {
  const Peer& peer = entry.peer;
  PeerView view{
      .instance = peer.config().instance,
      .name = peer.config().name,
      .address = peer.config().address,
      .remote_as = peer.parameters().remote_as,
      .local_as = peer.parameters().local_as,
      .state = peer.state(),
      .since = peer.since(),
      .prefixes_sent = static_cast<uint32_t>(entry.rib.sent().size()),
      .last_error = peer.last_error(),
  };
  if (peer.established()) {
    view.hold_time_s = static_cast<uint32_t>(absl::ToInt64Seconds(peer.negotiated().hold_time));
  }
  if (view == entry.published) return;
  entry.published = view;
  effects_.push_back(PublishPeer{view});
  PublishStatusView(PeerStatus(entry));
}

void Engine::Reschedule(const std::string& key, absl::Time deadline) {
  const auto known = timer_of_.find(key);
  if (known != timer_of_.end()) {
    if (known->second == deadline) return;
    timers_.erase({known->second, key});
    timer_of_.erase(known);
  }
  if (deadline == absl::InfiniteFuture()) return;
  timers_.insert({deadline, key});
  timer_of_[key] = deadline;
}

// ---- routes ----

void Engine::Flush() {
  flush_due_ = false;
  if (config_dirty_ && ConfigSynced()) {
    config_dirty_ = false;
    ReconcilePeers();
  }
  if (AllSynced()) {
    Settle();
    UpdateServices();
    for (auto& [key, entry] : peers_) {
      if (entry.peer.established() && !entry.blocked) SendRoutes(entry);
    }
  }
  if (ConfigSynced()) PublishStatuses();
  const bool explained = status_dirty_services_.empty() && stale_services_.empty();
  if (ConfigSynced() && explained && !marked_synced_) {
    marked_synced_ = true;
    effects_.push_back(MarkSynced{});
  }
}

// Decides whether End-of-RIB may be sent. A datapath that was restarted with us may be synced and
// still busy; its Services must not vanish from a helper meanwhile (RFC 4724 section 4.1).
void Engine::Settle() {
  if (settled_) return;
  if (settle_by_ == absl::InfinitePast()) settle_by_ = now_ + kSettleTime;
  const bool complete =
      !options_.restarted || !datapath_stage_ ||
      std::all_of(allocations_.begin(), allocations_.end(),
                  [this](const auto& each) { return datapath_.count(each.first) > 0; });
  settled_ = complete || now_ >= settle_by_;
}

void Engine::UpdateServices() {
  all_statuses_dirty_ |= all_services_dirty_;
  for (auto& [peer_key, entry] : peers_) {
    if (!entry.peer.established() || (entry.filled && !all_services_dirty_)) continue;
    for (const auto& [key, allocation] : allocations_) UpdateService(key, entry);
    entry.filled = true;
  }
  all_services_dirty_ = false;
  for (const std::string& key : dirty_services_) {
    for (auto& [peer_key, entry] : peers_) {
      if (entry.filled) UpdateService(key, entry);
    }
    status_dirty_services_.insert(key);
  }
  dirty_services_.clear();
}

void Engine::UpdateService(const std::string& key, Entry& entry) {
  const auto allocation = allocations_.find(key);
  std::map<net::Prefix, Wanted> routes;
  if (allocation != allocations_.end() && !withdrawn_) {
    for (const Grant& grant : allocation->second.grants) {
      if (!GateIsOpen(key, grant.address)) continue;
      auto wanted = advertisements_.Select(allocation->second, grant, entry.peer.config());
      if (!wanted.has_value()) continue;
      if (drain_.has_value()) MarkAsDraining(*wanted);
      routes[net::Prefix::Host(grant.address)] = *std::move(wanted);
    }
  }
  entry.rib.SetService(key, std::move(routes));
}

bool Engine::GateIsOpen(const std::string& service, const net::IpAddress& address) const {
  if (!datapath_stage_) return true;
  const auto datapath = datapath_.find(service);
  return datapath != datapath_.end() && datapath->second.addresses.count(address) > 0;
}

void Engine::SendRoutes(Entry& entry) {
  const std::string key = entry.peer.config().key();
  const SessionEncoding encoding{
      .internal = entry.peer.internal(),
      .local_as = entry.peer.parameters().local_as,
      .four_octet_as = entry.peer.negotiated().four_octet_as,
  };
  const PathDiff diff = entry.rib.Diff(entry.next_hops);
  std::string octets = EncodeDiff(encoding, diff);
  if (!entry.refresh.empty()) {
    PathDiff again;
    for (const auto& [prefix, route] : entry.rib.sent()) {
      if (entry.refresh.count(prefix.family()) > 0) again.announce[prefix] = route;
    }
    octets += EncodeDiff(encoding, again);
    entry.refresh.clear();
  }
  if (settled_) {
    for (const net::Family family : entry.end_of_rib_due) AppendEndOfRib(family, octets);
    entry.end_of_rib_due.clear();
  }
  if (!octets.empty()) effects_.push_back(Send{entry.peer.connection(), std::move(octets)});

  for (const net::Prefix& prefix : diff.withdraw) effects_.push_back(RemoveRoute{key, prefix});
  for (const auto& [prefix, route] : diff.announce) {
    effects_.push_back(PublishRoute{
        {key, prefix, route.attributes.next_hop, route.service, route.attributes.communities}});
    (diff.announce.size() < kManyRoutes ? status_dirty_services_ : stale_services_)
        .insert(route.service);
  }
  if (!diff.empty()) PublishPeerView(entry);
}

void Engine::FindNextHops(Entry& entry) {
  entry.next_hops.clear();
  entry.without_hop.clear();
  if (!entry.peer.established()) return;
  const PeerConfig& config = entry.peer.config();
  const LocalAddresses& local = entry.peer.local();
  for (const net::Family family : entry.peer.negotiated().families) {
    const auto configured =
        std::find_if(config.families.begin(), config.families.end(),
                     [family](const FamilyConfig& each) { return each.family == family; });
    if (configured != config.families.end() && configured->next_hop.has_value()) {
      if (configured->next_hop->family() != family && !entry.peer.negotiated().ipv4_over_ipv6_hop) {
        entry.without_hop[family] =
            absl::StrCat("the peer does not take the IPv6 next-hop ",
                         configured->next_hop->ToString(), " for IPv4 routes (RFC 8950)");
      } else {
        entry.next_hops[family] = *configured->next_hop;
      }
      continue;
    }
    if (local.session.family() == family) {
      entry.next_hops[family] = local.session;
      continue;
    }
    const auto other = std::find_if(local.same_interface.begin(), local.same_interface.end(),
                                    [family](const net::IpAddress& address) {
                                      return address.family() == family && !address.IsLinkLocal();
                                    });
    if (other != local.same_interface.end()) {
      entry.next_hops[family] = *other;
    } else {
      entry.without_hop[family] =
          absl::StrCat("the interface of ", local.session.ToString(), " has no ",
                       net::FamilyName(family), " address to be the next hop");
    }
  }
}

}  // namespace portolan::bgp
