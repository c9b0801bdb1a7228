// Why a Service does not have what it wants, and what the world is told.
#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"

namespace portolan::ipam {
namespace {

std::string SubjectOf(const Pool& pool) { return absl::StrCat("pool/", pool.name()); }

Finding About(const Pool& pool, std::string reason, absl::string_view message) {
  return {SubjectOf(pool), std::move(reason),
          absl::StrCat("pool \"", pool.name(), "\": ", message)};
}

bool AddressAsked(const ServiceRequest& request) { return !request.requested_addresses.empty(); }

}  // namespace

// The first reason why a pool, full or not, gives nothing new of the family to the Service.
std::optional<Finding> Engine::Objection(const Pool& pool, const ServiceRecord& service,
                                         net::Family family) const {
  if (!pool.active()) return About(pool, "pool-conflict", absl::StrCat("it ", pool.conflict()));
  if (pool.config().disabled) return About(pool, "pool-disabled", "it is disabled");
  const ServiceRequest& request = service.request;
  if (!request.requested_pool.empty() && request.requested_pool != pool.name()) {
    return About(pool, "not-in-requested-pool",
                 absl::StrCat("requested-pool is \"", request.requested_pool, "\""));
  }
  if (!pool.config().auto_assign && request.requested_pool.empty() && !AddressAsked(request)) {
    return About(pool, "auto-assign-off", "it serves only Services that request it");
  }
  if (!pool.HasFamily(family)) {
    return About(pool, "family-missing",
                 absl::StrCat("it has no ", net::FamilyName(family), " block"));
  }
  auto refusal = pools_.Refuses(pool, request);
  if (refusal.has_value()) return About(pool, std::move(refusal->reason), refusal->message);
  return std::nullopt;
}

// The first reason why exactly this address cannot be given; nothing: it can.
std::optional<Finding> Engine::ExactObjection(const ServiceRecord& service,
                                              const net::IpAddress& address) const {
  const std::string subject = absl::StrCat("address/", address.ToString());
  const std::vector<Pool*> covering = pools_.Covering(address);
  if (covering.empty()) {
    return Finding{subject, "not-in-pool", absl::StrCat("no pool covers ", address.ToString())};
  }
  std::optional<Finding> objection = Objection(*covering.front(), service, address.family());
  if (objection.has_value()) {
    objection->subject = subject;
    return objection;
  }
  const Holding* holding = ledger_.Find(address);
  if (holding != nullptr) {
    std::string who = "its former owner's record is being erased";
    if (holding->owner != nullptr) {
      who = absl::StrCat("it is held by Service ", holding->owner->request.key);
    } else if (holding->state == Holding::State::kForeign) {
      who = "the store has a record of it that is not ours";
    }
    return Finding{subject, "address-held", absl::StrCat(address.ToString(), ": ", who)};
  }
  if (!covering.front()->MayHandOut(address)) {
    return Finding{subject, "address-reserved",
                   absl::StrCat(address.ToString(), " is the first or last address of a block of ",
                                "pool \"", covering.front()->name(), "\"")};
  }
  return std::nullopt;
}

std::vector<Finding> Engine::WhyNot(const ServiceRecord& service, const Slot& slot) const {
  std::vector<Finding> findings;
  if (slot.address.has_value()) {
    std::optional<Finding> objection = ExactObjection(service, *slot.address);
    findings.push_back(objection.has_value() ? *std::move(objection)
                                             : StoreFinding(ledger_.failure()));
    return findings;
  }
  const std::string& wanted = service.request.requested_pool;
  if (!wanted.empty() && pools_.Find(wanted) == nullptr) {
    findings.push_back({absl::StrCat("pool/", wanted), "no-such-pool",
                        absl::StrCat("requested-pool \"", wanted, "\" does not exist")});
    return findings;
  }
  for (const Pool* pool : pools_.ordered()) {
    if (!wanted.empty() && pool->name() != wanted) continue;
    findings.push_back(WhyPoolDidNot(*pool, service, slot.family));
  }
  if (findings.empty()) findings.push_back({"pool", "no-pool", "there is no address pool"});
  return findings;
}

Finding Engine::WhyPoolDidNot(const Pool& pool, const ServiceRecord& service,
                              net::Family family) const {
  std::optional<Finding> objection = Objection(pool, service, family);
  if (objection.has_value()) return *std::move(objection);
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

void Engine::Publish(ServiceRecord& service, const Wish& wish) {
  ServiceOutcome outcome;
  bool on_its_way = false;
  for (const Slot& slot : wish.slots) {
    if (!slot.filled.has_value()) {
      outcome.unserved.push_back({slot, WhyNot(service, slot)});
      continue;
    }
    const Holding& holding = *ledger_.Find(*slot.filled);
    if (holding.state == Holding::State::kDurable) {
      outcome.granted.push_back(*slot.filled);
    } else if (holding.stalled && !ledger_.failure().ok()) {
      outcome.stalled = ledger_.failure();
    } else {
      on_its_way = true;
    }
  }
  PublishAllocationOf(service, outcome.granted);
  UpdatePlace(service, !outcome.unserved.empty());
  // The journal answers soon, and then there is something to say.
  if (on_its_way) return;
  StatusReport report = ReportOnService(service.request, wish, outcome);
  const uint64_t print = absl::HashOf(report) | 1;
  if (print == service.status_print) return;
  service.status_print = print;
  effects_.push_back(PublishStatus{std::move(report)});
}

void Engine::PublishAllocationOf(ServiceRecord& service,
                                 const std::vector<net::IpAddress>& granted) {
  if (granted.empty()) {
    if (service.allocation_print == 0) return;
    service.allocation_print = 0;
    effects_.push_back(WithdrawAllocation{service.request.key});
    return;
  }
  Allocation allocation{.key = service.request.key,
                        .generation = service.request.generation,
                        .labels = service.request.labels};
  for (const net::IpAddress& address : granted) {
    const Holding& holding = *ledger_.Find(address);
    allocation.grants.push_back({address, *holding.pool, holding.since_unix_ms});
  }
  const uint64_t print = absl::HashOf(allocation) | 1;
  if (print == service.allocation_print) return;
  service.allocation_print = print;
  effects_.push_back(PublishAllocation{std::move(allocation)});
}

void Engine::UpdatePlace(ServiceRecord& service, bool waits) {
  if (waits && service.place == 0) {
    service.place = ++last_place_;
    waiting_.emplace(service.place, &service);
  } else if (!waits && service.place != 0) {
    waiting_.erase(service.place);
    service.place = 0;
  }
}

}  // namespace portolan::ipam
