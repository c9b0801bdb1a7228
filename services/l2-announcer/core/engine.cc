#include "services/l2-announcer/core/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/l2-announcer/core/report.h"

namespace portolan::l2 {
namespace {

// What is wrong with the settings; a READY status when nothing is.
Status CheckSettings(const Settings& settings, const Elections& elections) {
  Status status{
      .state = State::kReady, .reason = "in-force", .message = "the settings are in force"};
  const auto reject = [&](std::string message, std::string remedy) {
    status = {.state = State::kRejected,
              .reason = "bad-settings",
              .message = absl::StrCat(message, "; the settings before stay in force"),
              .remedy = std::move(remedy)};
  };
  if (settings.heartbeat_interval < absl::Milliseconds(10)) {
    reject("heartbeat-interval is below 10 ms", "set l2/settings/heartbeat-interval to 10 or more");
  } else if (settings.dead_interval < 2 * settings.heartbeat_interval) {
    reject(absl::StrCat("dead-interval (", absl::FormatDuration(settings.dead_interval),
                        ") is below twice the heartbeat-interval (",
                        absl::FormatDuration(settings.heartbeat_interval), ")"),
           "raise l2/settings/dead-interval");
  } else if (settings.gratuitous_count > 1 &&
             settings.gratuitous_interval < absl::Milliseconds(10)) {
    reject("gratuitous-interval is below 10 ms",
           "set l2/settings/gratuitous-interval to 10 or more");
  } else if (!elections.contains(settings.owner_election)) {
    std::vector<std::string> names;
    for (const auto& [name, election] : elections) names.push_back(name);
    reject(absl::StrCat("owner-election \"", settings.owner_election, "\" does not exist"),
           absl::StrCat("set l2/settings/owner-election to one of: ", absl::StrJoin(names, ", ")));
  }
  return status;
}

}  // namespace

Engine::Engine(Options options)
    : elections_(std::move(options.elections)),
      around_{.node = std::move(options.node), .life = options.life, .alone = true} {
  around_.election = elections_.at(around_.settings.owner_election).get();
}

std::vector<Effect> Engine::Handle(const Event& event, absl::Time now) {
  if (left_) return {};
  now_ = now;
  out_.clear();
  for (auto& [name, lan] : lans_) lan->WakeUp(now, out_);
  std::visit([this](const auto& value) { On(value); }, event);
  UpdateFitness();
  for (auto& [name, lan] : lans_) {
    lan->Advance(now, out_);
    dirty_.merge(lan->TakeChanged());
  }
  PublishStatuses();
  Arm();
  return std::exchange(out_, {});
}

// ---- configuration ----

void Engine::On(const AllocationChanged& event) {
  auto it = services_.find(event.service);
  if (event.allocation.has_value()) {
    services_[event.service].allocation = *event.allocation;
    ReconcileService(event.service);
  } else if (it != services_.end()) {
    it->second.allocation = {};
    ReconcileService(event.service);
    Publish("service", event.service, it->second.published, std::nullopt);
    services_.erase(it);
    dirty_.erase(event.service);
  }
}

void Engine::On(const PolicyChanged& event) {
  if (event.policy.has_value()) {
    config_.policies[event.name] = *event.policy;
  } else {
    config_.policies.erase(event.name);
  }
  ReconcileAll();
}

void Engine::On(const SettingsChanged& event) {
  const Settings settings = event.settings.value_or(Settings());
  Status status = CheckSettings(settings, elections_);
  const bool accepted = status.state == State::kReady;
  Publish("settings", "settings", published_settings_, std::move(status));
  if (!accepted) return;
  around_.settings = settings;
  around_.election = elections_.at(settings.owner_election).get();
  for (auto& [name, lan] : lans_) lan->SettingsChanged(now_, out_);
}

void Engine::On(const NodeChanged& event) {
  if (event.labels.has_value()) {
    config_.nodes[event.name] = *event.labels;
  } else {
    config_.nodes.erase(event.name);
  }
  around_.others.clear();
  for (const auto& [name, labels] : config_.nodes) {
    if (name != around_.node) around_.others.insert(name);
  }
  around_.alone =
      config_.nodes.empty() || (config_.nodes.size() == 1 && config_.nodes.contains(around_.node));
  if (!around_.alone) {
    for (auto& [name, lan] : lans_) lan->KeepOnly(config_.nodes, now_);
  }
  ReconcileAll();
}

void Engine::On(const GateChanged& event) {
  if (event.carried.empty()) {
    carried_.erase(event.service);
  } else {
    carried_[event.service] = event.carried;
  }
  if (services_.contains(event.service)) ReconcileService(event.service);
}

void Engine::On(const PipelineChanged& event) {
  announce_ = event.announce;
  need_datapath_ = event.need_datapath;
  ReconcileAll();
}

void Engine::On(const Synced&) {
  if (synced_) return;
  ReconcileAll();
  synced_ = true;
  ReconcileAll();
}

void Engine::On(const InterfaceChanged& event) {
  if (event.interface.has_value()) {
    config_.interfaces[event.name] = *event.interface;
  } else {
    config_.interfaces.erase(event.name);
  }
  around_.own_macs.clear();
  for (const auto& [name, interface] : config_.interfaces) around_.own_macs.insert(interface.mac);
  ReconcileAll();
}

// ---- links ----

Lan* Engine::FindLan(const std::string& interface) {
  auto it = lans_.find(interface);
  return it == lans_.end() ? nullptr : it->second.get();
}

void Engine::On(const LinkOpened& event) {
  policies_dirty_ = true;
  if (Lan* lan = FindLan(event.interface)) lan->Opened(now_, out_);
}

void Engine::On(const LinkFailed& event) {
  policies_dirty_ = true;
  if (Lan* lan = FindLan(event.interface)) lan->Failed(event, now_, out_);
}

void Engine::On(const FrameReceived& event) {
  Lan* lan = FindLan(event.interface);
  if (lan == nullptr) return;
  const Heartbeat* heartbeat = std::get_if<Heartbeat>(&event.frame);
  // A node that the configuration does not know has no say.
  if (heartbeat != nullptr && !around_.alone && !config_.nodes.contains(heartbeat->node)) return;
  lan->Receive(event.frame, now_, out_);
}

void Engine::On(const HeartbeatLost& event) {
  if (Lan* lan = FindLan(event.interface)) lan->HeartbeatLost();
}

void Engine::On(const TimerFired&) { armed_ = absl::InfinitePast(); }

void Engine::On(const Leave&) {
  for (auto& [name, lan] : lans_) lan->SayGoodbye(now_, out_);
  left_ = true;
}

// ---- reconciliation ----

void Engine::ReconcileAll() {
  policies_dirty_ = true;
  ReconcileLans();
  for (const auto& [service, entry] : services_) ReconcileService(service);
}

void Engine::ReconcileLans() {
  std::set<std::string> selected;
  if (synced_ && announce_) selected = SelectInterfaces(config_, around_.node);
  std::erase_if(lans_, [&](const auto& entry) {
    const auto& [name, lan] = entry;
    if (selected.contains(name)) {
      const Interface& current = config_.interfaces.at(name);
      const Interface& used = lan->interface();
      if (current.index == used.index && current.mac == used.mac) return false;
    }
    lan->Close(now_, out_);
    dirty_.merge(lan->TakeChanged());
    return true;
  });
  for (const std::string& name : selected) {
    const Interface& interface = config_.interfaces.at(name);
    std::unique_ptr<Lan>& lan = lans_[name];
    if (lan == nullptr) {
      lan = std::make_unique<Lan>(name, interface, &around_);
      lan->Open(now_, out_);
    } else if (lan->interface().addresses != interface.addresses) {
      lan->SetAddresses(interface.addresses, now_, out_);
    }
  }
}

void Engine::ReconcileService(const std::string& service) {
  ServiceEntry& entry = services_.at(service);
  dirty_.insert(service);
  const Selection before =
      std::exchange(entry.selection, Select(config_, around_.node, service, entry.allocation));
  for (AddressSelection& address : entry.selection) {
    const bool carried = Carried(service, address.address);
    for (auto& [interface, wanted] : address.interfaces) wanted.carried = carried;
    NoteGate(service, address.address, carried || address.interfaces.empty());
  }
  for (const AddressSelection& old : before) {
    auto now = std::find_if(entry.selection.begin(), entry.selection.end(),
                            [&](const auto& other) { return other.address == old.address; });
    const bool gone = now == entry.selection.end();
    if (gone) NoteGate(service, old.address, true);
    for (const auto& [interface, wanted] : old.interfaces) {
      if (!gone && now->interfaces.contains(interface)) continue;
      if (Lan* lan = FindLan(interface)) lan->Unwant(old.address, service, now_, out_);
    }
  }
  for (const AddressSelection& address : entry.selection) {
    for (const auto& [interface, wanted] : address.interfaces) {
      if (Lan* lan = FindLan(interface)) lan->Want(address.address, wanted, now_, out_);
    }
  }
}

// ---- the datapath's word ----

bool Engine::Carried(const std::string& service, const net::IpAddress& address) const {
  if (!need_datapath_) return true;
  auto it = carried_.find(service);
  return it != carried_.end() && it->second.contains(address);
}

void Engine::NoteGate(const std::string& service, const net::IpAddress& address, bool carried) {
  const AddressOfService key(service, address);
  auto it = missing_.find(key);
  if (carried && it != missing_.end()) {
    missing_since_.erase(missing_since_.find(it->second));
    missing_.erase(it);
  } else if (!carried && it == missing_.end()) {
    // What is missing when the process starts gets no time of grace: until this node can carry all
    // of it, one that can is better.
    const absl::Time since = synced_ ? now_ : absl::InfinitePast();
    missing_.emplace(key, since);
    missing_since_.insert(since);
  }
}

// A new address is programmed a moment later; a node that stays behind for a dead interval leaves
// its addresses to nodes that carry all of theirs.
void Engine::UpdateFitness() {
  const bool fit =
      missing_since_.empty() || *missing_since_.begin() + around_.settings.dead_interval > now_;
  for (auto& [name, lan] : lans_) lan->SetFit(fit, now_);
}

// ---- publications ----

void Engine::PublishStatuses() {
  if (!synced_) return;
  if (std::exchange(policies_dirty_, false)) PublishPolicies();
  for (const std::string& service : std::exchange(dirty_, {})) {
    auto it = services_.find(service);
    if (it == services_.end()) continue;
    ServiceEntry& entry = it->second;
    Publish("service", service, entry.published,
            ReportService(service, entry.allocation, entry.selection, config_, lans_, around_.node,
                          announce_));
  }
}

void Engine::PublishPolicies() {
  for (const auto& [name, policy] : config_.policies) {
    Publish("policy", name, published_policies_[name],
            ReportPolicy(name, policy, config_, lans_, around_.node));
  }
  for (auto it = published_policies_.begin(); it != published_policies_.end();) {
    if (config_.policies.contains(it->first)) {
      ++it;
      continue;
    }
    Publish("policy", it->first, it->second, std::nullopt);
    it = published_policies_.erase(it);
  }
}

void Engine::Publish(const std::string& kind, const std::string& key,
                     std::optional<Status>& published, std::optional<Status> status) {
  if (published == status) return;
  published = status;
  out_.push_back(PublishStatus{kind, key, std::move(status)});
}

void Engine::Arm() {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [name, lan] : lans_) next = std::min(next, lan->next_due());
  if (!missing_since_.empty()) {
    const absl::Time unfit = *missing_since_.begin() + around_.settings.dead_interval;
    if (unfit > now_) next = std::min(next, unfit);
  }
  if (next == armed_) return;
  armed_ = next;
  if (next != absl::InfiniteFuture()) out_.push_back(ArmTimer{next});
}

}  // namespace portolan::l2
