#include "services/datapath-loader/core/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

// Rules of one family, complete: none when everybody may come. A list of the other family that is
// the only one to let anybody in shuts this one.
SourceRules RulesFor(const Admission& admission, net::Family family) {
  SourceRules rules;
  const bool restricted = admission.only_allowed || !admission.denied.empty();
  if (!restricted) return rules;
  rules[net::Prefix::Of(net::IpAddress::FromValue(family, 0), 0)] = !admission.only_allowed;
  for (const net::Prefix& prefix : admission.allowed) {
    if (prefix.family() == family) rules[prefix] = true;
  }
  for (const net::Prefix& prefix : admission.denied) {
    if (prefix.family() == family) rules[prefix] = false;
  }
  return rules;
}

}  // namespace

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
  UpdateClaims(event.service.key, record);
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
  SetAllocation(event.allocation.key, event.allocation, now);
}

void Engine::On(const AllocationRemoved& event, absl::Time now) {
  if (records_.contains(event.key)) SetAllocation(event.key, std::nullopt, now);
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
  owners_.Begin();
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

void Engine::SetAllocation(const std::string& key, std::optional<Allocation> allocation,
                           absl::Time now) {
  Record& record = records_[key];
  std::set<net::IpAddress> held;
  if (allocation.has_value()) {
    for (const Grant& grant : allocation->grants) {
      held.insert(grant.address);
      record.lingering.erase(grant.address);
    }
  }
  if (record.allocation.has_value()) {
    for (const Grant& grant : record.allocation->grants) {
      if (held.contains(grant.address) || !owners_.ClaimsOn(key, grant.address)) continue;
      record.lingering[grant.address] = now + settings_.removal_delay;
      timed_.insert(key);
    }
  }
  record.allocation = std::move(allocation);
  UpdateClaims(key, record);
  Touch(key);
}

void Engine::UpdateClaims(const std::string& key, const Record& record) {
  Claims claims;
  if (record.service.has_value()) {
    for (const ServicePort& port : record.service->ports) {
      if (!IsCarried(port)) continue;
      for (const auto& [address, until] : record.lingering) {
        claims[{address, port.port, port.protocol}] = {.lingering = true};
      }
      if (!record.allocation.has_value()) continue;
      for (const Grant& grant : record.allocation->grants) {
        claims[{grant.address, port.port, port.protocol}] = {.since_unix_ms = grant.since_unix_ms};
      }
    }
  }
  for (const std::string& other : owners_.SetClaims(key, std::move(claims))) Touch(other);
}

bool Engine::Owns(const std::string& key, const FrontendKey& frontend) const {
  const std::string* owner = owners_.OwnerOf(frontend);
  return owner != nullptr && *owner == key;
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
    const size_t expired =
        std::erase_if(record.lingering, [&](const auto& entry) { return entry.second <= now; });
    if (expired > 0) {
      UpdateClaims(key, record);
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
  std::set<net::IpAddress> addresses;
  for (const auto& [address, until] : record.lingering) addresses.insert(address);
  if (record.allocation.has_value()) {
    for (const Grant& grant : record.allocation->grants) addresses.insert(grant.address);
  }
  if (record.service.has_value()) {
    for (const ServicePort& port : record.service->ports) {
      const std::string subject =
          absl::StrCat("port/", ProtocolName(port.protocol), "/", port.port);
      if (!IsCarried(port)) {
        record.findings.push_back({subject, "port-not-carried",
                                   "the datapath carries TCP and UDP ports from 1 to 65535"});
        continue;
      }
      for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
        WantedGroup group;
        group.name = absl::StrCat(subject, "/", net::FamilyName(family));
        group.protocol = port.protocol;
        for (const net::IpAddress& address : addresses) {
          const FrontendKey frontend{address, port.port, port.protocol};
          if (address.family() == family && Owns(key, frontend)) group.frontends.insert(frontend);
        }
        const bool twice = std::any_of(groups.begin(), groups.end(),
                                       [&](const WantedGroup& g) { return g.name == group.name; });
        if (group.frontends.empty() || twice) continue;
        group.backends = BackendsFor(record, port, family);
        group.sources = RulesFor(record.service->admission, family);
        group.affinity_s = record.service->admission.affinity_s;
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
