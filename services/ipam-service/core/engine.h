// The allocator: pools and Services in, addresses out. Pure: the same events at the same moments
// give the same effects. Single-threaded; no I/O, no clock, no chance.
//
// The contract that it keeps:
//  - An address has one owner. It is published only after its row is durable, and is free again
//    only after the erasure of its row is durable.
//  - Nothing is assigned before the journal is loaded and every source has said Synced. The same
//    journal, pools and Services in any order then give the same result.
//  - An address stays with its Service as long as it is legal: some pool covers it and selects the
//    Service, and the request still has room for it. Edges of a CIDR, exclusions, disabled,
//    auto-assign, priority, picker, quotas and conflicts only matter for new assignments.
//  - An address that becomes illegal by an edit of the Service itself goes. One that becomes
//  illegal
//    by anything else is stranded: it stays and is reported, until it is legal again, or until
//    Settings.allow_renumber has been in force for kRenumberDelay without another change of pools.
//  - Make before break: an address that goes works beside the new one for Settings.drain_time. One
//    that is merely no longer asked for begins to drain when what is asked for is there.
//  - Several Services may be on one address (core/sharing.h).
//  - Addresses found in use when a Service is first seen are taken over before anything is chosen.
//  - Where a pool's picker keeps a history (plugins/sdk), it is durable when an address was given
//    up, in the same write as its erasure. While the address cools down it is given only to the
//    Service that held it and asks for it by name; an address found in use is taken over at once.
//  - Services that wait are served first come, first served; at the start, in the order of keys.
//  - When the journal refuses, what is known is served, and nothing new is chosen until a write
//    succeeds.
//
// Cost: one assignment is O(log addresses), whatever the size of the pool; a change of a pool is
// O(what it holds + what waits).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "services/ipam-service/core/counters.h"
#include "services/ipam-service/core/effect.h"
#include "services/ipam-service/core/event.h"
#include "services/ipam-service/core/figures.h"
#include "services/ipam-service/core/ledger.h"
#include "services/ipam-service/core/namespace_table.h"
#include "services/ipam-service/core/picker_table.h"
#include "services/ipam-service/core/pool_table.h"
#include "services/ipam-service/core/quota_table.h"
#include "services/ipam-service/core/release_table.h"
#include "services/ipam-service/core/report.h"
#include "services/ipam-service/core/rules.h"
#include "services/ipam-service/core/service_record.h"
#include "services/ipam-service/core/sharing.h"
#include "services/ipam-service/core/types.h"
#include "services/ipam-service/core/wish.h"

namespace portolan::ipam {

// Pools change one by one though they were edited together; stranded addresses move after this much
// quiet.
inline constexpr absl::Duration kRenumberDelay = absl::Milliseconds(250);

class Engine {
 public:
  struct Options {
    PoolSelectors selectors;                            // all of them must agree to a pool
    std::map<std::string, PickerTable::Stage> pickers;  // built in; must hold "lowest-free"
    uint64_t seed = 0;                                  // given to pickers
  };

  explicit Engine(Options options);

  Effects Handle(Event event, Moment now);

  // What would happen to addresses if this were the configuration (core/plan.h): what Services lose
  // if moving is allowed, and what those get who wait. Nothing: not started yet.
  std::optional<AddressPlan> Plan(const Proposal& proposal) const;
  // Nothing: no such Service.
  std::optional<Explanation> Explain(const std::string& service) const;
  // O(pools).
  EngineFigures Figures(absl::Time now) const;
  // Everybody whose status was published and not withdrawn.
  void ForEachStatus(absl::FunctionRef<void(ObjectKind kind, const std::string& key)> visit) const;

 private:
  enum class Fill { kFilled, kNext, kWait };
  using Addresses = ServiceRecord::Addresses;
  friend class Planner;

  // Copies (engine_twin.cc).
  struct AsTwin {};
  Engine(AsTwin, const Engine& live);
  // An engine in the same state that knows only these Services: all that wait or are stranded, and
  // all that are on one address or in one quota with one of them. What others hold is foreign.
  std::unique_ptr<Engine> TwinOf(const std::vector<const ServiceRecord*>& services) const;

