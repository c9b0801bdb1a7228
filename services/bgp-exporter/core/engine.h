// The BGP exporter without the world: configuration, allocations and octets in; octets, published
// rows and timers out.
//
// One entry, Handle(). Changes of the inputs only mark what they touch; the work is done at the
// next Tick, which the engine asks for at once. So a single change goes out without delay, and
// what arrives together leaves together, packed.
//
// What people order (ResetRequested, DrainRequested, UndrainRequested) is answered by one
// OrderDone. A drain is in force when DrainSaved says that a restart would find it, and not before.
//
// Invariants: no session is opened before instances, peers and nodes are known; no UPDATE and no
// End-of-RIB is sent before all inputs are known (a restart must not withdraw what is only not yet
// read, RFC 4724); nothing is sent for a family that was not agreed or has no next hop.
//
// Pure: no I/O, clock or lock; the same events at the same times give the same effects. Not
// thread-safe. Malformed input from peers or configuration never stops other objects.
#pragma once

#include <bitset>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/base/rng/rng.h"
#include "services/bgp-exporter/core/events.h"
#include "services/bgp-exporter/core/peer.h"
#include "services/bgp-exporter/core/review.h"
#include "services/bgp-exporter/core/rib.h"

namespace portolan::bgp {

class Engine {
 public:
  struct Options {
    std::string node;
    bool restarted = false;        // an earlier life of this process ended without order
    bool forwarding_kept = false;  // and the datapath has been there ever since
    uint64_t seed = 0;             // of the jitter
    // An earlier life was drained: when its routes are, or were, withdrawn.
    std::optional<absl::Time> drain;
  };

  Engine(Options options, absl::Time now);

  std::vector<Effect> Handle(const Event& event, absl::Time now);

  // What the edit would do to sessions that are established and routes that were sent. Nothing:
  // not all inputs are known yet. Looks at each peer, and at each route of those peers whose
  // advertisements the edit changes.
  std::optional<std::vector<ReviewFinding>> Review(const ProposedConfig& proposed) const;

 private:
  struct Entry {
    Peer peer;
    AdjRibOut rib;
    bool filled = false;                             // the rib knows the Services; not before then
    AdjRibOut::NextHops next_hops;                   // of the established session
    std::map<net::Family, std::string> without_hop;  // agreed families that have none, and why
    uint64_t seen_epoch = 0;
    bool blocked = false;  // the transport is full: changes wait, and the latest ones win
    std::set<net::Family> refresh;
    std::set<net::Family> end_of_rib_due;
    std::string seen_error;
    PeerView published;
  };
  // What the configuration of a peer comes to on this node.
  struct Verdict {
    enum Kind { kElsewhere, kBad, kRun } kind = kElsewhere;
    StatusView status;             // with kBad
    SessionParameters parameters;  // with kRun
  };

  void On(const InstanceChanged& event);
  void On(const InstanceRemoved& event);
  void On(const PeerChanged& event);
  void On(const PeerRemoved& event);
  void On(const AdvertisementChanged& event);
  void On(const AdvertisementRemoved& event);
  void On(const NodeChanged& event);
  void On(const NodeRemoved& event);
  void On(const DatapathStageChanged& event);
  void On(const AllocationChanged& event);
  void On(const AllocationRemoved& event);
  void On(const DatapathChanged& event);
  void On(const DatapathRemoved& event);
  void On(const InputSynced& event);
  void On(const Connected& event);
  void On(const Accepted& event);
  void On(const Received& event);
  void On(const Disconnected& event);
  void On(const WriteBlocked& event);
  void On(const WriteProgress& event);
  void On(const ListenResult& event);
  void On(const ResetRequested& event);
  void On(const DrainRequested& event);
  void On(const UndrainRequested& event);
  void On(const DrainSaved& event);
  void On(const Tick& event);
  void On(const Stop& event);

  // engine.cc: sessions and routes.
  bool ConfigSynced() const;
  bool AllSynced() const;
  PeerContext Context(const Peer& peer);
  Entry* EntryOf(ConnectionId id);
  void Touched(Entry& entry, size_t first_effect);
  void SessionChanged(Entry& entry);
  void PublishPeerView(Entry& entry);
  void Reschedule(const std::string& key, absl::Time deadline);
  void Touch(const std::string& service);
  void Flush();
  void Settle();
  void UpdateServices();
  void UpdateService(const std::string& key, Entry& entry);
  bool GateIsOpen(const std::string& service, const net::IpAddress& address) const;
  void SendRoutes(Entry& entry);
  void FindNextHops(Entry& entry);

