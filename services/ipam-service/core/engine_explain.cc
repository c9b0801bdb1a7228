// Why a Service does not have what it wants, and what the world is told.
#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/shown.h"

namespace portolan::ipam {
namespace {

// Reasons for which a pool was passed over although the Service already has what it wants.
Finding HadNoNeed(const Pool& pool) {
  return About(pool, "not-needed", "it could serve, but the Service has its address");
}

}  // namespace

std::vector<Finding> Engine::WhyNot(const ServiceRecord& service, const Slot& slot,
                                    const Wish& wish) const {
  std::vector<Finding> findings;
  if (slot.address.has_value()) {
    std::optional<Finding> objection =
        rules_.ExactObjection(service, *slot.address, wish.leftovers);
    findings.push_back(objection.has_value() ? *std::move(objection)
                                             : StoreFinding(ledger_.failure()));
    return findings;
  }
  const std::string& wanted = service.request.requested_pool;
  if (!wanted.empty() && pools_.Find(wanted) == nullptr) {
    findings.push_back({absl::StrCat("pool/", Shown(wanted)), "no-such-pool",
                        absl::StrCat("requested-pool \"", Shown(wanted), "\" does not exist")});
    return findings;
  }
  for (const Pool* pool : pools_.ordered()) {
    if (!wanted.empty() && pool->name() != wanted) continue;
    findings.push_back(WhyPoolDidNot(*pool, service, slot.family, wish));
  }
  if (findings.empty()) findings.push_back({"pool", "no-pool", "there is no address pool"});
  return findings;
}

Finding Engine::WhyPoolDidNot(const Pool& pool, const ServiceRecord& service, net::Family family,
                              const Wish& wish) const {
  std::optional<Finding> objection = rules_.Objection(pool, service.request, family);
  if (!objection.has_value()) {
    objection = rules_.QuotaObjection(service.request, pool, wish.leftovers);
  }
  if (objection.has_value()) return *std::move(objection);
  if (pool.free(family).empty() && pool.cooling(family) > 0) {
    return About(pool, "cooling-down",
                 absl::StrCat("its ", net::FamilyName(family),
                              " addresses are in use, or cool down after they were given up"));
  }
  if (pool.free(family).empty()) {
    return About(pool, "pool-exhausted",
                 absl::StrCat("all its ", net::FamilyName(family), " addresses are in use"));
  }
  if (!ledger_.failure().ok()) return StoreFinding(ledger_.failure());
  const std::string& picker = pickers_.NameFor(pool.config().address_picker);
  if (pickers_.Find(picker) == nullptr) {
    return About(pool, "picker-unknown",
                 absl::StrCat("there is no address-picker \"", picker, "\""));
  }
  for (const Asking& asking : service.asking) {
    if (asking.family != family) continue;
    for (const Asking::Answer& answer : asking.answers) {
      if (answer.pool != pool.name()) continue;
      return About(pool, answer.reason,
                   absl::StrCat("address-picker \"", picker, "\": ", answer.message));
    }
    if (asking.ask != 0 && asking.pool == pool.name()) {
      return About(pool, "picker-asked",
                   absl::StrCat("address-picker \"", picker, "\" has not answered yet"));
    }
  }
  return About(pool, "not-reached", "a pool before it in the order has to answer first");
}

ServiceOutcome Engine::OutcomeOf(const ServiceRecord& service, const Wish& wish,
                                 bool& on_its_way) const {
  ServiceOutcome outcome;
  for (const Slot& slot : wish.slots) {
    if (!slot.filled.has_value()) {
      outcome.unserved.push_back({slot, WhyNot(service, slot, wish)});
      continue;
    }
    const Holding& holding = *ledger_.Find(*slot.filled);
    if (holding.Find(&service)->state == Member::State::kDurable) {
      outcome.granted.push_back(*slot.filled);
    } else if (holding.stalled && !ledger_.failure().ok()) {
      outcome.stalled = ledger_.failure();
    } else {
      on_its_way = true;
    }
  }
  for (const net::IpAddress& address : service.held) {
    const Member& member = *ledger_.Find(address, &service);
    if (member.state != Member::State::kDurable) continue;
    if (!member.stays()) {
      outcome.leaving.push_back({address, absl::FromUnixMillis(member.draining_until_unix_ms)});
    } else if (std::find(wish.leftovers.begin(), wish.leftovers.end(), address) !=
               wish.leftovers.end()) {
      outcome.leaving.push_back({address, absl::InfiniteFuture()});
    }
  }
  return outcome;
}

void Engine::Publish(ServiceRecord& service, const Wish& wish) {
  bool on_its_way = false;
  const ServiceOutcome outcome = OutcomeOf(service, wish, on_its_way);
  PublishAllocationOf(service, outcome);
  UpdatePlace(service, !outcome.unserved.empty());
  // The journal answers soon, and then there is something to say.
  if (on_its_way) return;
  StatusReport report = ReportOnService(service.request, wish, outcome, service.notes);
  const uint64_t print = absl::HashOf(report) | 1;
  if (print == service.status_print) return;
  CountStatus(service, report);
  service.status_print = print;
  effects_.push_back(PublishStatus{std::move(report)});
}

void Engine::ForEachStatus(
    absl::FunctionRef<void(ObjectKind kind, const std::string& key)> visit) const {
  for (const auto& service : services_) {
    if (service->status_print != 0) visit(ObjectKind::kService, service->request.key);
  }
  for (const Pool* pool : pools_.ordered()) {
    if (pool->status_print != 0) visit(ObjectKind::kPool, pool->name());
  }
}

void Engine::PublishAllocationOf(ServiceRecord& service, const ServiceOutcome& outcome) {
  if (outcome.granted.empty() && outcome.leaving.empty()) {
    if (service.allocation_print == 0) return;
    service.allocation_print = 0;
    effects_.push_back(WithdrawAllocation{service.request.key});
    return;
  }
  Allocation allocation{.key = service.request.key,
                        .generation = service.request.generation,
                        .labels = service.request.labels};
  const auto add = [&](const net::IpAddress& address) {
    const Holding& holding = *ledger_.Find(address);
    const Member& member = *holding.Find(&service);
    allocation.grants.push_back({address, *holding.pool, member.since_unix_ms,
                                 member.draining_until_unix_ms, member.adopted});
  };
  for (const net::IpAddress& address : outcome.granted) add(address);
  for (const ServiceOutcome::Leaving& leaving : outcome.leaving) add(leaving.address);
  const uint64_t print = absl::HashOf(allocation) | 1;
  if (print == service.allocation_print) return;
  service.allocation_print = print;
  effects_.push_back(PublishAllocation{std::move(allocation)});
}

void Engine::UpdatePlace(ServiceRecord& service, bool waits) {
  if (waits && service.place == 0) {
    service.place = ++last_place_;
    waiting_.emplace(service.place, &service);
    waiting_counters_.Enter(service.place, now_.steady);
  } else if (!waits && service.place != 0) {
    waiting_.erase(service.place);
    waiting_counters_.Leave(service.place, now_.steady, !service.held.empty());
    service.place = 0;
  }
}

// What Keep() would do to the wish of a Service that is settled.
Wish Engine::SettledWish(const ServiceRecord& service) const {
  Wish wish = WishFor(service);
  for (const net::IpAddress& address : service.held) {
    const Holding& holding = *ledger_.Find(address);
    const Member& member = *holding.Find(&service);
    if (!member.stays()) continue;
    const bool legal = rules_.HomeOf(service.request, address, *holding.pool) != nullptr;
    if (!legal) wish.stranded.push_back(rules_.WhyIllegal(service.request, address));
    if (Slot* slot = SlotFor(wish, address, KeepsExtra(service, wish, member)); slot != nullptr) {
      slot->filled = address;
    } else {
      wish.leftovers.push_back(address);
    }
  }
  return wish;
}

SlotExplanation Engine::ExplainHeld(const ServiceRecord& service,
                                    const net::IpAddress& address) const {
  const Holding& holding = *ledger_.Find(address);
  const Member& member = *holding.Find(&service);
  SlotExplanation slot{.wish = absl::StrCat("address ", address.ToString()),
                       .address = address,
                       .outcome = "granted",
                       .since_unix_ms = member.since_unix_ms};
  for (const Member& other : holding.members) {
    if (other.owner != &service) slot.shared_with.push_back(other.owner->request.key);
  }
  const Pool* home = rules_.HomeOf(service.request, address, *holding.pool);
  if (!member.stays()) {
    slot.outcome = "draining";
  } else if (home == nullptr) {
    slot.outcome = "stranded";
  } else if (member.state != Member::State::kDurable) {
    slot.outcome = "recording";
  }
  if (home == nullptr) slot.considered.push_back(rules_.WhyIllegal(service.request, address));
  return slot;
}

SlotExplanation Engine::ExplainSlot(const ServiceRecord& service, const Slot& slot,
                                    const Wish& wish) const {
  if (!slot.filled.has_value()) {
    return {.wish = NameOf(slot), .outcome = "waiting", .considered = WhyNot(service, slot, wish)};
  }
  SlotExplanation explanation = ExplainHeld(service, *slot.filled);
  explanation.wish = NameOf(slot);
  const Holding& holding = *ledger_.Find(*slot.filled);
  for (const Pool* pool : pools_.ordered()) {
    if (pool->name() == *holding.pool) {
      if (explanation.outcome == "stranded") continue;
      explanation.considered.push_back(About(
          *pool, "serves", absl::StrCat("the address ", slot.filled->ToString(), " is from here")));
      continue;
    }
    Finding finding = WhyPoolDidNot(*pool, service, slot.family, wish);
    explanation.considered.push_back(finding.reason == "not-reached" ? HadNoNeed(*pool)
                                                                     : std::move(finding));
  }
  return explanation;
}

std::optional<Explanation> Engine::Explain(const std::string& key) const {
  auto it = services_.find(key);
  if (it == services_.end()) return std::nullopt;
  const ServiceRecord& service = **it;
  Explanation explanation;
  const Wish wish = SettledWish(service);
  for (const Slot& slot : wish.slots) {
    explanation.slots.push_back(ExplainSlot(service, slot, wish));
  }
  for (const net::IpAddress& address : service.held) {
    const bool shown = std::any_of(wish.slots.begin(), wish.slots.end(),
                                   [&](const Slot& slot) { return slot.filled == address; });
    if (!shown) explanation.slots.push_back(ExplainHeld(service, address));
  }
  bool on_its_way = false;
  const ServiceOutcome outcome = OutcomeOf(service, wish, on_its_way);
  explanation.status = ReportOnService(service.request, wish, outcome, service.notes);
  return explanation;
}

}  // namespace portolan::ipam
