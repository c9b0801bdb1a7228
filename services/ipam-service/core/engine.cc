#include "services/ipam-service/core/engine.h"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"

namespace portolan::ipam {
namespace {

constexpr uint8_t kAllSources = 0b1111;
// Counters change with every assignment; readers get them at most this often.
constexpr absl::Duration kPoolStateInterval = absl::Milliseconds(100);

uint64_t FingerprintOf(const auto& value) { return absl::HashOf(value) | 1; }

}  // namespace

Engine::Engine(Options options)
    : pickers_(std::move(options.pickers)),
      seed_(options.seed),
      pools_(std::move(options.selectors)) {}

Effects Engine::Handle(const Event& event, Moment now) {
  now_ = now;
  effects_.clear();
  std::visit([this](const auto& e) { On(e); }, event);
  PublishPools();
  ArmNextTimer();
  return std::exchange(effects_, {});
}

void Engine::On(const JournalLoaded& event) {
  if (started_) return;
  loaded_ = event;
  StartWhenComplete();
}

void Engine::On(const Synced& event) {
  synced_ |= static_cast<uint8_t>(1 << static_cast<int>(event.source));
  StartWhenComplete();
}

void Engine::StartWhenComplete() {
  if (started_ || !loaded_.has_value() || synced_ != kAllSources) return;
  AdoptJournal();
  started_ = true;
  std::vector<ServiceRecord*> by_key;
  for (const auto& service : services_) by_key.push_back(service.get());
  std::sort(by_key.begin(), by_key.end(), [](const ServiceRecord* a, const ServiceRecord* b) {
    return a->request.key < b->request.key;
  });
  for (ServiceRecord* service : by_key) {
    if (service->held.empty()) continue;
    Wish wish = WishFor(*service);
    KeepOrRelease(*service, wish);
  }
  for (ServiceRecord* service : by_key) Settle(*service);
  pools_changed_ = true;
  PublishPools();
  effects_.push_back(MarkSynced{});
}

void Engine::AdoptJournal() {
  std::map<std::string, int64_t> earliest;
  std::vector<const JournalRow*> rows;
  for (const JournalRow& row : loaded_->rows) {
    rows.push_back(&row);
    auto [it, first] = earliest.emplace(row.pool, row.since_unix_ms);
    if (!first) it->second = std::min(it->second, row.since_unix_ms);
  }
  std::sort(rows.begin(), rows.end(), [](const JournalRow* a, const JournalRow* b) {
    return std::tie(a->since_unix_ms, a->address) < std::tie(b->since_unix_ms, b->address);
  });
  for (const net::IpAddress& address : loaded_->unreadable) ledger_.AdoptForeign(address);
  for (const JournalRow* row : rows) {
    ServiceRecord* owner = FindService(row->service);
    if (owner == nullptr) {
      ledger_.AdoptOrphan(*row, effects_);
    } else {
      ledger_.Adopt(*row, owner);
      owner->held.push_back(row->address);
    }
  }
  loaded_.reset();
  pools_.OrderAgesBy([&](const std::string& pool) {
    auto it = earliest.find(pool);
    return it == earliest.end() ? std::numeric_limits<int64_t>::max() : it->second;
  });
  pools_.Rebuild(ledger_);
}

ServiceRecord* Engine::FindService(const std::string& key) {
  auto it = services_.find(key);
  return it == services_.end() ? nullptr : it->get();
}

void Engine::On(const ServiceChanged& event) {
  ServiceRecord* service = FindService(event.request.key);
  if (service == nullptr) {
    auto created = std::make_unique<ServiceRecord>();
    created->request = event.request;
    service = services_.insert(std::move(created)).first->get();
  } else if (service->request == event.request) {
    return;
  } else {
    service->request = event.request;
  }
  if (!started_) return;
  ForgetAnswers(*service);
  Settle(*service);
}

void Engine::On(const ServiceRemoved& event) {
  auto it = services_.find(event.key);
  if (it == services_.end()) return;
  ServiceRecord& service = **it;
  for (const net::IpAddress& address : ServiceRecord::Addresses(service.held)) {
    ReleaseAddress(service, address);
  }
  UpdatePlace(service, false);
  for (const Asking& asking : service.asking) asks_.erase(asking.ask);
  if (service.allocation_print != 0) effects_.push_back(WithdrawAllocation{event.key});
  if (service.status_print != 0) {
    effects_.push_back(WithdrawStatus{ObjectKind::kService, event.key});
  }
  services_.erase(it);
}

// Runs `change` on the pool table and settles everybody whom it concerns: first those who hold
// addresses of the pools as they were and as they are, then those who wait, in their order.
template <typename Change>
void Engine::ChangePools(const std::vector<const PoolConfig*>& touched, Change change) {
  if (!started_) {
    change();
    return;
  }
  const std::vector<ServiceRecord*> holders = HoldersIn(touched);
  change();
  pools_.Rebuild(ledger_);
  pools_changed_ = true;
  pools_published_at_ = absl::InfinitePast();  // an edit shows at once
  for (ServiceRecord* holder : holders) {
    Wish wish = WishFor(*holder);
    KeepOrRelease(*holder, wish);
    if (!std::all_of(wish.slots.begin(), wish.slots.end(),
                     [](const Slot& slot) { return slot.filled.has_value(); })) {
      UpdatePlace(*holder, true);
    } else {
      Settle(*holder);
    }
  }
  SettleWaiting();
}

std::vector<ServiceRecord*> Engine::HoldersIn(const std::vector<const PoolConfig*>& touched) const {
  std::vector<ServiceRecord*> holders;
  absl::flat_hash_set<ServiceRecord*> seen;
  for (const PoolConfig* pool : touched) {
    for (const Block& block : pool->blocks) {
      ledger_.ForEachIn(block.range, [&](const net::IpAddress&, const Holding& holding) {
        if (holding.owner != nullptr && seen.insert(holding.owner).second) {
          holders.push_back(holding.owner);
        }
      });
    }
  }
  return holders;
}

void Engine::On(const PoolChanged& event) {
  const Pool* old = pools_.Find(event.pool.name);
  if (old != nullptr && old->config() == event.pool) return;
  std::vector<const PoolConfig*> touched = {&event.pool};
  PoolConfig before;
  if (old != nullptr) {
    before = old->config();
    touched.push_back(&before);
  }
  ChangePools(touched, [&] { pools_.Upsert(event.pool); });
}

void Engine::On(const PoolRemoved& event) {
  const Pool* old = pools_.Find(event.name);
  if (old == nullptr) return;
  const PoolConfig before = old->config();
  if (old->state_print != 0) effects_.push_back(WithdrawPoolState{event.name});
  if (old->status_print != 0) effects_.push_back(WithdrawStatus{ObjectKind::kPool, event.name});
  ChangePools({&before}, [&] { pools_.Remove(event.name); });
}

void Engine::On(const SettingsChanged& event) {
  ChangePools({}, [&] { pickers_.SetDefault(event.address_picker); });
}

void Engine::On(const PickerChanged& event) {
  ChangePools({}, [&] { pickers_.Set({event.name, event.stage, event.error, event.fail_open}); });
}

void Engine::On(const PickerRemoved& event) {
  ChangePools({}, [&] { pickers_.Remove(event.name); });
}

void Engine::On(const JournalDone& event) {
  const bool was_failing = !ledger_.failure().ok();
  const Ledger::Outcome outcome = ledger_.Done(event, now_.steady);
  switch (outcome.kind) {
    case Ledger::Outcome::Kind::kNothing:
      break;
    case Ledger::Outcome::Kind::kGranted:
      Settle(*outcome.owner);
      break;
    case Ledger::Outcome::Kind::kFreed: {
      Pool* pool = pools_.GiveBack(outcome.address, *outcome.pool);
      pools_changed_ = true;
      if (pool != nullptr) SettleWaitingFor(*pool);
      break;
    }
    case Ledger::Outcome::Kind::kForeign:
      outcome.owner->held.erase(
          std::find(outcome.owner->held.begin(), outcome.owner->held.end(), outcome.address));
      Settle(*outcome.owner);
      break;
    case Ledger::Outcome::Kind::kStalled:
      if (outcome.owner != nullptr) Settle(*outcome.owner);
      break;
  }
  if (was_failing && ledger_.failure().ok()) SettleWaiting();
}

void Engine::On(const PickAnswered& event) {
  auto ask = asks_.find(event.ask);
  if (ask == asks_.end()) return;
  ServiceRecord* service = FindService(ask->second);
  asks_.erase(ask);
  if (service == nullptr) return;
  for (Asking& asking : service->asking) {
    if (asking.ask != event.ask) continue;
    AnswerPick(*service, asking, event);
    break;
  }
  Settle(*service);
}

void Engine::On(const Tick&) {
  armed_at_.reset();
  ledger_.Retry(now_.steady, effects_);
  if (picker_retry_at_.has_value() && *picker_retry_at_ <= now_.steady) {
    picker_retry_at_.reset();
    SettleWaiting();
  }
}

void Engine::SettleWaiting() {
  std::vector<ServiceRecord*> order;
  for (const auto& [place, service] : waiting_) order.push_back(service);
  for (ServiceRecord* service : order) {
    ForgetAnswers(*service);
    Settle(*service);
  }
}

void Engine::SettleWaitingFor(const Pool& pool) {
  std::vector<ServiceRecord*> order;
  for (const auto& [place, service] : waiting_) order.push_back(service);
  for (ServiceRecord* service : order) {
    if (pool.free(net::Family::kIpv4).empty() && pool.free(net::Family::kIpv6).empty()) return;
    if (!MayServe(pool, *service)) continue;
    ForgetAnswers(*service);
    Settle(*service);
  }
}

bool Engine::MayServe(const Pool& pool, const ServiceRecord& service) const {
  for (const Slot& slot : WishFor(service).slots) {
    if (slot.address.has_value() ? pool.free(slot.family).Contains(*slot.address)
                                 : !pool.free(slot.family).empty() &&
                                       !Objection(pool, service, slot.family).has_value()) {
      return true;
    }
  }
  return false;
}

void Engine::PublishPools() {
  if (!started_ || !pools_changed_) return;
  if (now_.steady < pools_published_at_ + kPoolStateInterval) return;
  pools_published_at_ = now_.steady;
  pools_changed_ = false;
  for (Pool* pool : pools_.ordered()) {
    if (pool->changed) PublishPool(*pool);
    pool->changed = false;
  }
}

void Engine::PublishPool(Pool& pool) {
  PoolState state = StateOfPool(pool, ledger_);
  if (const uint64_t print = FingerprintOf(state); print != pool.state_print) {
    pool.state_print = print;
    effects_.push_back(PublishPoolState{std::move(state)});
  }
  const std::string& picker = pickers_.NameFor(pool.config().address_picker);
  StatusReport report = ReportOnPool(pool, picker, pickers_.Find(picker));
  if (const uint64_t print = FingerprintOf(report); print != pool.status_print) {
    pool.status_print = print;
    effects_.push_back(PublishStatus{std::move(report)});
  }
}

void Engine::ArmNextTimer() {
  std::optional<absl::Time> next = ledger_.retry_at();
  const auto consider = [&next](absl::Time at) { next = std::min(next.value_or(at), at); };
  if (picker_retry_at_.has_value()) consider(*picker_retry_at_);
  if (started_ && pools_changed_) consider(pools_published_at_ + kPoolStateInterval);
  if (!next.has_value() || (armed_at_.has_value() && *armed_at_ <= *next)) return;
  armed_at_ = next;
  effects_.push_back(ArmTimer{*next});
}

}  // namespace portolan::ipam