  // engine_config.cc: which peers there are.
  void ReconcilePeers();
  Verdict Judge(const PeerConfig& config) const;
  void RunPeer(const PeerConfig& config, const SessionParameters& parameters);
  void RemovePeerEntry(const std::string& key, const Notification& farewell);
  void ReconcileListeners();
  uint32_t RouterId(const InstanceConfig& instance) const;
  const NodeConfig* ThisNode() const;

  // engine_orders.cc: what people ask of this node.
  absl::StatusOr<Entry*> PeerOf(const std::string& name);
  absl::StatusOr<std::string> ResetPeer(const ResetRequested& event);
  void ChangeDrain(std::optional<absl::Time> withdraw_at);
  void Withdraw();
  size_t RoutesSent() const;

  // engine_review.cc: what an edit would do.
  std::optional<ReviewFinding> ReviewSession(const Entry& entry,
                                             const ProposedConfig& proposed) const;
  std::optional<ReviewFinding> ReviewRoutes(const Entry& entry,
                                            const ProposedConfig& proposed) const;

  // engine_status.cc: what people are told.
  void PublishStatuses();
  void PublishStatusView(StatusView view);
  void EraseStatus(const std::string& kind, const std::string& key);
  StatusView PeerStatus(const Entry& entry) const;
  StatusView ServiceStatus(const AllocationInput& allocation) const;
  // Where a Service's addresses are advertised and where not; the texts of the first ones only.
  struct Explained {
    std::vector<Finding> missing;
    std::vector<Finding> advertised;  // or wanted by nobody
    size_t count = 0;
  };
  bool ExplainGrant(const AllocationInput& allocation, const Grant& grant, StatusView& view,
                    Explained& explained) const;
  bool IsAdvertised(const AllocationInput& allocation, const Grant& grant,
                    const Entry& entry) const;
  Finding ExplainPeer(const AllocationInput& allocation, const Grant& grant,
                      const Entry& entry) const;
  void PublishServiceStatus(const std::string& key);
  void PublishInstanceStatuses();
  void PublishAdvertisementStatuses();
  void PublishDrainStatus();

  const Options options_;
  const absl::Time started_;
  Rng rng_;
  ConnectionId next_connection_ = 1;
  bool stopped_ = false;

  std::map<std::string, InstanceConfig> instances_;
  std::map<std::string, PeerConfig> peer_configs_;
  std::map<std::string, NodeConfig> nodes_;
  Advertisements advertisements_;
  std::map<std::string, AllocationInput> allocations_;
  std::map<std::string, DatapathInput> datapath_;
  bool datapath_stage_ = true;
  std::bitset<kInputCount> synced_;
  absl::Time settle_by_ = absl::InfinitePast();  // set when all inputs are first known
  bool settled_ = false;                         // End-of-RIB may be sent
  bool marked_synced_ = false;

  // Not empty: routes are the last resort until then, and withdrawn from then on.
  std::optional<absl::Time> drain_;
  bool withdrawn_ = false;

  std::map<std::string, Entry> peers_;
  absl::flat_hash_map<ConnectionId, std::string> connections_;  // to the peer's key
  std::map<std::string, Listen> listeners_;
  std::map<std::string, std::string> listen_problems_;
  absl::Time listen_retry_at_ = absl::InfiniteFuture();

  bool config_dirty_ = false;
  std::set<std::string> dirty_services_;
  bool all_services_dirty_ = false;
  // To be explained anew: first those that something happened to, then those that a peer, an
  // advertisement or an instance may have changed; so many at a time that a change never waits
  // for the explanation of everything else.
  std::set<std::string> status_dirty_services_;
  std::set<std::string> stale_services_;
  bool all_statuses_dirty_ = false;
  bool flush_due_ = false;
  std::map<std::pair<std::string, std::string>, StatusView> statuses_;  // published, by kind, key

  std::set<std::pair<absl::Time, std::string>> timers_;  // of peers
  std::map<std::string, absl::Time> timer_of_;
  absl::Time armed_ = absl::InfiniteFuture();

  // Of the call to Handle() under way.
  absl::Time now_;
  std::vector<Effect> effects_;
};

}  // namespace portolan::bgp
