// The world around an ipam engine, for tests: a store with state and the tables that readers see.
//
// Effects are executed one by one. After every effect the invariants that readers rely on are
// checked: what is published is durable, and no address is published for two Services. After every
// event the engine must know whose statuses are out.
// Journal writes are answered at once, or with AnswerJournal() when `journal_waits`.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/ipam-service/core/engine.h"

namespace portolan::ipam {

net::IpAddress Address(const std::string& text);
// One block; a CIDR or "first-last".
Block BlockOf(const std::string& text);
PoolConfig PoolOf(const std::string& name, const std::vector<std::string>& blocks);
ServiceRequest ServiceOf(const std::string& key, const Labels& labels = {});
// The built-in selectors and pickers.
Engine::Options BuiltinOptions();

// What survives the engine: the store, and the machine's clocks.
struct Disk {
  absl::Time steady = absl::UnixEpoch();
  std::map<net::IpAddress, JournalRow> rows;
  std::map<std::string, PoolRow> pools;
  std::map<net::IpAddress, ReleaseRow> releases;
  // Writes from this number on are lost (the process was killed). Counts down.
  std::optional<int> dies_after;
  absl::Status failure;           // of every write while not OK
  bool fails_afterwards = false;  // what fails is written nevertheless

  absl::Status Commit(const JournalCommit& commit);
  bool dead() const { return dies_after.has_value() && *dies_after <= 0; }
};

class World {
 public:
  explicit World(Disk* disk, Engine::Options options = BuiltinOptions());

  // In force from the start. Edits of pools may move addresses, and what goes goes at once, unless
  // a test says otherwise.
  Settings settings{.allow_renumber = true};

  // Loads the journal and says that every source is complete.
  void Start();
  // Without the journal.
  void SyncSources();

  void Send(const Event& event);
  // Edits of pools take effect: stranded addresses move where they may.
  void Add(const PoolConfig& pool);
  void RemovePool(const std::string& name);
  void Set(const Settings& changed);
  void Add(const ServiceRequest& service) { Send(ServiceChanged{service}); }
  void RemoveService(const std::string& key) { Send(ServiceRemoved{key}); }
  // Moves the clock and ticks when a timer was armed for then.
  void Advance(absl::Duration by);

  bool journal_waits = false;
  void AnswerJournal();  // every write that waits, and those that follow from it
  bool WritesWait() const { return !writes_.empty(); }

  // Published: addresses as text in order, "" when there is no allocation.
  std::string AddressesOf(const std::string& service) const;
  std::string PoolsOf(const std::string& service) const;
  // Null when there is none.
  const StatusReport* StatusOf(const std::string& service) const;
  const StatusReport* PoolStatusOf(const std::string& pool) const;
  std::string ReasonOf(const std::string& service) const;
  const PoolState* StateOf(const std::string& pool) const;
  std::string CountsOf(const std::string& pool) const;  // "ipv4 1/254 2 reserved" (used/total), ...
  const std::map<std::string, Allocation>& allocations() const { return allocations_; }
  bool synced() const { return synced_; }
  const Engine& engine() const { return engine_; }
  absl::Time WallNow() const {
    return absl::FromUnixSeconds(1'700'000'000) + (disk_->steady - absl::UnixEpoch());
  }
  Disk& disk() { return *disk_; }

  std::vector<AskPicker> asked;       // taken by the test
  std::vector<std::string> problems;  // broken invariants
  int effects = 0;

 private:
  void Execute(const Effect& effect);
  void CheckStatuses();
  void CheckPublished(const Allocation& allocation);
  void CheckTogether(const std::string& service, const std::string& other,
                     const net::IpAddress& address);

  Disk* disk_;
  Engine engine_;
  std::optional<absl::Time> timer_;
  std::deque<Event> events_;
  std::deque<JournalCommit> writes_;
  std::map<std::string, Allocation> allocations_;
  std::map<std::string, ServiceRequest> requests_;  // as last sent
  std::map<std::pair<ObjectKind, std::string>, StatusReport> statuses_;
  std::map<std::string, PoolState> pool_states_;
  bool synced_ = false;
  bool busy_ = false;
};

}  // namespace portolan::ipam
