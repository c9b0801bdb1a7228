// Which address a Service gets.
#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/pool_free_space.h"

namespace portolan::ipam {
namespace {

constexpr absl::Duration kFirstPickerBackoff = absl::Seconds(1);
constexpr absl::Duration kMaxPickerBackoff = absl::Seconds(30);
// How often a remote picker may answer with an address that somebody else got meanwhile.
constexpr int kMaxStaleAnswers = 8;

}  // namespace

void Engine::Settle(ServiceRecord& service, const Addresses* strandable) {
  Wish wish = WishFor(service);
  if (!Keep(service, wish, strandable)) {  // what stays decides the default family
    wish = WishFor(service);
    Keep(service, wish, strandable);
  }
  for (Slot& slot : wish.slots) {
    if (slot.filled.has_value()) continue;
    if (slot.address.has_value()) {
      FillExact(service, slot, wish);
    } else {
      FillSlot(service, slot, wish);
    }
  }
  LetLeftoversGo(service, wish);
  Publish(service, wish);
}

void Engine::FillExact(ServiceRecord& service, Slot& slot, const Wish& wish) {
  const net::IpAddress& address = *slot.address;
  if (!ledger_.failure().ok() || rules_.ExactObjection(service, address, wish.leftovers)) return;
  if (ledger_.Find(address) != nullptr) {
    Join(service, address, /*adopted=*/false);
  } else {
    Take(service, pools_.ActiveFor(address)->name(), address, /*adopted=*/false);
  }
  slot.filled = address;
}

// The lowest address of its sharing key that has room for it.
bool Engine::JoinOthers(ServiceRecord& service, Slot& slot, const Wish& wish) {
  if (!Shares(service.request)) return false;
  for (const net::IpAddress& address :
       sharing_.AddressesOf(service.request.sharing->key, slot.family)) {
    const Holding* holding = ledger_.Find(address);
    const bool there = holding != nullptr && !holding->members.empty();
    if (!there || holding->Find(&service) != nullptr) continue;
    if (rules_.ExactObjection(service, address, wish.leftovers)) continue;
    Join(service, address, /*adopted=*/false);
    slot.filled = address;
    return true;
  }
  return false;
}

void Engine::FillSlot(ServiceRecord& service, Slot& slot, const Wish& wish) {
  if (!ledger_.failure().ok() || JoinOthers(service, slot, wish)) return;
  PoolTable::Candidates candidates;
  if (service.request.requested_pool.empty()) {
    candidates = pools_.CandidatesFor(service.request);
  } else if (Pool* pool = pools_.Find(service.request.requested_pool); pool != nullptr) {
    candidates.push_back(pool);
  }
  for (Pool* pool : candidates) {
    if (pool->free(slot.family).empty()) continue;
    if (rules_.Objection(*pool, service.request, slot.family)) continue;
    if (rules_.QuotaObjection(service.request, *pool, wish.leftovers)) continue;
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
      Take(service, pool.name(), result.address, /*adopted=*/false);
      slot.filled = result.address;
      return Fill::kFilled;
    case plugin::PickResult::Verdict::kDeclined:
      ++counters_.pickers.declined;
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
  ++(picker.fail_open ? counters_.pickers.failed_open : counters_.pickers.failed);
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
  Take(service, pool.name(), result.address, /*adopted=*/false);
  slot.filled = result.address;
  return Fill::kFilled;
}

Engine::Fill Engine::Ask(ServiceRecord& service, const Pool& pool, const Slot& slot,
                         const std::string& picker) {
  Asking& asking = AskingOf(service, slot.family);
  ++counters_.pickers.asked;
  asking.ask = ++last_ask_;
  asking.pool = pool.name();
  asks_.emplace(asking.ask, Question{service.request.key, now_.steady});
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
  Keep(service, wish, nullptr);
  auto slot = std::find_if(wish.slots.begin(), wish.slots.end(), [&](const Slot& s) {
    return !s.filled.has_value() && !s.address.has_value() && s.family == asking.family;
  });
  if (slot == wish.slots.end() || pool == nullptr || !pool->active() ||
      rules_.Objection(*pool, service.request, asking.family) ||
      rules_.QuotaObjection(service.request, *pool, wish.leftovers) || !ledger_.failure().ok()) {
    return;  // the question no longer stands
  }
  if (answer.address.ok() && !answer.address->has_value()) {
    ++counters_.pickers.declined;
    asking.answers.push_back({pool->name(), "picker-declined", answer.message});
    return;
  }
  std::string failure(answer.address.status().message());
  if (answer.address.ok()) {
    const net::IpAddress address = **answer.address;
    if (pool->free(asking.family).Contains(address)) {
      picker_backoff_ = absl::ZeroDuration();
      Take(service, pool->name(), address, /*adopted=*/false);
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

// Now, but after the Service's other addresses: the journal knows their order by it.
int64_t Engine::SinceFor(const ServiceRecord& service) const {
  const int64_t now = absl::ToUnixMillis(now_.wall);
  if (service.held.empty()) return now;
  return std::max(now, ledger_.Find(service.held.back(), &service)->since_unix_ms + 1);
}

void Engine::Take(ServiceRecord& service, const std::string& pool, const net::IpAddress& address,
                  bool adopted) {
  ledger_.Create(address, pool,
                 {.owner = &service,
                  .since_unix_ms = SinceFor(service),
                  .generation = service.request.generation,
                  .adopted = adopted},
                 effects_);
  AddressCounters& counters = CountersOf(address);
  ++(adopted ? counters.adopted : counters.chosen);
  if (!adopted) CountReuse(service, address);
  if (auto* commit = std::get_if<JournalCommit>(&effects_.back());
      commit != nullptr && service.place != 0) {
    commit->waited = waiting_counters_.WaitOf(service.place, now_.steady);
  }
  pools_.Take(address, pool);
  pools_changed_ = true;
  sharing_.Add(service.request, address);
  service.held.push_back(address);
  if (Shares(service.request)) freed_keys_.insert(service.request.sharing->key);
}

void Engine::Join(ServiceRecord& service, const net::IpAddress& address, bool adopted) {
  ledger_.Join(address,
               {.owner = &service,
                .since_unix_ms = SinceFor(service),
                .generation = service.request.generation,
                .adopted = adopted},
               effects_);
  AddressCounters& counters = CountersOf(address);
  ++(adopted ? counters.adopted : counters.shared);
  sharing_.Add(service.request, address);
  service.held.push_back(address);
  if (Shares(service.request)) freed_keys_.insert(service.request.sharing->key);
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
