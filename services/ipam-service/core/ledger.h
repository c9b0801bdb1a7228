// Who holds which address, and how far the journal knows it.
//
// One holding per address, whatever pools cover it: this table alone decides that an address has
// one owner. The states of a holding:
//
//   kCreating  -- create is done --> kDurable
//   kCreating, kDurable -- Release() --> kErasing -- erase is done --> gone, the address is free
//   kForeign   a row that is not ours to touch (unreadable, or another allocator's)
//
// A failed journal write leaves the holding where it is; Retry() asks again, with growing distance
// (100 ms doubling to 30 s). An address is never free while a row of it may exist.
//
// Owners are opaque to this class but for their key; they must Release() what they hold before
// they go. Single-threaded, pure: writes are appended to the caller's effects.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/ipam-service/core/effect.h"
#include "services/ipam-service/core/event.h"

namespace portolan::ipam {

struct ServiceRecord;

struct Holding {
  enum class State : uint8_t { kCreating, kDurable, kErasing, kForeign };
  ServiceRecord* owner = nullptr;  // null: kErasing of a Service that is gone, or kForeign
  const std::string* pool = nullptr;
  int64_t since_unix_ms = 0;
  uint64_t generation = 0;  // of the intent that it answered
  uint64_t batch = 0;       // the write that is on its way; 0: none
  State state = State::kDurable;
  bool stalled = false;  // the last write failed; waits for Retry()
  // kCreating: a create was sent and did not surely fail, so ours is the row that may be there.
  bool row_may_exist = false;
  bool row_might_before = false;  // the same, before the create that was sent last
};

class Ledger {
 public:
  // A row of the journal whose Service is `owner`.
  void Adopt(const JournalRow& row, ServiceRecord* owner);
  // A row of the journal whose Service is gone: to be erased.
  void AdoptOrphan(const JournalRow& row, Effects& effects);
  void AdoptForeign(const net::IpAddress& address);

  const Holding* Find(const net::IpAddress& address) const;
  void ForEachIn(const net::Range& range,
                 absl::FunctionRef<void(const net::IpAddress&, const Holding&)> visit) const;
  size_t size() const { return holdings_.size(); }
  // Addresses held in the name of a pool.
  uint64_t HeldInName(const std::string& pool, net::Family family) const;

  // The address must be free.
  void Create(const JournalRow& row, ServiceRecord* owner, Effects& effects);
  // The holding must be the caller's and not yet released. The owner's key is no longer needed.
  void Release(const net::IpAddress& address, Effects& effects);
  // Another pool answers for the address from now on; the owner keeps it.
  void Rehome(const net::IpAddress& address, const std::string& pool, Effects& effects);

  struct Outcome {
    enum class Kind {
      kNothing,  // overtaken by a later write
      kGranted,  // kCreating -> kDurable
      kFreed,    // the address is free
      kForeign,  // somebody else's row was there: `owner` does not hold it any more
      kStalled,  // the journal refused; `owner` (may be null) waits
    };
    Kind kind = Kind::kNothing;
    net::IpAddress address;
    ServiceRecord* owner = nullptr;
    const std::string* pool = nullptr;  // that the holding named
  };
  Outcome Done(const JournalDone& done, absl::Time now);

  // OK, or why the journal refuses writes. OK again after the first write that succeeds.
  const absl::Status& failure() const { return failure_; }
  // When Retry() is due; nothing: no write is stalled.
  std::optional<absl::Time> retry_at() const { return retry_at_; }
  // Asks again for every stalled write, when due.
  void Retry(absl::Time now, Effects& effects);

 private:
  const std::string* Intern(const std::string& pool);
  void Write(const net::IpAddress& address, Holding& holding, Effects& effects);
  Outcome Failed(const net::IpAddress& address, Holding& holding, const absl::Status& status,
                 absl::Time now);
  JournalRow RowOf(const net::IpAddress& address, const Holding& holding) const;

  absl::btree_map<net::IpAddress, Holding> holdings_;
  absl::node_hash_set<std::string> pool_names_;
  // How many addresses name a pool, per family.
  absl::flat_hash_map<std::pair<const std::string*, net::Family>, uint64_t> held_in_name_;
  absl::flat_hash_map<uint64_t, net::IpAddress> in_flight_;
  uint64_t last_batch_ = 0;
  absl::Status failure_;
  std::set<net::IpAddress> stalled_;
  std::optional<absl::Time> retry_at_;
  absl::Duration backoff_ = absl::ZeroDuration();
};

}  // namespace portolan::ipam
