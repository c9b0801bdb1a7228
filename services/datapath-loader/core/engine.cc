#include "services/datapath-loader/core/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::datapath {

std::vector<Effect> Engine::Handle(const Event& event, absl::Time now) {
  std::vector<Effect> effects;
  std::visit([&](const auto& e) { On(e, now); }, event);
  Expire(now);
  Advance(now, effects);
  Report(now, effects);
  const absl::Time next = NextTimer();
  if (next != armed_ && next != absl::InfiniteFuture()) effects.push_back(ArmTimer{next});
  armed_ = next;
  return effects;
}

// ---- inputs ----

void Engine::Touch(const std::string& key) {
  stale_.insert(key);
  unreported_.insert(key);
}

void Engine::TouchAll() {
  for (const auto& [key, record] : records_) Touch(key);
}

void Engine::On(const ServiceChanged& event, absl::Time) {
  Record& record = records_[event.service.key];
  record.service = event.service;
  record.service_gone = false;
  Touch(event.service.key);
}

void Engine::On(const ServiceRemoved& event, absl::Time) {
  const auto it = records_.find(event.key);
  if (it == records_.end()) return;
  it->second.service_gone = true;
  Touch(event.key);
}

void Engine::On(const BackendsChanged& event, absl::Time) {
  Record& record = records_[event.set.key];
  record.backends = event.set;
  record.backends_until = absl::InfiniteFuture();
  Touch(event.set.key);
}

void Engine::On(const BackendsRemoved& event, absl::Time now) {
  const auto it = records_.find(event.key);
  if (it == records_.end()) return;
  it->second.backends_until = now + settings_.removal_delay;
  timed_.insert(event.key);
}

void Engine::On(const AllocationChanged& event, absl::Time now) {
  SetClaims(event.allocation.key, event.allocation.addresses, now);
  records_[event.allocation.key].allocation = event.allocation;
  Touch(event.allocation.key);
}

void Engine::On(const AllocationRemoved& event, absl::Time now) {
  const auto it = records_.find(event.key);
  if (it == records_.end()) return;
  SetClaims(event.key, {}, now);
  it->second.allocation.reset();
  Touch(event.key);
}

void Engine::On(const NodeChanged& event, absl::Time) {
  if (event.node.name != node_ || event.node == self_) return;
  self_ = event.node;
  TouchAll();
}

void Engine::On(const NodeRemoved& event, absl::Time) {
  if (event.name != node_) return;
  self_ = Node{};
  TouchAll();
}

void Engine::On(const SettingsChanged& event, absl::Time) {
  settings_ = event.settings;
  if (programmer_.has_value()) programmer_->SetHashSeed(settings_.hash_seed);
}

void Engine::On(const InputsSynced&, absl::Time) {
  inputs_synced_ = true;
  TouchAll();
}

void Engine::On(const KernelReady& event, absl::Time) {
  unavailable_.reset();
  in_flight_.reset();
  pruned_ = false;
  programmer_.emplace(event.limits, settings_.hash_seed, event.image);
  TouchAll();
}

void Engine::On(const KernelUnavailable& event, absl::Time) {
  unavailable_ = event;
  programmer_.reset();
  in_flight_.reset();
  TouchAll();
}

void Engine::On(const HostChanged& event, absl::Time) {
  host_ = event;
  for (const auto& [key, record] : records_) unreported_.insert(key);
}

void Engine::On(const BatchDone& event, absl::Time now) {
  if (in_flight_ == nullptr || !programmer_.has_value()) return;
  programmer_->Report(*in_flight_, event.results, now);
  for (const MapOp& op : *in_flight_) {
    if (!op.service.empty()) unreported_.insert(op.service);
  }
  in_flight_.reset();
}

// ---- addresses ----

void Engine::SetClaims(const std::string& key, const std::vector<net::IpAddress>& addresses,
                       absl::Time now) {
  Record& record = records_[key];
  const std::set<net::IpAddress> wanted(addresses.begin(), addresses.end());
  for (const net::IpAddress& address : wanted) {
    claims_[address].insert(key);
    record.lingering.erase(address);
    Settle(address);
  }
  if (!record.allocation.has_value()) return;
  for (const net::IpAddress& address : record.allocation->addresses) {
    const auto claims = claims_.find(address);
    if (wanted.contains(address) || claims == claims_.end()) continue;
    if (claims->second.erase(key) == 0) continue;
    if (claims->second.empty()) claims_.erase(claims);
    const auto owner = owners_.find(address);
    if (owner == owners_.end() || owner->second != key) continue;
    record.lingering[address] = now + settings_.removal_delay;
    timed_.insert(key);
    Settle(address);
  }
}

void Engine::Settle(const net::IpAddress& address) {
  const auto claims = claims_.find(address);
  if (claims == claims_.end()) return;  // nobody, or only its lingering owner
  const auto owner = owners_.find(address);
  if (owner != owners_.end()) {
    if (claims->second.contains(owner->second)) return;
    records_[owner->second].lingering.erase(address);
    Touch(owner->second);
  }
  const std::string& heir = *claims->second.begin();
  owners_[address] = heir;
  Touch(heir);
}

