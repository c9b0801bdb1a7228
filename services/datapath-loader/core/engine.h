// The datapath's decisions: services, backends and allocations in, map changes and status out.
//
// Pure: the same events at the same times give the same effects. One batch is with the kernel at a
// time; what happens meanwhile is collected for the next one. Nothing is written before the maps
// were read back (KernelReady) and every input was synced once (InputsSynced): until then the
// kernel forwards as it did.
//
// What is owned is a frontend (address, protocol, port), see frontend_owners.h: services with
// different ports share an address, and one that goes leaves the flows of the others alone.
//
// An address that a service has lost is carried on for `removal_delay`, so that announcers can
// withdraw it first; a frontend of it that another service gets goes over at once. Status of a
// service is only said when the kernel has answered for it.
//
// Who of a port's backends takes new flows: those that are active and do not fail their health
// check; if there is none, those that drain and do not fail; if all fail, the failing ones as if
// nobody had asked. A backend that fails while others do not is treated as one that is down.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/datapath-loader/core/frontend_owners.h"
#include "services/datapath-loader/core/map_image.h"
#include "services/datapath-loader/core/programmer.h"
#include "services/datapath-loader/core/types.h"

namespace portolan::datapath {

// ---- events ----

struct ServiceChanged {
  Service service;
};
struct ServiceRemoved {
  std::string key;
};
struct BackendsChanged {
  BackendSet set;
};
struct BackendsRemoved {
  std::string key;
};
struct AllocationChanged {
  Allocation allocation;
};
struct AllocationRemoved {
  std::string key;
};
// Only this node's own entry matters; the others are ignored.
struct NodeChanged {
  Node node;
};
struct NodeRemoved {
  std::string name;
};
struct SettingsChanged {
  Settings settings;
};
// All streams have been synced at least once.
struct InputsSynced {};
// The maps are there, with this content.
struct KernelReady {
  Limits limits;
  MapImage image;
};
struct KernelUnavailable {
  std::string reason;  // kebab-case
  std::string message;
  std::string remedy;
};
struct HostChanged {
  int attached_interfaces = 0;
  bool ipv4_forwarding = false;
  bool ipv6_forwarding = false;
  friend bool operator==(const HostChanged&, const HostChanged&) = default;
};
// What the shell's health checks say of a backend; unknown ones are well.
struct HealthChanged {
  std::string key;  // of the service
  std::string backend;
  std::optional<std::string> failure;  // absent: it serves
};
// Answers ApplyBatch; one result per operation.
struct BatchDone {
  std::vector<absl::Status> results;
};
struct TimerFired {};

using Event = std::variant<ServiceChanged, ServiceRemoved, BackendsChanged, BackendsRemoved,
                           AllocationChanged, AllocationRemoved, NodeChanged, NodeRemoved,
                           SettingsChanged, InputsSynced, KernelReady, KernelUnavailable,
                           HostChanged, HealthChanged, BatchDone, TimerFired>;

// ---- effects ----

enum class State { kPending, kReady, kDegraded, kRejected, kFailed };

struct Finding {
  std::string subject;
  std::string reason;
  std::string message;
  friend bool operator==(const Finding&, const Finding&) = default;
};

struct ServiceStatus {
  std::string key;
  uint64_t generation = 0;
  State state = State::kPending;
  std::string reason;
  std::string message;
  std::string remedy;
  std::vector<Finding> findings;
  std::vector<net::IpAddress> addresses;  // that this node carries, sorted
  friend bool operator==(const ServiceStatus&, const ServiceStatus&) = default;
};

// A frontend in force; `id` is the index of its counters.
struct FrontendView {
  FrontendKey key;
  std::string service;
  uint32_t id = 0;
  uint32_t backends = 0;
  friend bool operator==(const FrontendView&, const FrontendView&) = default;
};

enum class BackendState : uint8_t {
  kActive,    // takes new flows
  kResting,   // weight 0: keeps its flows
  kDraining,  // keeps its flows, or as the last resort takes new ones
  kDown,
  kFailing,  // its health check fails; it is used only when all fail
  kUnused,   // cannot be used, see the findings of the service
};

// A backend for one port of a service; `id` is the index of its counters.
struct BackendView {
  uint8_t protocol = kTcp;
  uint16_t port = 0;                        // of the service
  net::Family family = net::Family::kIpv4;  // of the clients
  std::string backend;                      // its id in the service
  net::IpAddress address;
  uint16_t target_port = 0;
  uint32_t weight = 0;
  BackendState state = BackendState::kActive;
  uint32_t id = 0;  // 0: not in the kernel
  friend bool operator==(const BackendView&, const BackendView&) = default;
};

struct ApplyBatch {
  std::shared_ptr<const MapBatch> batch;
};
struct PublishStatus {
  ServiceStatus status;
};
struct RemoveStatus {
  std::string key;
};
struct PublishFrontend {
  FrontendView view;
};
struct RemoveFrontend {
  FrontendKey key;
};
// All backends of the service that this node might use; replaces those said before. None: it has
// no more.
struct PublishBackends {
  std::string key;
  std::vector<BackendView> views;
};
// TimerFired is wanted at this time; replaces the previous wish.
struct ArmTimer {
  absl::Time at;
};

using Effect = std::variant<ApplyBatch, PublishStatus, RemoveStatus, PublishFrontend,
                            RemoveFrontend, PublishBackends, ArmTimer>;

class Engine {
 public:
  // `node`: this machine's name in the configuration.
  explicit Engine(std::string node) : node_(std::move(node)) {}

  std::vector<Effect> Handle(const Event& event, absl::Time now);

