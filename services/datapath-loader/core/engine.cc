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
  std::erase_if(record.failing, [&](const auto& failing) {
    return std::none_of(event.set.backends.begin(), event.set.backends.end(),
                        [&](const Backend& backend) { return backend.id == failing.first; });
  });
  Touch(event.set.key);
}

void Engine::On(const BackendsRemoved& event, absl::Time now) {
  const auto it = records_.find(event.key);
  if (it == records_.end()) return;
  it->second.backends_until = now + settings_.removal_delay;
  Schedule(event.key, it->second);
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
  if (event.settings.drop_unserved != settings_.drop_unserved) TouchAll();
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
  if (event == host_) return;
  host_ = event;
  for (const auto& [key, record] : records_) unreported_.insert(key);
}

void Engine::On(const HealthChanged& event, absl::Time) {
  const auto it = records_.find(event.key);
  if (it == records_.end()) return;
  std::map<std::string, std::string>& failing = it->second.failing;
  const auto before = failing.find(event.backend);
  if (!event.failure.has_value()) {
    if (before == failing.end()) return;
    failing.erase(before);
  } else if (before != failing.end() && before->second == *event.failure) {
    return;
  } else {
    failing[event.backend] = *event.failure;
  }
  Touch(event.key);
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
    }
  }
  record.allocation = std::move(allocation);
  Schedule(key, record);
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

void Engine::Schedule(const std::string& key, Record& record) {
  absl::Time due = std::min(record.backends_until, record.next_deadline);
  for (const auto& [address, until] : record.lingering) due = std::min(due, until);
  if (due == record.due) return;
  timeline_.erase({record.due, key});
  if (due != absl::InfiniteFuture()) timeline_.insert({due, key});
  record.due = due;
}

void Engine::Expire(absl::Time now) {
  while (!timeline_.empty() && timeline_.begin()->first <= now) {
    const std::string key = timeline_.begin()->second;
    Record& record = records_.at(key);
    const size_t expired =
        std::erase_if(record.lingering, [&](const auto& entry) { return entry.second <= now; });
    if (expired > 0) UpdateClaims(key, record);
    if (record.backends_until <= now) {
      record.backends.reset();
      record.backends_until = absl::InfiniteFuture();
    }
    if (record.next_deadline <= now) record.next_deadline = absl::InfiniteFuture();
    Schedule(key, record);
    Touch(key);
  }
}

// ---- forward ----

void Engine::Advance(absl::Time now, std::vector<Effect>& effects) {
  if (!programmer_.has_value() || !inputs_synced_) return;
  for (const std::string& key : std::exchange(stale_, {})) {
    const auto it = records_.find(key);
    if (it != records_.end()) Refresh(key, it->second, now);
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
  if (!timeline_.empty()) next = std::min(next, timeline_.begin()->first);
  return next;
}

}  // namespace portolan::datapath
