// Who is on which address, and how far the journal knows it.
//
// One holding per address, whatever pools cover it: this table alone decides who owns an address.
// A holding has members, the Services that are on it: one, or several that share it. Its states:
//
//   kCreating  -- create is done --> kDurable
//   kCreating, kDurable -- the last member leaves --> kErasing -- erase is done --> gone, free
//   kForeign   a row that is not ours to touch (unreadable, or another allocator's)
//
// A member is durable after a write that names it is done; only then may anybody hear of it.
//
// A failed journal write leaves the holding where it is; Retry() asks again, with growing distance
// (100 ms doubling to 30 s). An address is never free while a row of it may exist.
//
// Owners are opaque to this class but for their key; they must Leave() what they hold before they
// go. Single-threaded, pure: writes are appended to the caller's effects.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/container/node_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/ipam-service/core/effect.h"
#include "services/ipam-service/core/event.h"
#include "services/ipam-service/core/release_table.h"

namespace portolan::ipam {

struct ServiceRecord;

struct Member {
  enum class State : uint8_t { kNew, kWritten, kDurable };  // kWritten: the write is on its way
  ServiceRecord* owner = nullptr;
  int64_t since_unix_ms = 0;
  uint64_t generation = 0;             // of the intent that it answered
  int64_t draining_until_unix_ms = 0;  // 0: nobody was told that it goes
  State state = State::kNew;
  bool adopted = false;    // it was found in use, not chosen by us
  bool returning = false;  // it was to go and stays after all; the row that says so is on its way

  bool stays() const { return draining_until_unix_ms == 0 || returning; }
};

struct Holding {
  enum class State : uint8_t { kCreating, kDurable, kErasing, kForeign };
  absl::InlinedVector<Member, 1> members;  // in the order of their coming
  const std::string* pool = nullptr;       // empty: none covers it
  uint64_t batch = 0;                      // the write that is on its way; 0: none
  State state = State::kDurable;
  bool stalled = false;  // the last write failed; waits for Retry()
  // kCreating: members changed behind the create that is on its way.
  bool write_again = false;
  // kCreating: a create was sent and did not surely fail, so ours is the row that may be there.
  bool row_may_exist = false;
  bool row_might_before = false;  // the same, before the create that was sent last

  const Member* Find(const ServiceRecord* owner) const;
};

class Ledger {
 public:
  // What `releases` (which outlives this) knows of an address is written with its erasure.
  explicit Ledger(const ReleaseTable* releases) : releases_(releases) {}

  // A row of the journal. `owners` are its members in order, null for those who are not on it any
  // more; their rows go. All null: the address is erased.
  void Adopt(const JournalRow& row, absl::Span<ServiceRecord* const> owners, Effects& effects);
  void AdoptForeign(const net::IpAddress& address);
  // All that `other` holds, as if it were durable, for the twins of its owners. Where an owner has
  // none (null) the address is foreign; one that is being erased is free. This must be empty.
  void CopyFrom(const Ledger& other,
                absl::FunctionRef<ServiceRecord*(const ServiceRecord*)> twin_of);

  const Holding* Find(const net::IpAddress& address) const;
  // Null when the Service is not on the address.
  const Member* Find(const net::IpAddress& address, const ServiceRecord* owner) const;
  void ForEachIn(const net::Range& range,
                 absl::FunctionRef<void(const net::IpAddress&, const Holding&)> visit) const;
  size_t size() const { return holdings_.size(); }
  // Services on addresses that they leave.
  uint64_t draining() const { return draining_; }
  // Addresses held in the name of a pool.
  uint64_t HeldInName(const std::string& pool, net::Family family) const;
  // Addresses that Services of a namespace hold and are not leaving; a shared one counts once.
  // `pool` null: of all pools.
  uint64_t HeldByNamespace(absl::string_view name, const std::string* pool) const;

  // The address must be free. `member.state` is ignored.
  void Create(const net::IpAddress& address, const std::string& pool, Member member,
              Effects& effects);
  // Of a holding in state kCreating or kDurable that the owner is not on.
  void Join(const net::IpAddress& address, Member member, Effects& effects);
  // The owner must be on it. Its key is no longer needed.
  void Leave(const net::IpAddress& address, ServiceRecord* owner, Effects& effects);
  // One that returns goes when it was to go.
  void SetDraining(const net::IpAddress& address, ServiceRecord* owner, int64_t until_unix_ms,
                   Effects& effects);
  // Of a member that drains: it stays after all, as soon as that is durable.
  void Return(const net::IpAddress& address, ServiceRecord* owner, Effects& effects);
  // Another pool answers for the address from now on; the owners keep it.
  void Rehome(const net::IpAddress& address, const std::string& pool, Effects& effects);

  using Owners = absl::InlinedVector<ServiceRecord*, 1>;
  struct Outcome {
    enum class Kind {
      kNothing,  // overtaken by a later write, or nobody waited for it
      kGranted,  // `owners` are durable now
      kFreed,    // the address is free
      kForeign,  // somebody else's row was there: `owners` are not on it any more
      kStalled,  // the journal refused; `owners` wait
    };
    Kind kind = Kind::kNothing;
    net::IpAddress address;
    Owners owners;
    const std::string* pool = nullptr;  // that the holding named
    Owners returned;                    // stay on it again
  };
  // Writes that follow from the outcome are appended to `effects`.
  Outcome Done(const JournalDone& done, absl::Time now, Effects& effects);

  // A number for a write of somebody else; Done() ignores it.
  uint64_t NextBatch() { return ++last_batch_; }

  // OK, or why the journal refuses writes. OK again after the first write that succeeds.
  const absl::Status& failure() const { return failure_; }
  // When Retry() is due; nothing: no write is stalled.
  std::optional<absl::Time> retry_at() const { return retry_at_; }
  // Asks again for every stalled write, when due.
  void Retry(absl::Time now, Effects& effects);

 private:
  using PoolCounts = absl::InlinedVector<std::pair<const std::string*, uint64_t>, 1>;

  const std::string* Intern(const std::string& pool);
  // Every change of members or pool of a holding stands between these two.
  void Uncount(const net::IpAddress& address, const Holding& holding);
  void Count(const net::IpAddress& address, const Holding& holding);
  void AddToCounts(const net::IpAddress& address, const Holding& holding, int64_t change);
  void Write(const net::IpAddress& address, Holding& holding, Effects& effects);
  Outcome Written(const net::IpAddress& address, Holding& holding, Effects& effects);
  Outcome Failed(const net::IpAddress& address, Holding& holding, const absl::Status& status,
                 absl::Time now);
  static JournalRow RowOf(const net::IpAddress& address, const Holding& holding);

  const ReleaseTable* const releases_;
  absl::btree_map<net::IpAddress, Holding> holdings_;
  absl::node_hash_set<std::string> pool_names_;
  // How many addresses name a pool, per family.
  absl::flat_hash_map<std::pair<const std::string*, net::Family>, uint64_t> held_in_name_;
  absl::flat_hash_map<std::string, PoolCounts> held_by_namespace_;
  uint64_t draining_ = 0;
  absl::flat_hash_map<uint64_t, net::IpAddress> in_flight_;
  uint64_t last_batch_ = 0;
  absl::Status failure_;
  std::set<net::IpAddress> stalled_;
  std::optional<absl::Time> retry_at_;
  absl::Duration backoff_ = absl::ZeroDuration();
};

}  // namespace portolan::ipam
