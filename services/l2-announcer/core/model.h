// What goes into the announcer's engine and what comes out of it: plain values.
//
// `interface` is always a name of this machine; `service` is "NAMESPACE/NAME". Times are those of
// the injected clock.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/mac_address.h"
#include "services/base/selector/label_selector.h"
#include "services/l2-announcer/core/frame.h"

namespace portolan::l2 {

// ---- the world, as the engine is told ----

struct Grant {
  net::IpAddress address;
  std::string pool;
  friend bool operator==(const Grant&, const Grant&) = default;
};

struct Allocation {
  uint64_t generation = 0;
  std::vector<Grant> grants;
  Labels labels;
  friend bool operator==(const Allocation&, const Allocation&) = default;
};

struct Policy {
  LabelSelector services;
  std::vector<std::string> pools;  // empty: all
  LabelSelector nodes;
  std::vector<std::string> interfaces;  // exact names; empty: every suitable one
  friend bool operator==(const Policy&, const Policy&) = default;
};

struct Settings {
  absl::Duration heartbeat_interval = absl::Milliseconds(1000);
  absl::Duration dead_interval = absl::Milliseconds(3000);
  int gratuitous_count = 5;  // in all; the first one at once
  absl::Duration gratuitous_interval = absl::Milliseconds(1000);
  std::string owner_election = "rendezvous";
  friend bool operator==(const Settings&, const Settings&) = default;
};

struct Interface {
  int index = 0;
  net::MacAddress mac;
  bool up = false;        // administratively, and there is a carrier
  bool ethernet = false;  // has 48-bit addresses and broadcast
  bool loopback = false;
  std::vector<net::IpAddress> addresses;  // the kernel answers for these
  friend bool operator==(const Interface&, const Interface&) = default;
};

// ---- events ----

struct AllocationChanged {
  std::string service;
  std::optional<Allocation> allocation;  // absent: gone; so in the next ones, too
};
struct PolicyChanged {
  std::string name;
  std::optional<Policy> policy;
};
struct SettingsChanged {
  std::optional<Settings> settings;
};
struct NodeChanged {
  std::string name;
  std::optional<Labels> labels;
};
// The datapath of this node carries these addresses of the service.
struct GateChanged {
  std::string service;
  std::set<net::IpAddress> carried;
};
struct PipelineChanged {
  bool announce = true;       // stage "l2" runs
  bool need_datapath = true;  // stage "datapath" runs: its word is waited for
};
// Every stream of configuration and allocations has delivered its first snapshot.
struct Synced {};
struct InterfaceChanged {
  std::string name;
  std::optional<Interface> interface;
};
// Answers to OpenLink.
struct LinkOpened {
  std::string interface;
};
struct LinkFailed {
  std::string interface;
  std::string message;
  std::string remedy;
};
struct FrameReceived {
  std::string interface;
  Frame frame;
};
// A heartbeat could not be sent: nobody has heard it.
struct HeartbeatLost {
  std::string interface;
};
// The time of the last ArmTimer has come.
struct TimerFired {};
// The process is about to end: says goodbye, so that others need not wait.
struct Leave {};

using Event = std::variant<AllocationChanged, PolicyChanged, SettingsChanged, NodeChanged,
                           GateChanged, PipelineChanged, Synced, InterfaceChanged, LinkOpened,
                           LinkFailed, FrameReceived, HeartbeatLost, TimerFired, Leave>;

// ---- effects ----

// Open a raw socket on the interface; answer with LinkOpened or LinkFailed.
struct OpenLink {
  std::string interface;
  int index = 0;
};
struct CloseLink {
  std::string interface;
};
// Not sent any more once `expires` has come: others may own the address by then.
struct SendFrame {
  std::string interface;
  Frame frame;
  absl::Time expires;
  // Of an answer: the address that was asked for. Not sent where the datapath answers for it.
  std::optional<net::IpAddress> asked;
};
// Hear (no longer) frames to an IPv6 multicast group. CloseLink leaves all.
struct JoinGroup {
  std::string interface;
  net::IpAddress group;
};
struct LeaveGroup {
  std::string interface;
  net::IpAddress group;
};

// Who answers for an address on an interface, as this node sees it.
struct Announcement {
  std::string service;
  net::MacAddress mac;     // of this node's interface
  bool owner = false;      // this node answers
  std::string owner_node;  // empty: nobody, or unknown
  absl::Time since;        // of the owner, whatever the rival does
  // Of a foreign host that claims the address, too.
  std::optional<net::MacAddress> rival;
  friend bool operator==(const Announcement&, const Announcement&) = default;
};
struct PublishAnnouncement {
  std::string interface;
  net::IpAddress address;
  std::optional<Announcement> announcement;
};

enum class State { kPending, kReady, kDegraded, kRejected, kFailed };
struct Finding {
  std::string subject;
  std::string reason;
  std::string message;
  friend bool operator==(const Finding&, const Finding&) = default;
};
struct Status {
  uint64_t generation = 0;
  State state = State::kPending;
  std::string reason;
  std::string message;
  std::string remedy;
  std::vector<Finding> findings;
  std::vector<net::IpAddress> addresses;  // those that this node answers for
  friend bool operator==(const Status&, const Status&) = default;
};
struct PublishStatus {
  std::string kind;  // "service", "policy", "settings"
  std::string key;
  std::optional<Status> status;
};

// Replaces the timer set before.
struct ArmTimer {
  absl::Time at;
};

using Effect = std::variant<OpenLink, CloseLink, SendFrame, JoinGroup, LeaveGroup,
                            PublishAnnouncement, PublishStatus, ArmTimer>;

}  // namespace portolan::l2
