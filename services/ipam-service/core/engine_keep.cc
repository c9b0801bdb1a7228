// Which of its addresses a Service keeps, which are stranded, and how one goes.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"

namespace portolan::ipam {

Wish Engine::WishFor(const ServiceRecord& service) const {
  net::Family family = net::Family::kIpv4;
  if (!service.held.empty()) {
    family = service.held.front().family();
  } else if (!pools_.AnyHasFamily(net::Family::kIpv4) && pools_.AnyHasFamily(net::Family::kIpv6)) {
    family = net::Family::kIpv6;
  }
  return WishOf(service.request, family);
}

// A slot of the wish that the address can fill; with `extra`, one more if there is none.
Slot* Engine::SlotFor(Wish& wish, const net::IpAddress& address, bool extra) const {
  for (Slot& slot : wish.slots) {
    const bool fits =
        slot.address.has_value() ? *slot.address == address : slot.family == address.family();
    if (fits && !slot.filled.has_value()) return &slot;
  }
  if (!extra) return nullptr;
  wish.slots.push_back({.family = address.family(), .required = false});
  return &wish.slots.back();
}

// What nobody asked for in so many words stays all the same: nobody knows what an unreadable request
// means, and what was found in use is not given up before another address is asked for.
bool Engine::KeepsExtra(const ServiceRecord& service, const Wish& wish, const Member& member) {
  return wish.unreadable || (member.adopted && service.request.requested_addresses.empty());
}

void Engine::Keep(ServiceRecord& service, Wish& wish, const Addresses* strandable) {
  bool stranded = false;
  for (const net::IpAddress& address : Addresses(service.held)) {
    const Holding& holding = *ledger_.Find(address);
    if (holding.members.size() > 1 && rules_.JoinObjection(service, address, holding)) {
      LeaveAddress(service, address);  // two cannot be here, not even while one drains
      continue;
    }
    const Member& member = *holding.Find(&service);
    const bool draining = member.draining_until_unix_ms != 0;
    const bool extra = KeepsExtra(service, wish, member);
    const Pool* home = rules_.HomeOf(service.request, address, *holding.pool);
    if (home != nullptr) {
      if (home->name() != *holding.pool) ledger_.Rehome(address, home->name(), effects_);
      Slot* slot = SlotFor(wish, address, extra && !draining);
      if (slot == nullptr) {
        if (!draining) wish.leftovers.push_back(address);
        continue;
      }
      slot->filled = address;
      if (draining) ledger_.SetDraining(address, &service, 0, effects_);
      continue;
    }
    if (draining) continue;
    const bool stays = strandable == nullptr || std::find(strandable->begin(), strandable->end(),
                                                          address) != strandable->end();
    if (!stays) {
      Drain(service, address);
      continue;
    }
    stranded = true;
    wish.stranded.push_back(rules_.WhyIllegal(service.request, address));
    if (Slot* slot = SlotFor(wish, address, extra); slot != nullptr) {
      slot->filled = address;
    } else {
      wish.leftovers.push_back(address);  // what is asked for is not there yet
    }
  }
  if (stranded) {
    stranded_[service.request.key] = &service;
  } else if (!stranded_.empty()) {
    stranded_.erase(service.request.key);
  }
}

void Engine::LetLeftoversGo(ServiceRecord& service, Wish& wish) {
  if (wish.leftovers.empty()) return;
  const bool complete = std::all_of(wish.slots.begin(), wish.slots.end(), [&](const Slot& slot) {
    return slot.filled.has_value() &&
           ledger_.Find(*slot.filled, &service)->state == Member::State::kDurable;
  });
  if (!complete && !wish.slots.empty()) return;
  for (const net::IpAddress& address : std::exchange(wish.leftovers, {})) Drain(service, address);
}

Engine::Addresses Engine::StrandedOf(const ServiceRecord& service) const {
  Addresses stranded;
  for (const net::IpAddress& address : service.held) {
    const Holding& holding = *ledger_.Find(address);
    if (holding.Find(&service)->draining_until_unix_ms == 0 &&
        rules_.HomeOf(service.request, address, *holding.pool) == nullptr) {
      stranded.push_back(address);
    }
  }
  return stranded;
}

// Nobody was told of an address that is not durable: it can go at once.
void Engine::Drain(ServiceRecord& service, const net::IpAddress& address) {
  const bool told = ledger_.Find(address, &service)->state == Member::State::kDurable;
  if (!told || settings_.drain_time <= absl::ZeroDuration()) {
    LeaveAddress(service, address);
    return;
  }
  const int64_t until = absl::ToUnixMillis(now_.wall + settings_.drain_time);
  ledger_.SetDraining(address, &service, until, effects_);
  ScheduleDrain(service, address, until);
  freed_namespaces_.insert(std::string(NamespaceOf(service.request.key)));
}

// A wall clock that jumped does not make it longer than a drain time.
void Engine::ScheduleDrain(const ServiceRecord& service, const net::IpAddress& address,
                           int64_t until_unix_ms) {
  const absl::Duration left =
      std::clamp(absl::FromUnixMillis(until_unix_ms) - now_.wall, absl::ZeroDuration(),
                 std::max(settings_.drain_time, absl::ZeroDuration()));
  drains_.emplace(now_.steady + left, Draining{address, service.request.key, until_unix_ms});
}

void Engine::EndDrains() {
  while (!drains_.empty() && drains_.begin()->first <= now_.steady) {
    const Draining drain = std::move(drains_.begin()->second);
    drains_.erase(drains_.begin());
    ServiceRecord* service = FindService(drain.service);
    if (service == nullptr) continue;
    const Member* member = ledger_.Find(drain.address, service);
    if (member == nullptr || member->draining_until_unix_ms != drain.until_unix_ms) continue;
    LeaveAddress(*service, drain.address);
    Settle(*service);
  }
}

void Engine::Renumber() {
  const auto stranded = stranded_;
  for (const auto& [key, service] : stranded) {
    Addresses staying;
    for (const net::IpAddress& address : service->held) {
      if (renumber_adopted_ || !ledger_.Find(address, service)->adopted) continue;
      staying.push_back(address);
    }
    for (const net::IpAddress& address : StrandedOf(*service)) {
      const bool stays = std::find(staying.begin(), staying.end(), address) != staying.end();
      if (!stays) ++CountersOf(address).renumbered;
    }
    Settle(*service, &staying);
  }
}

void Engine::LeaveAddress(ServiceRecord& service, const net::IpAddress& address) {
  NoteRelease(service, address);
  const bool others = ledger_.Find(address)->members.size() > 1;
  ledger_.Leave(address, &service, effects_);
  ++CountersOf(address).released;
  sharing_.Remove(service.request, address);
  service.held.erase(std::find(service.held.begin(), service.held.end(), address));
  if (others && Shares(service.request)) freed_keys_.insert(service.request.sharing->key);
  if (!quotas_.empty()) {
    freed_namespaces_.insert(std::string(NamespaceOf(service.request.key)));
  }
}

}  // namespace portolan::ipam
