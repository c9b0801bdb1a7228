// Which of its addresses a Service keeps, which are stranded, and how one goes.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"

namespace portolan::ipam {

// The oldest address that stays, else the oldest; null: it has none.
const net::IpAddress* Engine::LeadingOf(const ServiceRecord& service) const {
  if (service.held.empty()) return nullptr;
  for (const net::IpAddress& address : service.held) {
    if (ledger_.Find(address, &service)->stays()) return &address;
  }
  return &service.held.front();
}

Wish Engine::WishFor(const ServiceRecord& service) const {
  net::Family family = net::Family::kIpv4;
  if (const net::IpAddress* leading = LeadingOf(service); leading != nullptr) {
    family = leading->family();
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

// What nobody asked for in so many words stays all the same: nobody knows what an unreadable
// request means, and what was found in use is not given up before another address is asked for.
bool Engine::KeepsExtra(const ServiceRecord& service, const Wish& wish, const Member& member) {
  return wish.unreadable || (member.adopted && service.request.requested_addresses.empty());
}

// An address that drains comes back only where none that stays is in its place.
Engine::Addresses Engine::StayingFirst(const ServiceRecord& service) const {
  Addresses order = service.held;
  if (order.size() < 2) return order;
  std::stable_partition(order.begin(), order.end(), [&](const net::IpAddress& address) {
    return ledger_.Find(address, &service)->stays();
  });
  return order;
}

// Two that do not agree cannot be on one address, not even while one drains. The one that was
// edited goes, unless the others were never told that they have it. True: it is gone.
bool Engine::GivesWay(ServiceRecord& service, const net::IpAddress& address) {
  const Holding& holding = *ledger_.Find(address);
  if (holding.members.size() == 1) return false;
  const bool told = holding.Find(&service)->state == Member::State::kDurable;
  Ledger::Owners untold;
  for (const Member& member : holding.members) {
    if (member.owner == &service) continue;
    if (!WhyNotTogether(service.request, member.owner->request).has_value()) continue;
    if (!told || member.state == Member::State::kDurable) {
      LeaveAddress(service, address);
      return true;
    }
    untold.push_back(member.owner);
  }
  for (ServiceRecord* other : untold) {
    LeaveAddress(*other, address);
    unsettled_.push_back(other);
  }
  return false;
}

bool Engine::Keep(ServiceRecord& service, Wish& wish, const Addresses* strandable) {
  bool stranded = false, same = true;
  for (const net::IpAddress& address : StayingFirst(service)) {
    if (GivesWay(service, address)) {
      same = false;
      continue;
    }
    const Holding& holding = *ledger_.Find(address);
    const Member& member = *holding.Find(&service);
    const bool draining = !member.stays();
    const bool extra = KeepsExtra(service, wish, member);
    const Pool* home = rules_.HomeOf(service.request, address, *holding.pool);
    if (home != nullptr) {
      if (home->name() != *holding.pool) Rehome(address, home->name());
      Slot* slot = SlotFor(wish, address, extra && !draining);
      if (slot == nullptr) {
        if (!draining) wish.leftovers.push_back(address);
        continue;
      }
      slot->filled = address;
      if (!draining) continue;
      ledger_.Return(address, &service, effects_);
      same = false;
      continue;
    }
    if (draining) continue;
    const bool stays = strandable == nullptr || std::find(strandable->begin(), strandable->end(),
                                                          address) != strandable->end();
    if (!stays) {
      Drain(service, address);
      same = false;
      continue;
    }
    stranded = true;
    wish.stranded.push_back(rules_.WhyIllegal(service.request, address));
    if (Slot* slot = SlotFor(wish, address, extra); slot != nullptr) {
      slot->filled = address;
      slot->stranded = true;
    } else {
      wish.leftovers.push_back(address);  // what is asked for is not there yet
    }
  }
  if (stranded) {
    stranded_[service.request.key] = &service;
  } else if (!stranded_.empty()) {
    stranded_.erase(service.request.key);
  }
  return same;
}

// Unless the pool that answers for it is still that of somebody on the address.
void Engine::Rehome(const net::IpAddress& address, const std::string& pool) {
  const Holding& holding = *ledger_.Find(address);
  const std::string& before = *holding.pool;
  for (const Member& member : holding.members) {
    const Pool* home = rules_.HomeOf(member.owner->request, address, before);
    if (home != nullptr && home->name() == before) return;
  }
  pools_.Touch(before);
  pools_.Touch(pool);
  pools_changed_ = true;
  ledger_.Rehome(address, pool, effects_);
  if (holding.members.size() == 1) return;
  for (const Member& member : holding.members) unsettled_.push_back(member.owner);
}

void Engine::LetLeftoversGo(ServiceRecord& service, Wish& wish) {
  if (wish.leftovers.empty()) return;
  const bool complete = std::all_of(wish.slots.begin(), wish.slots.end(), [&](const Slot& slot) {
    if (!slot.filled.has_value() || slot.stranded) return false;
    const Member& member = *ledger_.Find(*slot.filled, &service);
    return member.state == Member::State::kDurable && !member.returning;
  });
  if (!complete && !wish.slots.empty()) return;
  for (const net::IpAddress& address : std::exchange(wish.leftovers, {})) Drain(service, address);
}

Engine::Addresses Engine::StrandedOf(const ServiceRecord& service) const {
  Addresses stranded;
  for (const net::IpAddress& address : service.held) {
    const Holding& holding = *ledger_.Find(address);
    if (holding.Find(&service)->stays() &&
        rules_.HomeOf(service.request, address, *holding.pool) == nullptr) {
      stranded.push_back(address);
    }
  }
  return stranded;
}

// Nobody was told of an address that is not durable: it can go at once.
void Engine::Drain(ServiceRecord& service, const net::IpAddress& address) {
  const Member& member = *ledger_.Find(address, &service);
  if (member.state != Member::State::kDurable || settings_.drain_time <= absl::ZeroDuration()) {
    LeaveAddress(service, address);
    return;
  }
  ledger_.SetDraining(address, &service, absl::ToUnixMillis(now_.wall + settings_.drain_time),
                      effects_);
  ScheduleDrain(service, address, member.draining_until_unix_ms);
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
    if (member == nullptr || member->draining_until_unix_ms != drain.until_unix_ms ||
        member->stays())
      continue;
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
