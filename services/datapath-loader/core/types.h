// What the engine is told about services, in value types of its own. Pure; no protobuf.
// Regular types with value equality, owned by whoever holds them; readable from any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"

namespace portolan::datapath {

// IANA protocol numbers that the programs carry.
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kSctp = 132;  // without translation of ports

// "tcp", "udp", "sctp", or "protocol-N".
std::string ProtocolName(uint8_t protocol);

// What a client connects to.
struct FrontendKey {
  net::IpAddress address;
  uint16_t port = 0;
  uint8_t protocol = kTcp;

  // "20.0.10.1/tcp/80"
  std::string ToString() const;
  friend bool operator==(const FrontendKey&, const FrontendKey&) = default;
  friend std::strong_ordering operator<=>(const FrontendKey&, const FrontendKey&) = default;
};

struct ServicePort {
  std::string name;
  uint8_t protocol = kTcp;  // any; what is not carried is reported
  uint16_t port = 0;
  friend bool operator==(const ServicePort&, const ServicePort&) = default;
};

// The datapath carries TCP, UDP and SCTP ports from 1 to 65535.
bool IsCarried(const ServicePort& port);

// Which clients a service lets in, and whether they stay with a backend.
struct Admission {
  // The longest prefix of both lists counts; in both, it is denied. What is in neither is let in
  // unless `only_allowed`.
  std::vector<net::Prefix> allowed;
  std::vector<net::Prefix> denied;
  bool only_allowed = false;
  uint32_t affinity_s = 0;  // a client that was away longer chooses its backend anew; 0: every flow
  friend bool operator==(const Admission&, const Admission&) = default;
};

// How packets reach the backends, and how the answers come back.
enum class ForwardingMode : uint8_t {
  kAuto,            // kDestinationNat to backends of this node, kFullNat to all others
  kFullNat,         // destination and source are translated: replies come back here
  kDestinationNat,  // replies are routed through this node
  kDirectReturn,    // only the frame is addressed to the backend, which answers by itself
  kTunnel,          // in a packet of its own to the backend, which answers by itself
};

struct Traffic {
  ForwardingMode mode = ForwardingMode::kAuto;
  bool local = false;           // what comes from outside goes to backends of this node only
  bool internal_local = false;  // what comes from inside does
  uint32_t idle_s = 0;          // a flow that was idle for longer ends; 0: as the settings say
  // What is not served is dropped without a word, or refused; absent: as the settings say.
  std::optional<bool> silent;
  friend bool operator==(const Traffic&, const Traffic&) = default;
};

struct Service {
  std::string key;  // "NAMESPACE/NAME"
  uint64_t generation = 0;
  std::vector<ServicePort> ports;
  Admission admission;
  Traffic traffic;
  std::string health_problem;  // why its backends are not asked although they should be
  friend bool operator==(const Service&, const Service&) = default;
};

enum class Condition : uint8_t {
  kActive,
  kDraining,  // keeps its flows; takes new ones only while nobody active is left
  kDown,      // takes no flows, and those it has end
};

struct Backend {
  std::string id;
  net::IpAddress address;
  std::map<std::string, uint16_t> ports;  // by ServicePort name
  uint32_t weight = 1;                    // 0: keeps its flows, takes no new ones
  std::string node;                       // that it runs on; empty: unknown
  // The address that this machine itself would use towards it, if the shell found one.
  std::optional<net::IpAddress> local_source;
  Condition condition = Condition::kActive;
  absl::Time drain_deadline = absl::InfiniteFuture();  // of kDraining: as good as removed then
  friend bool operator==(const Backend&, const Backend&) = default;
};

struct BackendSet {
  std::string key;
  uint64_t generation = 0;
  std::vector<Backend> backends;
  friend bool operator==(const BackendSet&, const BackendSet&) = default;
};

// An address of a service. One that it leaves (draining) is as good as any until it is gone.
struct Grant {
  net::IpAddress address;
  int64_t since_unix_ms = 0;
  friend bool operator==(const Grant&, const Grant&) = default;
};

// Several services may have one address; their ports differ then.
struct Allocation {
  std::string key;
  uint64_t generation = 0;
  std::vector<Grant> grants;
  friend bool operator==(const Allocation&, const Allocation&) = default;
};

// A node's own addresses, as configured; absent: the shell's `local_source` counts.
struct Node {
  std::string name;
  std::optional<net::IpAddress> ipv4;
  std::optional<net::IpAddress> ipv6;
  friend bool operator==(const Node&, const Node&) = default;
};

struct Settings {
  absl::Duration removal_delay = absl::Seconds(1);
  uint32_t hash_seed = 0;
  bool drop_unserved = false;  // of services that do not say: silently, else refused
  friend bool operator==(const Settings&, const Settings&) = default;
};

}  // namespace portolan::datapath
