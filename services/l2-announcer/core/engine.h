// The announcer's brain: allocations, policies and what is heard on the LANs go in; frames, link
// requests and publications come out.
//
//   service + policies ----> which address on which interface, by which nodes (selection.h)
//   heartbeats ------------> who is alive there (membership.h)
//   both + OwnerElection --> who answers; this node's answers and announcements (lan.h)
//   all of it -------------> one status for each service and policy (report.h)
//
// Pure: the same events at the same times give the same effects. One thread. Nothing is announced
// before Synced; whatever a stream has said before stays in force while it is away (fail static).
// The caller executes effects in order and drops frames that have expired meanwhile.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "plugins/sdk/owner_election.h"
#include "services/l2-announcer/core/lan.h"
#include "services/l2-announcer/core/model.h"
#include "services/l2-announcer/core/review.h"
#include "services/l2-announcer/core/selection.h"

namespace portolan::l2 {

using Elections = std::map<std::string, std::shared_ptr<const plugin::OwnerElection>>;

class Engine {
 public:
  struct Options {
    std::string node;
    uint64_t life = 0;    // random, new with every start
    Elections elections;  // by name; must hold the default of Settings
  };

  explicit Engine(Options options);

  std::vector<Effect> Handle(const Event& event, absl::Time now);

  // What the edit would do to the addresses that this node answers for. Nothing: not all inputs are
  // known yet.
  std::optional<std::vector<ReviewFinding>> Review(const ProposedConfig& proposed) const;

 private:
  struct ServiceEntry {
    Allocation allocation;
    Selection selection;
    std::optional<Status> published;
  };
  using AddressOfService = std::pair<std::string, net::IpAddress>;

  void On(const AllocationChanged& event);
  void On(const PolicyChanged& event);
  void On(const SettingsChanged& event);
  void On(const NodeChanged& event);
  void On(const GateChanged& event);
  void On(const PipelineChanged& event);
  void On(const Synced& event);
  void On(const InterfaceChanged& event);
  void On(const LinkOpened& event);
  void On(const LinkFailed& event);
  void On(const FrameReceived& event);
  void On(const HeartbeatLost& event);
  void On(const TimerFired& event);
  void On(const Leave& event);

  // From configuration to LANs, claims and the fitness of this node.
  void ReconcileAll();
  void ReconcileLans();
  void ReconcileService(const std::string& service);
  void NoteGate(const std::string& service, const net::IpAddress& address, bool carried);
  void UpdateFitness();

  bool Carried(const std::string& service, const net::IpAddress& address) const;
  Lan* FindLan(const std::string& interface);
  void PublishStatuses();
  void PublishPolicies();
  void Publish(const std::string& kind, const std::string& key, std::optional<Status>& published,
               std::optional<Status> status);
  void Arm();

  const Elections elections_;
  Surroundings around_;
  Config config_;  // policies, nodes, interfaces
  bool announce_ = true;
  bool need_datapath_ = true;
  bool synced_ = false;
  bool left_ = false;
  std::map<std::string, ServiceEntry> services_;
  std::map<std::string, std::set<net::IpAddress>> carried_;  // by service
  std::map<std::string, std::unique_ptr<Lan>> lans_;         // by interface
  // Selected addresses that the datapath does not carry, and since when.
  std::map<AddressOfService, absl::Time> missing_;
  std::multiset<absl::Time> missing_since_;
  std::map<std::string, std::optional<Status>> published_policies_;
  std::optional<Status> published_settings_;
  std::set<std::string> dirty_;  // services whose status may have changed
  bool policies_dirty_ = false;
  absl::Time armed_ = absl::InfinitePast();

  // Of the call in progress.
  absl::Time now_;
  Effects out_;
};

}  // namespace portolan::l2
