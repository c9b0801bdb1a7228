// Brings the maps to what the services want: desired groups -> MapBatch, by comparing with what the
// kernel has acknowledged.
//
// A group is what one port of one service has in one family: its backends, their Maglev tables (for
// what comes from outside and from inside; mostly one) and the frontends that use them. Order of a
// batch, over all groups: backends, tables, frontends, then deletions; what became unused is only
// deleted by a later batch, after the group's other changes were acknowledged. So a packet never
// finds a name for something that is not there, and a failure anywhere leaves the group's previous
// state in force. A batch has many operations of one kind in a row, for whoever can do them at
// once.
//
// A backend is another one when its address, its port, what is done to packets for it or the source
// that they get is another: flows to the one before end.
//
// What a restart finds in the kernel lives in nameless groups until a service asks for one of their
// frontends, and then keeps its ids, so that flows go on. Prune() gives the rest up.
//
// One batch at a time: Plan(), execute, Report(), Plan() again until it is empty. Pure; not
// thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/datapath-loader/core/extent_pool.h"
#include "services/datapath-loader/core/id_pool.h"
#include "services/datapath-loader/core/map_image.h"
#include "services/datapath-loader/core/types.h"

namespace portolan::datapath {

struct WantedBackend {
  net::IpAddress address;
  uint16_t port = 0;
  uint32_t weight = 1;
  std::optional<net::IpAddress> source;
  Delivery delivery = Delivery::kDestinationNat;
  // In which tables it is; in none: it keeps its flows and takes no new ones.
  bool outside = true;
  bool inside = true;
  friend bool operator==(const WantedBackend&, const WantedBackend&) = default;
};

struct WantedGroup {
  std::string name;  // unique in the service
  uint8_t protocol = kTcp;
  std::vector<WantedBackend> backends;
  std::set<FrontendKey> frontends;  // no two groups may want the same one
  SourceRules sources;              // none: everybody may come
  uint32_t affinity_s = 0;
  uint32_t idle_s = 0;
  bool silent = false;
  friend bool operator==(const WantedGroup&, const WantedGroup&) = default;
};

class Programmer {
 public:
  // Ids and table room rest this long before they are used again.
  static constexpr absl::Duration kGrace = absl::Seconds(1);
  // With more of them some would have no slot in the largest table.
  static constexpr size_t kMaxBackends = 65536;

  Programmer(const Limits& limits, uint32_t hash_seed, const MapImage& adopted);

  // Everything that `service` wants; an empty list removes it.
  void Want(const std::string& service, std::vector<WantedGroup> groups);
  void SetHashSeed(uint32_t seed);
  // Whoever wants something of what was found has said so: the rest may go.
  void Prune();

  // What to do now; empty: nothing. Not to be called while a batch is being executed.
  MapBatch Plan(absl::Time now);
  // `results` in the order of the batch.
  void Report(const MapBatch& batch, const std::vector<absl::Status>& results, absl::Time now);
  // When Plan() is worth calling again because of a failure; InfiniteFuture() when never.
  absl::Time NextRetry() const;

  // Nothing left to do for this service, or its error from the last attempt.
  bool InSync(const std::string& service) const { return !dirty_.contains(service); }
  absl::Status StatusOf(const std::string& service) const;
  // In force in the kernel for this service, by key.
  std::map<FrontendKey, FrontendEntry> Published(const std::string& service) const;
  // The id of a backend of the service's group; 0: it is not in the kernel.
  uint32_t IdOf(const std::string& service, const std::string& group,
                const WantedBackend& backend) const;

 private:
  using GroupName = std::pair<std::string, std::string>;  // service, group; found: "", number
  // Address, port, delivery, and the source if packets get it.
  using BackendName = std::tuple<net::IpAddress, uint16_t, Delivery, std::optional<net::IpAddress>>;