  // Frontends in force, and backends with an entry in the kernel.
  struct Usage {
    size_t frontends = 0;
    size_t backends = 0;
  };
  Usage InUse() const;

 private:
  // A backend as wanted in a group of the programmer, and what is said of it.
  struct Chosen {
    std::string group;
    WantedBackend wanted;
    BackendView view;
  };
  struct Record {
    std::optional<Service> service;
    bool service_gone = false;  // `service` is the last that we knew
    std::optional<BackendSet> backends;
    absl::Time backends_until = absl::InfiniteFuture();  // they are gone, and forgotten then
    std::optional<Allocation> allocation;
    std::map<net::IpAddress, absl::Time> lingering;  // carried without an allocation, until
    std::map<std::string, std::string> failing;      // backends, and why
    absl::Time due = absl::InfiniteFuture();         // its entry in timeline_
    // Of the last Refresh().
    std::vector<Finding> findings;
    std::vector<Chosen> chosen;
    absl::Time next_deadline = absl::InfiniteFuture();  // of a backend that drains
    bool elsewhere = false;  // a backend of another node is left out because of a traffic policy
    // As published.
    std::optional<ServiceStatus> status;
    std::map<FrontendKey, FrontendView> views;
    std::vector<BackendView> backend_views;
  };
  // Everything that counts for the backends of one port in one family.
  struct Choice {
    const Service& service;
    const ServicePort& port;
    net::Family family;
    bool other_family;  // IPv6 backends carry IPv4 packets
    absl::Time now;
  };

  void On(const ServiceChanged& event, absl::Time now);
  void On(const ServiceRemoved& event, absl::Time now);
  void On(const BackendsChanged& event, absl::Time now);
  void On(const BackendsRemoved& event, absl::Time now);
  void On(const AllocationChanged& event, absl::Time now);
  void On(const AllocationRemoved& event, absl::Time now);
  void On(const NodeChanged& event, absl::Time now);
  void On(const NodeRemoved& event, absl::Time now);
  void On(const SettingsChanged& event, absl::Time now);
  void On(const InputsSynced& event, absl::Time now);
  void On(const KernelReady& event, absl::Time now);
  void On(const KernelUnavailable& event, absl::Time now);
  void On(const HostChanged& event, absl::Time now);
  void On(const HealthChanged& event, absl::Time now);
  void On(const BatchDone& event, absl::Time now);
  void On(const TimerFired&, absl::Time) {}

  void SetAllocation(const std::string& key, std::optional<Allocation> allocation, absl::Time now);
  // Says anew what the service claims: its carried ports on all addresses that it has or had.
  void UpdateClaims(const std::string& key, const Record& record);
  void Expire(absl::Time now);
  // Something of the record ends by itself: keeps timeline_ right.
  void Schedule(const std::string& key, Record& record);
  void TouchAll();
  void Touch(const std::string& key);

  // Desired state of one service.
  void Refresh(const std::string& key, Record& record, absl::Time now);
  std::set<net::IpAddress> AddressesOf(const Record& record) const;
  void CheckFamilies(Record& record, const std::set<net::IpAddress>& addresses) const;
  bool Owns(const std::string& key, const FrontendKey& frontend) const;
  void AddGroups(const std::string& key, Record& record, const ServicePort& port,
                 const std::set<net::IpAddress>& addresses, absl::Time now,
                 std::vector<WantedGroup>& groups) const;
  using Candidates = std::map<std::tuple<net::IpAddress, uint16_t, Delivery>, Chosen>;
  Candidates CandidatesFor(Record& record, const std::string& group, const Choice& choice) const;
  std::vector<WantedBackend> BackendsFor(Record& record, const std::string& group,
                                         const Choice& choice) const;
  std::optional<WantedBackend> Consider(Record& record, const Backend& backend,
                                        const Choice& choice) const;
  Delivery DeliveryOf(const Backend& backend, ForwardingMode mode) const;
  std::optional<net::IpAddress> SourceFor(const Backend& backend) const;
  void ReportBackends(const std::string& key, Record& record, std::vector<Effect>& effects);

  void Advance(absl::Time now, std::vector<Effect>& effects);
  void Report(absl::Time now, std::vector<Effect>& effects);
  void ReportFrontends(const std::string& key, Record& record, std::vector<Effect>& effects);
  ServiceStatus StatusOf(const std::string& key, const Record& record) const;
  ServiceStatus StatusOfProgrammed(ServiceStatus status, const Record& record) const;
  ServiceStatus StatusWithoutBackends(ServiceStatus status, const Record& record) const;
  std::vector<net::IpAddress> Programmed(const std::string& key, const Record& record) const;
  // What keeps ports of an address, or all of it, from being carried for the service.
  std::vector<Finding> FindingsOf(const std::string& key, const Record& record,
                                  const net::IpAddress& address) const;
  absl::Time NextTimer() const;

  const std::string node_;
  Node self_;
  Settings settings_;
  bool inputs_synced_ = false;
  bool pruned_ = false;
  std::optional<KernelUnavailable> unavailable_;
  HostChanged host_;
  std::optional<Programmer> programmer_;
  std::shared_ptr<const MapBatch> in_flight_;
  std::map<std::string, Record> records_;
  FrontendOwners owners_;
  std::set<std::pair<absl::Time, std::string>> timeline_;  // when records are due
  std::set<std::string> stale_;                            // to be refreshed
  std::set<std::string> unreported_;                       // status to be said
  absl::Time armed_ = absl::InfiniteFuture();
};

}  // namespace portolan::datapath
