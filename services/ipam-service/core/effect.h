// What the ipam engine wants done, in order. Value types, owned by whoever executes them; the
// engine keeps no reference to what it returned.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "services/base/net/prefix.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

// To be made durable, all or nothing, in the order of the effects; answered by JournalDone.
// Several batches may become one write as long as the order of two batches that touch one
// address is kept. Of a batch of pools and releases alone, some may be durable when it failed.
struct JournalCommit {
  uint64_t batch = 0;                            // never 0
  absl::Duration waited = absl::ZeroDuration();  // of the Service, before `create` was chosen
  std::vector<net::IpAddress> erase;             // a missing row is no error
  std::vector<JournalRow> create;                // ALREADY_EXISTS when the row is there
  std::vector<JournalRow> put;                   // create or replace
  std::vector<PoolRow> put_pools;                // create or replace
  std::vector<std::string> erase_pools;
  std::vector<ReleaseRow> put_releases;  // create or replace
  std::vector<net::IpAddress> erase_releases;
};

struct PublishAllocation {
  Allocation allocation;
};
struct WithdrawAllocation {
  std::string key;
};

struct PublishPoolState {
  PoolState state;
};
struct WithdrawPoolState {
  std::string name;
};

struct PublishStatus {
  StatusReport report;
};
struct WithdrawStatus {
  ObjectKind kind = ObjectKind::kService;
  std::string key;
};

// A question to a picker in another process, answered by PickAnswered.
struct AskPicker {
  uint64_t ask = 0;  // never 0
  std::string picker;
  std::string service;
  std::string pool;
  std::vector<net::Range> free;  // lowest first, one family, at most kMaxAskedRanges
};
inline constexpr int kMaxAskedRanges = 64;

// Send a Tick at (or after) this time of the steady clock. Replaces the former one.
struct ArmTimer {
  absl::Time at;
};

// Everything that was known at the start has been published. Once.
struct MarkSynced {};

using Effect =
    std::variant<JournalCommit, PublishAllocation, WithdrawAllocation, PublishPoolState,
                 WithdrawPoolState, PublishStatus, WithdrawStatus, AskPicker, ArmTimer, MarkSynced>;
using Effects = std::vector<Effect>;

}  // namespace portolan::ipam
