// What happens to the engine (Event) and what it wants done (Effect). Closed variants of value
// types: a list of events can be written down and replayed, and gives the same effects.
//
// Connections are named by a ConnectionId that whoever opens them chooses: the engine for those it
// dials (below kFirstInbound), the shell for those it accepts (from kFirstInbound on). Ids are
// never used twice. Peers and advertisements are named "INSTANCE/NAME".
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/base/net/prefix.h"
#include "services/bgp-exporter/core/config.h"
#include "services/bgp-exporter/core/session.h"

namespace portolan::bgp {

using ConnectionId = uint64_t;
inline constexpr ConnectionId kFirstInbound = ConnectionId{1} << 63;

// ---- events ----

struct InstanceChanged {
  InstanceConfig config;
};
struct InstanceRemoved {
  std::string name;
};
struct PeerChanged {
  PeerConfig config;
};
struct PeerRemoved {
  std::string key;
};
struct AdvertisementChanged {
  AdvertisementConfig config;
};
struct AdvertisementRemoved {
  std::string key;
};
struct NodeChanged {
  NodeConfig config;
};
struct NodeRemoved {
  std::string name;
};
// Whether the pipeline has a datapath stage; without one its gate is open.
struct DatapathStageChanged {
  bool enabled = true;
};
struct AllocationChanged {
  AllocationInput allocation;
};
struct AllocationRemoved {
  std::string key;
};
struct DatapathChanged {
  DatapathInput datapath;
};
struct DatapathRemoved {
  std::string key;
};

enum class Input {
  kInstances,
  kPeers,
  kAdvertisements,
  kNodes,
  kStages,
  kAllocations,
  kDatapath,
};
inline constexpr int kInputCount = 7;

// A first complete picture of this input is in.
struct InputSynced {
  Input input = Input::kInstances;
};

// Our end of a connection.
struct LocalAddresses {
  net::IpAddress session;
  std::vector<net::IpAddress> same_interface;  // of that interface, the best next hop first
};

struct Connected {  // a dialled connection is up
  ConnectionId connection = 0;
  LocalAddresses local;
};
struct Accepted {  // somebody connected to us
  ConnectionId connection = 0;
  std::string instance;  // that listens there
  net::IpAddress remote;
  LocalAddresses local;
};
struct Received {
  ConnectionId connection = 0;
  std::string octets;
};
struct Disconnected {  // could not connect, or is closed; the id is dead
  ConnectionId connection = 0;
  std::string reason;
};
struct WriteBlocked {  // the transport takes no more octets
  ConnectionId connection = 0;
};
struct WriteProgress {  // it took some again
  ConnectionId connection = 0;
  bool drained = false;  // nothing is left to send
};
struct ListenResult {
  std::string instance;
  std::string problem;  // empty: listening
};

// What people ask of this node. Each is answered by one OrderDone of its number, which whoever asks
// chooses.
using OrderId = uint64_t;
struct ResetRequested {
  OrderId order = 0;
  std::string peer;   // key, or a name that only one instance has
  bool soft = false;  // send all routes again; the session stays
  std::string text;   // for the peer's operator (RFC 9003); not with `soft`
};
// The node's routes carry GRACEFUL_SHUTDOWN (RFC 8326) for that long, then they are withdrawn.
struct DrainRequested {
  OrderId order = 0;
  absl::Duration hold_time;
};
struct UndrainRequested {
  OrderId order = 0;
};
// Outcome of SaveDrain.
struct DrainSaved {
  OrderId order = 0;
  std::optional<absl::Time> withdraw_at;
  std::string problem;  // empty: a restart will find it
};

struct Tick {};  // the time that ArmTimer asked for
struct Stop {};  // the process ends in order: peers are told, routes go at once

using Event =
    std::variant<InstanceChanged, InstanceRemoved, PeerChanged, PeerRemoved, AdvertisementChanged,
                 AdvertisementRemoved, NodeChanged, NodeRemoved, DatapathStageChanged,
                 AllocationChanged, AllocationRemoved, DatapathChanged, DatapathRemoved,
                 InputSynced, Connected, Accepted, Received, Disconnected, WriteBlocked,
                 WriteProgress, ListenResult, ResetRequested, DrainRequested, UndrainRequested,
                 DrainSaved, Tick, Stop>;

// ---- effects, to be done in their order ----

struct Connect {
  ConnectionId connection = 0;
  net::IpAddress remote;
  uint16_t port = 0;
  std::optional<net::IpAddress> local;  // to bind to
  int ttl = 1;                          // 1..255
  std::string password;                 // TCP MD5; empty: none
};
// Sets up an accepted connection that the engine keeps.
struct Keep {
  ConnectionId connection = 0;
  int ttl = 1;  // 1..255
};
struct Send {
  ConnectionId connection = 0;
  std::string octets;
};
struct Close {  // after what was sent before; no event follows
  ConnectionId connection = 0;
};
struct Listen {
  std::string instance;
  uint16_t port = 0;  // 0: stop
  struct Key {
    net::IpAddress peer;
    std::string password;
    friend bool operator==(const Key&, const Key&) = default;
  };
  std::vector<Key> keys;  // TCP MD5 keys of the peers that may connect
  friend bool operator==(const Listen&, const Listen&) = default;
};
struct ArmTimer {  // replaces the one before
  absl::Time at;
};

// ---- what is published ----

struct PeerView {
  std::string instance;
  std::string name;
  net::IpAddress address;
  uint32_t remote_as = 0;
  uint32_t local_as = 0;
  SessionState state = SessionState::kIdle;
  absl::Time since;  // of the state, on the engine's clock
  uint32_t prefixes_sent = 0;
  std::string last_error;
  uint32_t hold_time_s = 0;  // negotiated; 0 unless established
  friend bool operator==(const PeerView&, const PeerView&) = default;
};
struct RouteView {
  std::string peer;  // key
  net::Prefix prefix;
  net::IpAddress next_hop;
  std::string service;
  std::vector<uint32_t> communities;
};
struct Finding {
  std::string subject;
  std::string reason;
  std::string message;
  friend bool operator==(const Finding&, const Finding&) = default;
};
enum class StatusState { kPending, kReady, kDegraded, kRejected, kFailed };
struct StatusView {
  std::string kind;  // "service", "peer", "instance", "advertisement", "drain"
  std::string key;
  uint64_t generation = 0;
  StatusState state = StatusState::kPending;
  std::string reason;
  std::string message;
  std::string remedy;
  std::vector<Finding> findings;
  std::vector<std::string> addresses;
  friend bool operator==(const StatusView&, const StatusView&) = default;
};

struct PublishPeer {
  PeerView view;
};
struct RemovePeer {
  std::string peer;
};
struct PublishRoute {
  RouteView view;
};
struct RemoveRoute {
  std::string peer;
  net::Prefix prefix;
};
struct PublishStatus {
  StatusView view;
};
struct RemoveStatus {
  std::string kind;
  std::string key;
};
// To be kept over a restart, then reported as DrainSaved; no time: the node is not drained.
struct SaveDrain {
  OrderId order = 0;
  std::optional<absl::Time> withdraw_at;
};
struct OrderDone {
  OrderId order = 0;
  absl::Status status;  // an error: nothing has changed
  std::string message;  // what was done
};
// Everything that the inputs ask for has been published once.
struct MarkSynced {};

using Effect = std::variant<Connect, Keep, Send, Close, Listen, ArmTimer, PublishPeer, RemovePeer,
                            PublishRoute, RemoveRoute, PublishStatus, RemoveStatus, SaveDrain,
                            OrderDone, MarkSynced>;

}  // namespace portolan::bgp
