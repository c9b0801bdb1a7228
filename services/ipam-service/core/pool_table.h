// All pools: who serves first, who overlaps whom, which pool answers for an address.
//
// Invariants: pools that are active never overlap, so an address has at most one active pool; the
// older of two overlapping pools is the active one. After each Rebuild() the free space of every
// active pool is its usable addresses minus what the ledger holds and what cools down.
//
// Single-threaded. Pointers to pools live until Remove().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "plugins/sdk/pool_selector.h"
#include "services/ipam-service/core/ledger.h"
#include "services/ipam-service/core/namespace_table.h"
#include "services/ipam-service/core/picker_table.h"
#include "services/ipam-service/core/pool.h"
#include "services/ipam-service/core/release_table.h"

namespace portolan::ipam {

using PoolSelectors = std::vector<std::shared_ptr<const plugin::PoolSelector>>;

class PoolTable {
 public:
  // `namespaces` outlives this.
  PoolTable(PoolSelectors selectors, const NamespaceTable* namespaces)
      : selectors_(std::move(selectors)), namespaces_(namespaces) {}

  // Change the set; Rebuild() before anything else is asked. A new pool is younger than all.
  void Upsert(PoolConfig config);
  void Remove(const std::string& name);
  // Before the first Rebuild(): ages by the earliest stamp in the journal, then by name.
  void OrderAgesBy(absl::FunctionRef<int64_t(const std::string& pool)> earliest_unix_ms);
  // What was given up when, and the pickers that want to know. `releases` outlives this.
  struct Past {
    const ReleaseTable& releases;
    const PickerTable& pickers;
    absl::Time now;
  };
  void Rebuild(const Ledger& ledger, const Past& past);

  Pool* Find(const std::string& name) const;
  std::vector<std::string> Names() const;
  // Serving order: priority, then name.
  absl::Span<Pool* const> ordered() const { return ordered_; }
  bool AnyHasFamily(net::Family family) const;

  using Candidates = absl::InlinedVector<Pool*, 8>;
  // A superset of the pools that select the Service, in serving order.
  Candidates CandidatesFor(const ServiceRequest& service) const;
  // Asks every selector stage.
  std::optional<plugin::PoolSelector::Refusal> Refuses(const Pool& pool,
                                                       const ServiceRequest& service) const;

  // The active pool that covers the address; null: none.
  Pool* ActiveFor(const net::IpAddress& address) const;
  // Every pool that covers the address: the active one first, then conflicting ones by age.
  std::vector<Pool*> Covering(const net::IpAddress& address) const;

  // What is published of the pool is out of date: a holding came to its name or left it.
  void Touch(const std::string& pool);
  // Keep the free space true. `pool` is the one that the holding names.
  void Take(const net::IpAddress& address, const std::string& pool);
  // The pool in which the address is free now, or cools down; null: none.
  Pool* GiveBack(const net::IpAddress& address, const std::string& pool, absl::Time now);

  // When EndCoolDowns() is due; nothing: no address cools down.
  const std::optional<absl::Time>& cool_downs_end_at() const { return cool_downs_end_at_; }
  // The pools that have room now, in serving order.
  std::vector<Pool*> EndCoolDowns(absl::Time now);
  // Before the address's release is forgotten.
  void Forget(const net::IpAddress& address);
  // Whether, since the last call, addresses began or ceased to cool down in a pool that had nothing
  // else to give: those who wait for it wait for something else now.
  bool CoolingTurned() { return std::exchange(cooling_turned_, false); }

 private:
  struct Cover {
    net::IpAddress last;
    Pool* pool;
  };

  Pool::Conflict ConflictOf(const Pool& pool) const;
  void CoverWith(Pool& pool);
  static void RebuildFree(Pool& pool, const Ledger& ledger, const Past& past);
  void NoteCoolDowns(const Pool& pool);
  void RebuildOrder();
  void RebuildIndex();

  const PoolSelectors selectors_;
  const NamespaceTable* const namespaces_;
  std::map<std::string, std::unique_ptr<Pool>> pools_;
  std::vector<Pool*> ordered_;
  std::vector<Pool*> conflicting_;                                 // by age
  absl::btree_map<net::IpAddress, Cover> coverage_;                // first -> last and active pool
  std::vector<Pool*> unindexed_;                                   // without a label requirement
  absl::flat_hash_map<std::string, std::vector<Pool*>> by_label_;  // "key\0value"
  absl::flat_hash_set<std::string> required_keys_;
  uint64_t last_age_ = 0;
  std::optional<absl::Time> cool_downs_end_at_;
  bool cooling_turned_ = false;
};

}  // namespace portolan::ipam