  // Events (engine.cc); they may be moved from.
  void On(JournalLoaded& event);
  void On(const JournalDone& event);
  void On(const PoolChanged& event);
  void On(const PoolRemoved& event);
  void On(const SettingsChanged& event);
  void On(const QuotaChanged& event);
  void On(const QuotaRemoved& event);
  void On(const NamespaceChanged& event);
  void On(const NamespaceRemoved& event);
  void On(const PickerChanged& event);
  void On(const PickerRemoved& event);
  void On(const PickAnswered& event);
  void On(ServiceChanged& event);
  void On(const ServiceRemoved& event);
  void On(const Synced& event);
  void On(const Tick& event);

  ServiceRecord* FindService(const std::string& key);
  template <typename Change>
  void ChangePools(std::vector<ServiceRecord*> concerned, Change change);
  template <typename Change>
  void ChangeNamespace(const std::string& name, Change change);
  std::vector<ServiceRecord*> HoldersIn(const std::vector<const PoolConfig*>& touched) const;
  void SettleWaiting();
  void SettleWaitingFor(const Pool& pool);
  // Those who wait for what was given up while this event was handled.
  void SettleFreed();
  bool MayServe(const Pool& pool, const ServiceRecord& service) const;
  void PublishPools();
  void PublishPool(Pool& pool);
  void ArmNextTimer();

  // The start (engine_start.cc).
  void StartWhenComplete();
  void AdoptJournal();
  void AdoptRow(const JournalRow& row);
  void OrderPools();
  // Takes over what the Service was found to use.
  void AdoptInUse(ServiceRecord& service);
  void AdoptAddress(ServiceRecord& service, const net::IpAddress& address);
  void RecordPool(const std::string& name);
  void WritePoolRows(std::vector<PoolRow> put, std::vector<std::string> erase);
  std::vector<PoolRow> PoolRows() const;

  // What is kept and what goes (engine_keep.cc).
  const net::IpAddress* LeadingOf(const ServiceRecord& service) const;
  Wish WishFor(const ServiceRecord& service) const;
  // Compares what is held with the wish. Illegal addresses are stranded when `strandable` is null
  // or lists them; the others begin to go. False: something came back or went, so that the wish may
  // be another one now.
  bool Keep(ServiceRecord& service, Wish& wish, const Addresses* strandable);
  Addresses StayingFirst(const ServiceRecord& service) const;
  bool GivesWay(ServiceRecord& service, const net::IpAddress& address);
  static bool KeepsExtra(const ServiceRecord& service, const Wish& wish, const Member& member);
  Slot* SlotFor(Wish& wish, const net::IpAddress& address, bool extra) const;
  // The pool answers for the address from now on.
  void Rehome(const net::IpAddress& address, const std::string& pool);
  // Lets the leftovers go when everything that is asked for is there.
  void LetLeftoversGo(ServiceRecord& service, Wish& wish);
  Addresses StrandedOf(const ServiceRecord& service) const;
  void Drain(ServiceRecord& service, const net::IpAddress& address);
  void ScheduleDrain(const ServiceRecord& service, const net::IpAddress& address,
                     int64_t until_unix_ms);
  void EndDrains();
  void Renumber();
  void LeaveAddress(ServiceRecord& service, const net::IpAddress& address);

  // What was given up when (engine_history.cc).
  PoolTable::Past Past() const { return {releases_, pickers_, now_.steady}; }
  // Before the Service leaves the address, or before the row of one that is gone is erased.
  void NoteRelease(const ServiceRecord& service, const net::IpAddress& address);
  void NoteRelease(const std::string& service, const net::IpAddress& address,
                   const std::string& pool);
  void ForgetReleases(const std::vector<net::IpAddress>& addresses);
  // False: the write was not about forgotten releases.
  bool ForgotReleases(const JournalDone& done);
  void EndCoolDowns();

  // Assignment (engine_assign.cc).
  // Brings a Service to what it should have, as far as possible, and publishes.
  void Settle(ServiceRecord& service, const Addresses* strandable = nullptr);
  void FillSlot(ServiceRecord& service, Slot& slot, const Wish& wish);
  void FillExact(ServiceRecord& service, Slot& slot, const Wish& wish);
  bool JoinOthers(ServiceRecord& service, Slot& slot, const Wish& wish);
  Fill Propose(ServiceRecord& service, Pool& pool, Slot& slot);
  Fill PickerFailed(ServiceRecord& service, Pool& pool, Slot& slot,
                    const PickerTable::Picker& picker, std::string message);
  Fill Ask(ServiceRecord& service, const Pool& pool, const Slot& slot, const std::string& picker);
  void Take(ServiceRecord& service, const std::string& pool, const net::IpAddress& address,
            bool adopted);
  void Join(ServiceRecord& service, const net::IpAddress& address, bool adopted);
  int64_t SinceFor(const ServiceRecord& service) const;
  Asking& AskingOf(ServiceRecord& service, net::Family family);
  void AnswerPick(ServiceRecord& service, Asking& asking, const PickAnswered& answer);
  void ForgetAnswers(ServiceRecord& service);

