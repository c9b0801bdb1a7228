// Which address a Service keeps, and which it gets.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"

namespace portolan::ipam {
namespace {

constexpr absl::Duration kFirstPickerBackoff = absl::Seconds(1);
constexpr absl::Duration kMaxPickerBackoff = absl::Seconds(30);
// How often a remote picker may answer with an address that somebody else got meanwhile.
constexpr int kMaxStaleAnswers = 8;

// What a picker sees of a pool.
class PoolFreeSpace : public plugin::FreeSpace {
 public:
  PoolFreeSpace(const Pool& pool, net::Family family) : pool_(pool), family_(family) {}
  absl::Span<const net::Range> usable() const override { return pool_.usable(family_); }
  std::optional<net::Range> FirstFree(const net::IpAddress& from) const override {
    return pool_.free(family_).FirstFrom(from);
  }
  std::optional<net::Range> LastFree(const net::IpAddress& to) const override {
    return pool_.free(family_).LastUpTo(to);
  }

 private:
  const Pool& pool_;
  const net::Family family_;
};

}  // namespace

Wish Engine::WishFor(const ServiceRecord& service) const {
  net::Family family = net::Family::kIpv4;
  if (!service.held.empty()) {
    family = service.held.front().family();
  } else if (!pools_.AnyHasFamily(net::Family::kIpv4) && pools_.AnyHasFamily(net::Family::kIpv6)) {
    family = net::Family::kIpv6;
  }
  return WishOf(service.request, family);
}

// Matches what is held with the slots of the wish; what is not legal or not asked for goes.
void Engine::KeepOrRelease(ServiceRecord& service, Wish& wish) {
  const ServiceRecord::Addresses held = service.held;
  for (const net::IpAddress& address : held) {
    const Holding& holding = *ledger_.Find(address);
    const Pool* home = HomeOf(service, address, holding);
    Slot* slot = nullptr;
    for (Slot& candidate : wish.slots) {
      const bool fits = candidate.address.has_value() ? *candidate.address == address
                                                      : candidate.family == address.family();
      if (fits && !candidate.filled.has_value()) {
        slot = &candidate;
        break;
      }
    }
    if (home != nullptr && slot == nullptr && wish.unreadable) {
      wish.slots.push_back({.family = address.family(), .required = false});
      slot = &wish.slots.back();
    }
    if (home == nullptr || slot == nullptr) {
      ReleaseAddress(service, address);
      continue;
    }
    slot->filled = address;
    if (home->name() != *holding.pool) ledger_.Rehome(address, home->name(), effects_);
  }
}

// The pool that makes the address legal for the Service: the one it came from if possible.
const Pool* Engine::HomeOf(const ServiceRecord& service, const net::IpAddress& address,
                           const Holding& holding) const {
  const auto legal = [&](const Pool& pool) {
    const std::string& wanted = service.request.requested_pool;
    return (wanted.empty() || wanted == pool.name()) &&
           !pools_.Refuses(pool, service.request).has_value();
  };
  const Pool* named = pools_.Find(*holding.pool);
  if (named != nullptr && named->Covers(address) && legal(*named)) return named;
  for (const Pool* pool : pools_.Covering(address)) {
    if (pool != named && legal(*pool)) return pool;
  }
  return nullptr;
}

void Engine::ReleaseAddress(ServiceRecord& service, const net::IpAddress& address) {
  ledger_.Release(address, effects_);
  service.held.erase(std::find(service.held.begin(), service.held.end(), address));
}

void Engine::Settle(ServiceRecord& service) {
  Wish wish = WishFor(service);
  const size_t had = service.held.size();
  KeepOrRelease(service, wish);
  if (service.held.size() != had) {  // what is held decides the default family
    wish = WishFor(service);
    KeepOrRelease(service, wish);
  }
  for (Slot& slot : wish.slots) {
    if (slot.filled.has_value()) continue;
    if (slot.address.has_value()) {
      FillExact(service, slot);
    } else {
      FillSlot(service, slot);
    }
  }
  Publish(service, wish);
}

void Engine::FillExact(ServiceRecord& service, Slot& slot) {
  if (!ledger_.failure().ok() || ExactObjection(service, *slot.address).has_value()) return;
  const net::IpAddress address = *slot.address;
  Take(service, *pools_.ActiveFor(address), address, slot);
}

void Engine::FillSlot(ServiceRecord& service, Slot& slot) {
  if (!ledger_.failure().ok()) return;
  PoolTable::Candidates candidates;
  if (service.request.requested_pool.empty()) {
    candidates = pools_.CandidatesFor(service.request);
  } else if (Pool* pool = pools_.Find(service.request.requested_pool); pool != nullptr) {
    candidates.push_back(pool);
  }
  for (Pool* pool : candidates) {
    if (pool->free(slot.family).empty()) continue;
    if (Objection(*pool, service, slot.family).has_value()) continue;
    if (Propose(service, *pool, slot) != Fill::kNext) return;
  }
}

Engine::Fill Engine::Propose(ServiceRecord& service, Pool& pool, Slot& slot) {
  const std::string& name = pickers_.NameFor(pool.config().address_picker);
  const PickerTable::Picker* picker = pickers_.Find(name);
  if (picker == nullptr) return Fill::kWait;
  for (const Asking& asking : service.asking) {
    if (asking.family != slot.family) continue;
    if (asking.ask != 0) return Fill::kWait;
    for (const Asking::Answer& answer : asking.answers) {
      if (answer.pool != pool.name()) continue;
      return answer.reason == "picker-declined" ? Fill::kNext : Fill::kWait;
    }
  }
  if (picker->stage == nullptr) {
    return PickerFailed(service, pool, slot, *picker, std::string(picker->error.message()));
  }
  const PoolFreeSpace free(pool, slot.family);
  const plugin::PickResult result = picker->stage->Pick({.service = service.request.key,
                                                         .pool = pool.name(),
                                                         .family = slot.family,
                                                         .seed = seed_,
                                                         .free = &free});
  switch (result.verdict) {
    case plugin::PickResult::Verdict::kAddress:
      if (!pool.free(slot.family).Contains(result.address)) {
        return PickerFailed(
            service, pool, slot, *picker,
            absl::StrCat("it chose ", result.address.ToString(), ", which is not free"));
      }
      Take(service, pool, result.address, slot);
      return Fill::kFilled;
    case plugin::PickResult::Verdict::kDeclined:
      AskingOf(service, slot.family)
          .answers.push_back({pool.name(), "picker-declined", result.message});
      return Fill::kNext;
    case plugin::PickResult::Verdict::kDeferred:
      return Ask(service, pool, slot, name);
  }
  return Fill::kNext;
}

Engine::Fill Engine::PickerFailed(ServiceRecord& service, Pool& pool, Slot& slot,
                                  const PickerTable::Picker& picker, std::string message) {
  if (!picker.fail_open) {
    AskingOf(service, slot.family)
        .answers.push_back({pool.name(), "picker-failed", std::move(message)});
    return Fill::kWait;
  }
  const PoolFreeSpace free(pool, slot.family);
  const plugin::PickResult result = pickers_.fallback().Pick({.service = service.request.key,
                                                              .pool = pool.name(),
                                                              .family = slot.family,
                                                              .seed = seed_,
                                                              .free = &free});
  if (result.verdict != plugin::PickResult::Verdict::kAddress) return Fill::kNext;
  Take(service, pool, result.address, slot);
  return Fill::kFilled;
}

Engine::Fill Engine::Ask(ServiceRecord& service, const Pool& pool, const Slot& slot,
                         const std::string& picker) {
  Asking& asking = AskingOf(service, slot.family);
  asking.ask = ++last_ask_;
  asking.pool = pool.name();
  asks_.emplace(asking.ask, service.request.key);
  effects_.push_back(AskPicker{.ask = asking.ask,
                               .picker = picker,
                               .service = service.request.key,
                               .pool = pool.name(),
                               .free = pool.free(slot.family).Lowest(kMaxAskedRanges)});
  return Fill::kWait;
}

// Takes the answer into account; Settle() goes on from there.
void Engine::AnswerPick(ServiceRecord& service, Asking& asking, const PickAnswered& answer) {
  asking.ask = 0;
  Pool* pool = pools_.Find(asking.pool);
  Wish wish = WishFor(service);
  KeepOrRelease(service, wish);
  auto slot = std::find_if(wish.slots.begin(), wish.slots.end(), [&](const Slot& s) {
    return !s.filled.has_value() && !s.address.has_value() && s.family == asking.family;
  });
  if (slot == wish.slots.end() || pool == nullptr || !pool->active() ||
      Objection(*pool, service, asking.family).has_value() || !ledger_.failure().ok()) {
    return;  // the question no longer stands
  }
  if (answer.address.ok() && !answer.address->has_value()) {
    asking.answers.push_back({pool->name(), "picker-declined", answer.message});
    return;
  }
  std::string failure(answer.address.status().message());
  if (answer.address.ok()) {
    const net::IpAddress address = **answer.address;
    if (pool->free(asking.family).Contains(address)) {
      picker_backoff_ = absl::ZeroDuration();
      Take(service, *pool, address, *slot);
      return;
    }
    if (pool->MayHandOut(address) && ++asking.stale_answers < kMaxStaleAnswers) return;
    failure = absl::StrCat("it chose ", address.ToString(), ", which is not free");
  }
  asking.stale_answers = 0;
  const PickerTable::Picker* picker =
      pickers_.Find(pickers_.NameFor(pool->config().address_picker));
  if (picker == nullptr) return;
  if (PickerFailed(service, *pool, *slot, *picker, std::move(failure)) == Fill::kWait &&
      !picker_retry_at_.has_value()) {
    picker_backoff_ = std::clamp(picker_backoff_ * 2, kFirstPickerBackoff, kMaxPickerBackoff);
    picker_retry_at_ = now_.steady + picker_backoff_;
  }
}

void Engine::Take(ServiceRecord& service, const Pool& pool, const net::IpAddress& address,
                  Slot& slot) {
  ledger_.Create({.address = address,
                  .service = service.request.key,
                  .generation = service.request.generation,
                  .pool = pool.name(),
                  .since_unix_ms = absl::ToUnixMillis(now_.wall)},
                 &service, effects_);
  pools_.Take(address, pool.name());
  pools_changed_ = true;
  service.held.push_back(address);
  slot.filled = address;
}

Asking& Engine::AskingOf(ServiceRecord& service, net::Family family) {
  for (Asking& asking : service.asking) {
    if (asking.family == family) return asking;
  }
  service.asking.push_back({.family = family});
  return service.asking.back();
}

// What pickers said may no longer hold; what they were asked still gets its answer.
void Engine::ForgetAnswers(ServiceRecord& service) {
  for (Asking& asking : service.asking) asking.answers.clear();
}

}  // namespace portolan::ipam