void Engine::Expire(absl::Time now) {
  for (auto next = timed_.begin(); next != timed_.end();) {
    const std::string key = *next;
    const auto found = records_.find(key);
    if (found == records_.end()) {
      next = timed_.erase(next);
      continue;
    }
    Record& record = found->second;
    for (auto it = record.lingering.begin(); it != record.lingering.end();) {
      if (it->second > now) {
        ++it;
        continue;
      }
      owners_.erase(it->first);
      it = record.lingering.erase(it);
      Touch(key);
    }
    if (record.backends_until <= now) {
      record.backends.reset();
      record.backends_until = absl::InfiniteFuture();
      Touch(key);
    }
    const bool done = record.lingering.empty() && record.backends_until == absl::InfiniteFuture();
    next = done ? timed_.erase(next) : std::next(next);
  }
}

std::set<net::IpAddress> Engine::OwnedAddresses(const std::string& key,
                                                const Record& record) const {
  std::set<net::IpAddress> addresses;
  if (record.allocation.has_value()) {
    for (const net::IpAddress& address : record.allocation->addresses) {
      const auto owner = owners_.find(address);
      if (owner != owners_.end() && owner->second == key) addresses.insert(address);
    }
  }
  for (const auto& [address, until] : record.lingering) addresses.insert(address);
  return addresses;
}

// ---- desired state ----

std::optional<net::IpAddress> Engine::SourceFor(const Backend& backend) const {
  const std::optional<net::IpAddress>& configured =
      backend.address.is_ipv4() ? self_.ipv4 : self_.ipv6;
  return configured.has_value() ? configured : backend.local_source;
}

std::vector<WantedBackend> Engine::BackendsFor(Record& record, const ServicePort& port,
                                               net::Family family) const {
  std::vector<WantedBackend> wanted;
  if (!record.backends.has_value()) return wanted;
  const auto skip = [&](const Backend& backend, const char* reason, std::string message) {
    record.findings.push_back({absl::StrCat("backend/", backend.id), reason, std::move(message)});
  };
  for (const Backend& backend : record.backends->backends) {
    if (backend.address.family() != family) continue;
    const auto target = backend.ports.find(port.name);
    if (target == backend.ports.end() || target->second == 0) {
      skip(backend, "no-target-port",
           absl::StrCat("says no port for service port '", port.name, "'"));
      continue;
    }
    // Only where the replies are known to pass this node may the client's address stay.
    const bool remote = backend.node != node_;
    const std::optional<net::IpAddress> source = remote ? SourceFor(backend) : std::nullopt;
    if (remote && !source.has_value()) {
      skip(backend, "no-source-address",
           absl::StrCat("is not on this node, which has no ", net::FamilyName(family),
                        " address to reach it from; set it at ",
                        "/portolan-system:system/nodes/node[name='", node_, "']"));
      continue;
    }
    const auto same = std::find_if(wanted.begin(), wanted.end(), [&](const WantedBackend& other) {
      return other.address == backend.address && other.port == target->second;
    });
    if (same != wanted.end()) {
      same->weight = std::max(same->weight, backend.weight);
      continue;
    }
    wanted.push_back({backend.address, target->second, backend.weight, source});
  }
  return wanted;
}

void Engine::Refresh(const std::string& key, Record& record) {
  record.findings.clear();
  std::vector<WantedGroup> groups;
  const std::set<net::IpAddress> addresses = OwnedAddresses(key, record);
  if (record.service.has_value()) {
    for (const ServicePort& port : record.service->ports) {
      const std::string subject =
          absl::StrCat("port/", ProtocolName(port.protocol), "/", port.port);
      if (port.port == 0 || (port.protocol != kTcp && port.protocol != kUdp)) {
        record.findings.push_back({subject, "port-not-carried",
                                   "the datapath carries TCP and UDP ports from 1 to 65535"});
        continue;
      }
      for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
        WantedGroup group;
        group.name = absl::StrCat(subject, "/", net::FamilyName(family));
        group.protocol = port.protocol;
        for (const net::IpAddress& address : addresses) {
          if (address.family() != family) continue;
          group.frontends.insert({address, port.port, port.protocol});
        }
        const bool twice = std::any_of(groups.begin(), groups.end(),
                                       [&](const WantedGroup& g) { return g.name == group.name; });
        if (group.frontends.empty() || twice) continue;
        group.backends = BackendsFor(record, port, family);
        groups.push_back(std::move(group));
      }
    }
  }
  programmer_->Want(key, std::move(groups));
}

// ---- forward ----

void Engine::Advance(absl::Time now, std::vector<Effect>& effects) {
  if (!programmer_.has_value() || !inputs_synced_) return;
  for (const std::string& key : std::exchange(stale_, {})) {
    const auto it = records_.find(key);
    if (it != records_.end()) Refresh(key, it->second);
  }
  if (!std::exchange(pruned_, true)) programmer_->Prune();
  if (in_flight_ != nullptr) return;
  MapBatch batch = programmer_->Plan(now);
  if (batch.empty()) return;
  in_flight_ = std::make_shared<const MapBatch>(std::move(batch));
  effects.push_back(ApplyBatch{in_flight_});
}

absl::Time Engine::NextTimer() const {
  absl::Time next = absl::InfiniteFuture();
  if (programmer_.has_value() && in_flight_ == nullptr) next = programmer_->NextRetry();
  for (const std::string& key : timed_) {
    const auto found = records_.find(key);
    if (found == records_.end()) continue;
    const Record& record = found->second;
    next = std::min(next, record.backends_until);
    for (const auto& [address, until] : record.lingering) next = std::min(next, until);
  }
  return next;
}

}  // namespace portolan::datapath