  // Why not, and telling (engine_explain.cc).
  std::vector<Finding> WhyNot(const ServiceRecord& service, const Slot& slot,
                              const Wish& wish) const;
  Finding WhyPoolDidNot(const Pool& pool, const ServiceRecord& service, net::Family family,
                        const Wish& wish) const;
  SlotExplanation ExplainSlot(const ServiceRecord& service, const Slot& slot,
                              const Wish& wish) const;
  SlotExplanation ExplainHeld(const ServiceRecord& service, const net::IpAddress& address) const;
  // The wish of a settled Service with what it holds, changing nothing.
  Wish SettledWish(const ServiceRecord& service) const;
  ServiceOutcome OutcomeOf(const ServiceRecord& service, const Wish& wish, bool& on_its_way) const;
  void Publish(ServiceRecord& service, const Wish& wish);
  void PublishAllocationOf(ServiceRecord& service, const ServiceOutcome& outcome);
  void UpdatePlace(ServiceRecord& service, bool waits);

  // Counting (engine_figures.cc).
  AddressCounters& CountersOf(const net::IpAddress& address);
  void CountReuse(const ServiceRecord& service, const net::IpAddress& address);
  // What the Service was told last becomes what the report says.
  void CountStatus(ServiceRecord& service, const StatusReport& report);
  void UncountStatus(const ServiceRecord& service);

  PickerTable pickers_;
  const uint64_t seed_;
  const PoolSelectors selectors_;
  NamespaceTable namespaces_;
  QuotaTable quotas_{&namespaces_};
  PoolTable pools_;
  ReleaseTable releases_;
  Ledger ledger_{&releases_};
  const Rules rules_{&pools_, &ledger_, &quotas_};
  SharingIndex sharing_;
  ServiceTable services_;
  Settings settings_;

  Counters counters_;
  WaitingCounters waiting_counters_;

  absl::btree_map<uint64_t, ServiceRecord*> waiting_;  // by place
  uint64_t last_place_ = 0;
  struct Question {
    std::string service;  // its key
    absl::Time asked_at;
  };
  absl::flat_hash_map<uint64_t, Question> asks_;  // outstanding
  uint64_t last_ask_ = 0;
  std::optional<absl::Time> picker_retry_at_;
  absl::Duration picker_backoff_ = absl::ZeroDuration();

  absl::btree_map<std::string, ServiceRecord*> stranded_;  // by key: those with such an address
  std::optional<absl::Time> renumber_at_;
  bool renumber_adopted_ = false;  // not at the start: nobody decided about them since
  struct Draining {
    net::IpAddress address;
    std::string service;
    int64_t until_unix_ms;
  };
  std::multimap<absl::Time, Draining> drains_;  // entries that no longer hold are skipped
  // Whose address was changed by another Service in this Handle().
  std::vector<ServiceRecord*> unsettled_;
  // Where there may be room since the event of this Handle().
  absl::flat_hash_set<std::string> freed_keys_;        // sharing keys: who is where has changed
  absl::flat_hash_set<std::string> freed_namespaces_;  // whose quota has room

  // Whose rows are to be erased; and those whose erasure is on its way, by batch.
  absl::btree_set<net::IpAddress> forgotten_;
  absl::flat_hash_map<uint64_t, std::vector<net::IpAddress>> forgetting_;

  std::optional<JournalLoaded> loaded_;  // until the start
  uint8_t synced_ = 0;                   // bit per Source
  bool started_ = false;
  std::map<std::string, int64_t> first_seen_;  // pools that are known, unix ms
  int64_t last_seen_ = 0;                      // the latest of them
  absl::flat_hash_set<uint64_t> pool_writes_;  // batches of their rows
  std::optional<absl::Time> pool_rows_retry_at_;
  absl::Time pools_published_at_ = absl::InfinitePast();
  bool pools_changed_ = false;
  std::optional<absl::Time> trends_at_;  // when estimates are to be renewed
  std::optional<absl::Time> armed_at_;

  // Of the Handle() that runs.
  Moment now_;
  Effects effects_;
};

}  // namespace portolan::ipam
