// The allocator: pools and Services in, addresses out. Pure: the same events at the same moments
// give the same effects. Single-threaded; no I/O, no clock, no chance.
//
// The contract that it keeps:
//  - An address has one owner. It is published only after its row is durable, and is free again
//    only after the erasure of its row is durable.
//  - Nothing is assigned before the journal is loaded and every source has said Synced. The same
//    journal, pools and Services in any order then give the same result.
//  - An address stays with its Service as long as it is legal: some pool covers it and selects the
//    Service, and the request still has room for it. Edges of a CIDR, disabled, auto-assign,
//    priority, picker and conflicts only matter for new assignments.
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
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "services/ipam-service/core/effect.h"
#include "services/ipam-service/core/event.h"
#include "services/ipam-service/core/ledger.h"
#include "services/ipam-service/core/picker_table.h"
#include "services/ipam-service/core/pool_table.h"
#include "services/ipam-service/core/report.h"
#include "services/ipam-service/core/service_record.h"
#include "services/ipam-service/core/types.h"
#include "services/ipam-service/core/wish.h"

namespace portolan::ipam {

class Engine {
 public:
  struct Options {
    PoolSelectors selectors;                            // all of them must agree to a pool
    std::map<std::string, PickerTable::Stage> pickers;  // built in; must hold "lowest-free"
    uint64_t seed = 0;                                  // given to pickers
  };

  explicit Engine(Options options);

  Effects Handle(const Event& event, Moment now);

 private:
  enum class Fill { kFilled, kNext, kWait };

  // Events (engine.cc).
  void On(const JournalLoaded& event);
  void On(const JournalDone& event);
  void On(const PoolChanged& event);
  void On(const PoolRemoved& event);
  void On(const SettingsChanged& event);
  void On(const PickerChanged& event);
  void On(const PickerRemoved& event);
  void On(const PickAnswered& event);
  void On(const ServiceChanged& event);
  void On(const ServiceRemoved& event);
  void On(const Synced& event);
  void On(const Tick& event);

  void StartWhenComplete();
  void AdoptJournal();
  ServiceRecord* FindService(const std::string& key);
  template <typename Change>
  void ChangePools(const std::vector<const PoolConfig*>& touched, Change change);
  std::vector<ServiceRecord*> HoldersIn(const std::vector<const PoolConfig*>& touched) const;
  void SettleWaiting();
  void SettleWaitingFor(const Pool& pool);
  bool MayServe(const Pool& pool, const ServiceRecord& service) const;
  void PublishPools();
  void PublishPool(Pool& pool);
  void ArmNextTimer();

  // Assignment (engine_assign.cc).
  Wish WishFor(const ServiceRecord& service) const;
  void KeepOrRelease(ServiceRecord& service, Wish& wish);
  const Pool* HomeOf(const ServiceRecord& service, const net::IpAddress& address,
                     const Holding& holding) const;
  void ReleaseAddress(ServiceRecord& service, const net::IpAddress& address);
  // Brings a Service to what it should have, as far as possible, and publishes.
  void Settle(ServiceRecord& service);
  void FillSlot(ServiceRecord& service, Slot& slot);
  void FillExact(ServiceRecord& service, Slot& slot);
  Fill Propose(ServiceRecord& service, Pool& pool, Slot& slot);
  Fill PickerFailed(ServiceRecord& service, Pool& pool, Slot& slot,
                    const PickerTable::Picker& picker, std::string message);
  Fill Ask(ServiceRecord& service, const Pool& pool, const Slot& slot, const std::string& picker);
  void Take(ServiceRecord& service, const Pool& pool, const net::IpAddress& address, Slot& slot);
  Asking& AskingOf(ServiceRecord& service, net::Family family);
  void AnswerPick(ServiceRecord& service, Asking& asking, const PickAnswered& answer);
  void ForgetAnswers(ServiceRecord& service);

  // Why not, and telling (engine_explain.cc).
  std::optional<Finding> Objection(const Pool& pool, const ServiceRecord& service,
                                   net::Family family) const;
  std::optional<Finding> ExactObjection(const ServiceRecord& service,
                                        const net::IpAddress& address) const;
  std::vector<Finding> WhyNot(const ServiceRecord& service, const Slot& slot) const;
  std::vector<Finding> WhyNotExact(const ServiceRecord& service,
                                   const net::IpAddress& address) const;
  Finding WhyPoolDidNot(const Pool& pool, const ServiceRecord& service, net::Family family) const;
  void Publish(ServiceRecord& service, const Wish& wish);
  void PublishAllocationOf(ServiceRecord& service, const std::vector<net::IpAddress>& granted);
  void UpdatePlace(ServiceRecord& service, bool waits);

  PickerTable pickers_;
  const uint64_t seed_;
  PoolTable pools_;
  Ledger ledger_;
  ServiceTable services_;
  absl::btree_map<uint64_t, ServiceRecord*> waiting_;  // by place
  uint64_t last_place_ = 0;
  absl::flat_hash_map<uint64_t, std::string> asks_;  // outstanding -> Service key
  uint64_t last_ask_ = 0;
  std::optional<absl::Time> picker_retry_at_;
  absl::Duration picker_backoff_ = absl::ZeroDuration();

  std::optional<JournalLoaded> loaded_;  // until the start
  uint8_t synced_ = 0;                   // bit per Source
  bool started_ = false;
  absl::Time pools_published_at_ = absl::InfinitePast();
  bool pools_changed_ = false;
  std::optional<absl::Time> armed_at_;

  // Of the Handle() that runs.
  Moment now_;
  Effects effects_;
};

}  // namespace portolan::ipam