  struct BackendSlot {
    IdPool::Id id;
    bool written = false;
    bool rests = false;                    // as written
    std::optional<net::IpAddress> source;  // as written
  };
  struct Table {
    uint32_t offset = 0;
    std::vector<uint32_t> slots;
    uint32_t different = 0;  // backends in it
    bool written = false;
  };
  struct Group {
    uint32_t id = 0;
    WantedGroup wanted;
    std::map<BackendName, BackendSlot> backends;
    std::set<FrontendKey> frontends;  // those in frontends_ that are this group's
    std::vector<Table> tables;
    // Offsets of the current ones; absent: nobody takes new flows.
    std::optional<uint32_t> outside;
    std::optional<uint32_t> inside;
    bool table_stale = true;        // `wanted` or the seed has changed since
    SourceRules sources;            // in the kernel
    std::vector<uint32_t> closing;  // frontend ids whose key has moved on
    // Keys that moved to another group, while the kernel still sends them to this one's backends.
    std::set<FrontendKey> lent;
  };
  struct FrontendSlot {
    GroupName group;
    IdPool::Id id;
    bool opened = false;
    std::optional<FrontendEntry> published;
    std::vector<uint32_t> replaced;   // ids that the key had in other groups, and may have still
    std::optional<GroupName> lender;  // the group that `published` still belongs to
  };
  struct Failure {
    absl::Status status;
    absl::Duration backoff;
    absl::Time retry_at;
  };

  static BackendName NameOf(const WantedBackend& backend);
  static std::set<BackendName> Names(const WantedGroup& wanted);
  void Adopt(const MapImage& image);
  uint32_t NewGroupId();
  Group& FindOrClaim(const GroupName& name, const WantedGroup& wanted);
  void Rename(const GroupName& from, const GroupName& to);
  absl::Status PlanAdds(const GroupName& name, Group& group, absl::Time now, MapBatch& batch);
  absl::Status PlanBackends(const GroupName& name, Group& group, absl::Time now, MapBatch& batch);
  absl::Status AllocateBackends(Group& group, absl::Time now);
  absl::Status PlanTables(const GroupName& name, Group& group, absl::Time now, MapBatch& batch);
  absl::StatusOr<std::optional<uint32_t>> UseTable(Group& group, std::vector<uint32_t> slots,
                                                   absl::Time now);
  static const Table* TableAt(const Group& group, std::optional<uint32_t> offset);
  static void AdoptTable(const MapImage& image, uint32_t offset, uint32_t size, ExtentPool& extents,
                         Group& group, std::optional<uint32_t>& current);
  static void PlanSources(const GroupName& name, const Group& group, MapBatch& batch);
  absl::Status PlanFrontends(const GroupName& name, Group& group, absl::Time now, MapBatch& batch);
  void PlanDeletes(const GroupName& name, Group& group, absl::Time now, MapBatch& batch);
  void PlanFrontendDeletes(Group& group, std::vector<Change>& changes);
  void DropUnusedTables(Group& group, absl::Time now);
  void ForgetIfEmpty(const GroupName& name, Group& group);
  absl::Status MoveFrontend(const FrontendKey& key, const GroupName& name, Group& group,
                            absl::Time now);
  std::vector<GroupName> GroupsOf(const std::string& service) const;
  std::vector<uint32_t> BuildTable(const Group& group, bool WantedBackend::*side) const;
  void Acknowledge(const MapOp& op, absl::Time now);
  void Written(Group& group, const WriteFrontend& write);
  void GiveBack(const FrontendKey& key, FrontendSlot& slot);
  void Closed(Group& group, uint32_t id, absl::Time now);
  void Fail(const std::string& service, const absl::Status& status, absl::Time now);

  Limits limits_;
  uint32_t hash_seed_;
  IdPool frontend_ids_;
  IdPool backend_ids_;
  ExtentPool extents_;
  std::set<uint32_t> group_ids_;
  uint32_t lowest_free_group_ = 1;  // no lower id is free
  std::map<GroupName, Group> groups_;
  std::map<FrontendKey, FrontendSlot> frontends_;
  bool pruned_ = false;          // nobody may ask any more for what was found
  std::set<std::string> dirty_;  // services; "": what was found
  std::map<std::string, Failure> failures_;
};

}  // namespace portolan::datapath
