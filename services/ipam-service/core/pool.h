// One address pool: what it covers, what it may hand out and what of that is free.
//
// Owned by PoolTable. Single-threaded. `free` is kept only while the pool is active; it is then
// exactly usable minus every address that anybody holds or that cools down.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plugins/sdk/address_picker.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/ipam-service/core/address_count.h"
#include "services/ipam-service/core/free_ranges.h"
#include "services/ipam-service/core/pool_history.h"
#include "services/ipam-service/core/types.h"
#include "services/ipam-service/core/usage_trend.h"

namespace portolan::ipam {

inline constexpr std::array<net::Family, 2> kFamilies = {net::Family::kIpv4, net::Family::kIpv6};
constexpr size_t FamilyIndex(net::Family family) { return family == net::Family::kIpv4 ? 0 : 1; }

class Pool {
 public:
  explicit Pool(PoolConfig config);

  // Replaces the configuration; when the addresses changed, the free space is no longer kept.
  void Configure(PoolConfig config);

  const PoolConfig& config() const { return config_; }
  const std::string& name() const { return config_.name; }

  // Every address of the blocks, lowest first, disjoint.
  const std::vector<net::Range>& covered(net::Family family) const {
    return covered_[FamilyIndex(family)];
  }
  // What may be handed out: without the edges of CIDRs (unless the pool allows them), what is
  // excluded, and what avoid-buggy-ips avoids.
  const std::vector<net::Range>& usable(net::Family family) const {
    return usable_[FamilyIndex(family)];
  }
  bool Covers(const net::IpAddress& address) const;
  bool MayHandOut(const net::IpAddress& address) const;
  bool HasFamily(net::Family family) const { return !covered(family).empty(); }

  // Overlaps an older pool: serves nobody new. Empty: active.
  struct Conflict {
    std::string pool;     // the older one
    std::string message;  // "overlaps the older pool ..."
  };
  const Conflict& conflict() const { return conflict_; }
  void set_conflict(Conflict conflict) { conflict_ = std::move(conflict); }
  bool active() const { return conflict_.message.empty(); }

  FreeRanges& free(net::Family family) { return free_[FamilyIndex(family)]; }
  const FreeRanges& free(net::Family family) const { return free_[FamilyIndex(family)]; }
  // Whether the free space is kept; the owner resets it and takes away what is held.
  bool free_is_kept() const { return free_is_kept_; }
  // Everything usable is free. `history` is what the pool's picker wants to be remembered; its
  // past is not there before AddPast(), which comes after what is held was taken.
  void ResetFree(const plugin::History& history, const ReleaseTable* releases);
  void AddPast(absl::Time now);
  void DropFree();
  // Somebody has this address now (again, nobody has it). Of an active pool that covers it.
  void TakeFree(const net::IpAddress& address);
  void GiveFree(const net::IpAddress& address, absl::Time now);

  // As ResetFree() was told.
  const plugin::History& kept_history() const { return kept_history_; }
  // Null: the picker keeps none, or the pool is not active.
  const PoolHistory* history(net::Family family) const {
    return history_[FamilyIndex(family)].get();
  }
  // How many addresses cool down.
  size_t cooling(net::Family family) const {
    return history(family) == nullptr ? 0 : history(family)->cooling();
  }
  // The release because of which the address cools down; null: it does not.
  const Release* Cooling(const net::IpAddress& address) const;
  // Frees those whose cool-down is over. False: none.
  bool EndCoolDowns(net::Family family, absl::Time now);
  // The address counts as never used; before its release is forgotten.
  void ForgetPast(const net::IpAddress& address);

  // Exact: total = used + available + reserved. Of an active pool.
  struct Counts {
    AddressCount total, used, available, reserved;
  };
  Counts CountsOf(net::Family family) const;
  UsageTrend& trend(net::Family family) { return trend_[FamilyIndex(family)]; }
  const UsageTrend& trend(net::Family family) const { return trend_[FamilyIndex(family)]; }

  // Older pools win conflicts.
  uint64_t age = 0;
  // Position in serving order, by priority and name.
  uint32_t rank = 0;
  // What is published may be out of date; fingerprints of the last state and status, 0: none.
  bool changed = true;
  uint64_t state_print = 0;
  uint64_t status_print = 0;

 private:
  PoolConfig config_;
  std::array<std::vector<net::Range>, 2> covered_;
  std::array<std::vector<net::Range>, 2> usable_;
  Conflict conflict_;
  bool free_is_kept_ = false;
  std::array<uint64_t, 2> held_reserved_ = {0, 0};  // in the blocks, held, not usable
  plugin::History kept_history_;
  std::array<std::unique_ptr<PoolHistory>, 2> history_;
  std::array<UsageTrend, 2> trend_;
  std::array<FreeRanges, 2> free_ = {FreeRanges(net::Family::kIpv4),
                                     FreeRanges(net::Family::kIpv6)};
};

}  // namespace portolan::ipam
