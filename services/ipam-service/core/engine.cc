#include "services/ipam-service/core/engine.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"

namespace portolan::ipam {
namespace {

// Counters change with every assignment; readers get them at most this often.
constexpr absl::Duration kPoolStateInterval = absl::Milliseconds(100);
// An estimate of exhaustion grows old by itself.
constexpr absl::Duration kTrendInterval = absl::Minutes(1);
constexpr absl::Duration kPoolRowsRetry = absl::Seconds(30);
// An event that gives or publishes an address has no more than so many.
constexpr size_t kEffectsOfMost = 4;

uint64_t FingerprintOf(const auto& value) { return absl::HashOf(value) | 1; }

}  // namespace

Engine::Engine(Options options)
    : pickers_(std::move(options.pickers)),
      seed_(options.seed),
      selectors_(std::move(options.selectors)),
      pools_(selectors_, &namespaces_) {}

Effects Engine::Handle(Event event, Moment now) {
  now_ = now;
  effects_.clear();
  if (started_) effects_.reserve(kEffectsOfMost);
  std::visit([this](auto& e) { On(e); }, event);
  SettleFreed();
  PublishPools();
  ArmNextTimer();
  return std::exchange(effects_, {});
}

void Engine::On(JournalLoaded& event) {
  if (started_) return;
  loaded_ = std::move(event);
  StartWhenComplete();
}

void Engine::On(const Synced& event) {
  synced_ |= static_cast<uint8_t>(1 << static_cast<int>(event.source));
  StartWhenComplete();
}

ServiceRecord* Engine::FindService(const std::string& key) {
  auto it = services_.find(key);
  return it == services_.end() ? nullptr : it->get();
}

void Engine::On(ServiceChanged& event) {
  ServiceRecord* service = FindService(event.request.key);
  if (service == nullptr) {
    auto created = std::make_unique<ServiceRecord>();
    created->request = std::move(event.request);
    service = services_.insert(std::move(created)).first->get();
    if (!started_) return;
    AdoptInUse(*service);
    Settle(*service);
    return;
  }
  if (service->request == event.request) return;
  if (!started_) {
    service->request = std::move(event.request);
    return;
  }
  // What was illegal before the edit is not the edit's doing.
  const Addresses stranded = StrandedOf(*service);
  for (const net::IpAddress& address : service->held) sharing_.Remove(service->request, address);
  if (Shares(service->request)) freed_keys_.insert(service->request.sharing->key);
  service->request = std::move(event.request);
  service->notes.clear();
  for (const net::IpAddress& address : service->held) sharing_.Add(service->request, address);
  if (Shares(service->request)) freed_keys_.insert(service->request.sharing->key);
  ForgetAnswers(*service);
  Settle(*service, &stranded);
}

void Engine::On(const ServiceRemoved& event) {
  auto it = services_.find(event.key);
  if (it == services_.end()) return;
  ServiceRecord& service = **it;
  for (const net::IpAddress& address : Addresses(service.held)) LeaveAddress(service, address);
  UpdatePlace(service, false);
  stranded_.erase(event.key);
  for (const Asking& asking : service.asking) asks_.erase(asking.ask);
  if (service.allocation_print != 0) effects_.push_back(WithdrawAllocation{event.key});
  if (service.status_print != 0) {
    UncountStatus(service);
    effects_.push_back(WithdrawStatus{ObjectKind::kService, event.key});
  }
  services_.erase(it);
}

// Runs `change` on what decides about pools and settles everybody whom it concerns: first those who
// are named (holders of addresses), then those who wait, in their order.
template <typename Change>
void Engine::ChangePools(std::vector<ServiceRecord*> concerned, Change change) {
  change();
  if (!started_) return;
  pools_.Rebuild(ledger_, Past());
  pools_changed_ = true;
  pools_published_at_ = absl::InfinitePast();  // an edit shows at once
  for (ServiceRecord* holder : concerned) Settle(*holder);
  SettleWaiting();
  renumber_adopted_ = true;
  if (settings_.allow_renumber) renumber_at_ = now_.steady + kRenumberDelay;
}

std::vector<ServiceRecord*> Engine::HoldersIn(const std::vector<const PoolConfig*>& touched) const {
  std::vector<ServiceRecord*> holders;
  absl::flat_hash_set<ServiceRecord*> seen;
  for (const PoolConfig* pool : touched) {
    for (const Block& block : pool->blocks) {
      ledger_.ForEachIn(block.range, [&](const net::IpAddress&, const Holding& holding) {
        for (const Member& member : holding.members) {
          if (seen.insert(member.owner).second) holders.push_back(member.owner);
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
  ChangePools(HoldersIn(touched), [&] { pools_.Upsert(event.pool); });
  if (started_ && old == nullptr) RecordPool(event.pool.name);
}

void Engine::On(const PoolRemoved& event) {
  const Pool* old = pools_.Find(event.name);
  if (old == nullptr) return;
  const PoolConfig before = old->config();
  if (old->state_print != 0) effects_.push_back(WithdrawPoolState{event.name});
  if (old->status_print != 0) effects_.push_back(WithdrawStatus{ObjectKind::kPool, event.name});
  ChangePools(HoldersIn({&before}), [&] { pools_.Remove(event.name); });
  if (!started_) return;
  first_seen_.erase(event.name);
  WritePoolRows({}, {event.name});
}

void Engine::On(const SettingsChanged& event) {
  settings_ = event.settings;
  ChangePools({}, [&] { pickers_.SetDefault(event.settings.address_picker); });
}

void Engine::On(const QuotaChanged& event) {
  const QuotaConfig* old = quotas_.Find(event.quota.name);
  if (old != nullptr && *old == event.quota) return;
  ChangePools({}, [&] { quotas_.Upsert(event.quota); });
}

void Engine::On(const QuotaRemoved& event) {
  ChangePools({}, [&] { quotas_.Remove(event.name); });
}

// Only the Services of the namespace are concerned, and only when somebody selects by its labels.
template <typename Change>
void Engine::ChangeNamespace(const std::string& name, Change change) {
  const bool selected =
      quotas_.selects_by_label() ||
      std::any_of(pools_.ordered().begin(), pools_.ordered().end(),
                  [](const Pool* pool) { return !pool->config().namespace_selectors.empty(); });
  std::vector<ServiceRecord*> concerned;
  for (const auto& service : services_) {
    if (!selected || NamespaceOf(service->request.key) != name) continue;
    concerned.push_back(service.get());
  }
  std::sort(concerned.begin(), concerned.end(), [](const ServiceRecord* a, const ServiceRecord* b) {
    return a->request.key < b->request.key;
  });
  const auto forget = [&] {
    change();
    quotas_.Forget();
  };
  if (started_ && selected) {
    ChangePools(std::move(concerned), forget);
  } else {
    forget();
  }
}

void Engine::On(const NamespaceChanged& event) {
  if (namespaces_.LabelsOf(event.name) == event.labels) return;
  ChangeNamespace(event.name, [&] { namespaces_.Set(event.name, event.labels); });
}

void Engine::On(const NamespaceRemoved& event) {
  ChangeNamespace(event.name, [&] { namespaces_.Remove(event.name); });
}

void Engine::On(const PickerChanged& event) {
  ChangePools({}, [&] { pickers_.Set({event.name, event.stage, event.error, event.fail_open}); });
}

void Engine::On(const PickerRemoved& event) {
  ChangePools({}, [&] { pickers_.Remove(event.name); });
}

void Engine::On(const JournalDone& event) {
  if (pool_writes_.erase(event.batch) > 0) {
    if (!event.status.ok()) pool_rows_retry_at_ = now_.steady + kPoolRowsRetry;
    return;
  }
  if (ForgotReleases(event)) return;
  const bool was_failing = !ledger_.failure().ok();
  const Ledger::Outcome outcome = ledger_.Done(event, now_.steady, effects_);
  if (outcome.kind == Ledger::Outcome::Kind::kFreed) {
    Pool* pool = pools_.GiveBack(outcome.address, *outcome.pool, now_.steady);
    pools_changed_ = true;
    if (pool != nullptr) SettleWaitingFor(*pool);
  }
  if (outcome.kind == Ledger::Outcome::Kind::kGranted) {
    CountersOf(outcome.address).granted += outcome.owners.size();
  }
  for (ServiceRecord* owner : outcome.returned) Settle(*owner);
  for (ServiceRecord* owner : outcome.owners) {
    if (outcome.kind == Ledger::Outcome::Kind::kForeign) {
      ++CountersOf(outcome.address).lost;
      sharing_.Remove(owner->request, outcome.address);
      owner->held.erase(std::find(owner->held.begin(), owner->held.end(), outcome.address));
    }
    Settle(*owner);
  }
  if (was_failing && ledger_.failure().ok()) SettleWaiting();
}

void Engine::On(const PickAnswered& event) {
  auto ask = asks_.find(event.ask);
  if (ask == asks_.end()) return;
  ServiceRecord* service = FindService(ask->second.service);
  counters_.pickers.answered_after.Observe(
      absl::ToDoubleSeconds(now_.steady - ask->second.asked_at));
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
  EndDrains();
  EndCoolDowns();
  if (renumber_at_.has_value() && *renumber_at_ <= now_.steady) {
    renumber_at_.reset();
    if (settings_.allow_renumber) Renumber();
  }
  if (pool_rows_retry_at_.has_value() && *pool_rows_retry_at_ <= now_.steady) {
    pool_rows_retry_at_.reset();
    WritePoolRows(PoolRows(), {});
  }
  if (trends_at_.has_value() && *trends_at_ <= now_.steady) {
    trends_at_.reset();
    pools_changed_ = true;
    for (Pool* pool : pools_.ordered()) pool->changed = true;
  }
}

void Engine::SettleFreed() {
  for (;;) {
    if (pools_.CoolingTurned()) {
      SettleWaiting();
      continue;
    }
    if (!unsettled_.empty()) {
      for (ServiceRecord* service : std::exchange(unsettled_, {})) Settle(*service);
      continue;
    }
    if (!started_ || (freed_keys_.empty() && freed_namespaces_.empty())) return;
    const auto keys = std::exchange(freed_keys_, {});
    const auto names = std::exchange(freed_namespaces_, {});
    std::vector<ServiceRecord*> order;
    for (const auto& [place, service] : waiting_) {
      const bool shares = Shares(service->request) && keys.contains(service->request.sharing->key);
      if (shares || names.contains(NamespaceOf(service->request.key))) order.push_back(service);
    }
    for (ServiceRecord* service : order) {
      ForgetAnswers(*service);
      Settle(*service);
    }
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
    const bool nothing_left =
        std::all_of(kFamilies.begin(), kFamilies.end(), [&pool](net::Family family) {
          return pool.free(family).empty() && pool.cooling(family) == 0;
        });
    if (nothing_left) return;
    if (!MayServe(pool, *service)) continue;
    ForgetAnswers(*service);
    Settle(*service);
  }
}

bool Engine::MayServe(const Pool& pool, const ServiceRecord& service) const {
  for (const Slot& slot : WishFor(service).slots) {
    const net::Family family = slot.family;
    if (slot.address.has_value()
            ? pool.free(family).Contains(*slot.address) || pool.Cooling(*slot.address) != nullptr
            : !pool.free(family).empty() && !rules_.Objection(pool, service.request, family)) {
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
  PoolState state = StateOfPool(pool, ledger_, now_.steady);
  for (const FamilyCount& count : state.counts) {
    if (count.exhausted_in_s != 0 && !trends_at_) trends_at_ = now_.steady + kTrendInterval;
  }
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
  for (const auto& at : {picker_retry_at_, renumber_at_, pool_rows_retry_at_, trends_at_}) {
    if (at.has_value()) consider(*at);
  }
  if (!drains_.empty()) consider(drains_.begin()->first);
  if (pools_.cool_downs_end_at().has_value()) consider(*pools_.cool_downs_end_at());
  if (started_ && pools_changed_) consider(pools_published_at_ + kPoolStateInterval);
  if (!next.has_value() || (armed_at_.has_value() && *armed_at_ <= *next)) return;
  armed_at_ = next;
  effects_.push_back(ArmTimer{*next});
}

}  // namespace portolan::ipam
