// The whole configuration as values: what YANG data become before anybody else sees them.
//
// Leaves keep the names of api/yang, with the unit last. Defaults are YANG's and are filled in
// there: a member without a value here was not configured. Addresses are canonical text (RFC 5952).
// Members that YANG does not order are sorted, so that equal configurations compare equal.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "services/base/net/ip_address.h"
#include "services/config-service/core/shared.h"

namespace portolan::config {

using Labels = std::map<std::string, std::string>;

struct MatchExpression {
  enum class Operator : uint8_t { kIn, kNotIn, kExists, kDoesNotExist };
  std::string key;
  Operator op = Operator::kIn;
  std::vector<std::string> values;
  friend bool operator==(const MatchExpression&, const MatchExpression&) = default;
};

struct Selector {
  Labels match_labels;
  std::vector<MatchExpression> match_expressions;
  friend bool operator==(const Selector&, const Selector&) = default;
};

// Either `cidr` or `first` and `last`, as configured. See ResolveBlock().
struct Block {
  std::string id;
  std::string cidr;
  std::string first;
  std::string last;
  friend bool operator==(const Block&, const Block&) = default;
};

// Which namespaces: those that are listed and those that a selector matches. Both empty: all.
struct Namespaces {
  std::vector<std::string> names;
  std::map<std::string, Selector> selectors;  // by name
  friend bool operator==(const Namespaces&, const Namespaces&) = default;
};

struct Pool {
  std::string name;
  std::vector<Block> blocks;
  std::vector<Block> excluded;
  bool disabled = false;
  bool auto_assign = false;
  uint32_t priority = 0;
  bool allow_first_last = false;
  bool avoid_buggy_ips = false;
  std::optional<Selector> service_selector;
  Namespaces namespaces;
  std::string address_picker;
  friend bool operator==(const Pool&, const Pool&) = default;
};

struct Quota {
  std::string name;
  Namespaces namespaces;
  std::vector<std::string> pools;
  uint32_t max_addresses = 0;
  friend bool operator==(const Quota&, const Quota&) = default;
};

// Where ipam-service keeps who has which address, when not in SQLite.
struct EtcdStore {
  std::vector<std::string> endpoints;
  std::string key_prefix;
  uint32_t lease_ttl_s = 0;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string user;
  std::string password;
  friend bool operator==(const EtcdStore&, const EtcdStore&) = default;
};

struct IpamSettings {
  std::string address_picker;
  uint32_t drain_time_s = 0;
  std::optional<EtcdStore> etcd;
  // Not configured: the Engine sets it. The commit that made this revision may move addresses.
  bool allow_renumber = false;
  friend bool operator==(const IpamSettings&, const IpamSettings&) = default;
};

struct Plugin {
  std::string extension_point;
  std::string name;
  std::string path;
  std::string endpoint;
  uint32_t deadline_ms = 0;
  bool fail_open = false;
  std::string settings;
  friend bool operator==(const Plugin&, const Plugin&) = default;
};

struct Node {
  std::string name;
  Labels labels;
  std::string ipv4_address;
  std::string ipv6_address;
  friend bool operator==(const Node&, const Node&) = default;
};

struct L2Policy {
  std::string name;
  std::optional<Selector> service_selector;
  std::vector<std::string> pools;
  std::optional<Selector> node_selector;
  std::vector<std::string> interfaces;
  friend bool operator==(const L2Policy&, const L2Policy&) = default;
};

struct L2Settings {
  uint32_t heartbeat_interval_ms = 0;
  uint32_t dead_interval_ms = 0;
  uint32_t gratuitous_count = 0;
  uint32_t gratuitous_interval_ms = 0;
  std::string owner_election;
  friend bool operator==(const L2Settings&, const L2Settings&) = default;
};

struct BgpInstance {
  std::string name;
  uint32_t local_as = 0;
  std::string router_id;
  uint32_t listen_port = 0;
  uint32_t graceful_restart_time_s = 0;
  friend bool operator==(const BgpInstance&, const BgpInstance&) = default;
};

struct BgpFamily {
  net::Family family = net::Family::kIpv4;
  std::string next_hop;
  friend bool operator==(const BgpFamily&, const BgpFamily&) = default;
};

struct BgpPeer {
  std::string instance;
  std::string name;
  std::string address;
  uint32_t port = 0;
  uint32_t remote_as = 0;
  uint32_t hold_time_s = 0;
  uint32_t connect_retry_time_s = 0;
  std::vector<BgpFamily> families;
  std::string password;
  bool ebgp_multihop = false;
  std::string local_address;
  bool enabled = false;
  std::optional<Selector> node_selector;
  friend bool operator==(const BgpPeer&, const BgpPeer&) = default;
};

struct BgpAdvertisement {
  std::string instance;
  std::string name;
  std::optional<Selector> service_selector;
  std::vector<std::string> pools;
  std::vector<std::string> peers;
  std::vector<std::string> communities;
  uint32_t local_preference = 0;
  friend bool operator==(const BgpAdvertisement&, const BgpAdvertisement&) = default;
};

struct DatapathInterface {
  std::string name;
  std::string mode;
  std::vector<std::string> nodes;
  bool inside = false;
  friend bool operator==(const DatapathInterface&, const DatapathInterface&) = default;
};

struct DatapathSettings {
  uint32_t max_flows = 0;
  uint32_t max_frontends = 0;
  uint32_t max_backends = 0;
  uint32_t tcp_idle_timeout_s = 0;
  uint32_t udp_idle_timeout_s = 0;
  uint32_t removal_delay_ms = 0;
  uint32_t hash_seed = 0;
  bool ignore_echo = false;
  bool drop_unserved = false;
  std::vector<std::string> tunnel_sources;
  friend bool operator==(const DatapathSettings&, const DatapathSettings&) = default;
};

struct PipelineStage {
  std::string name;
  bool enabled = false;
  friend bool operator==(const PipelineStage&, const PipelineStage&) = default;
};

struct MetricsEndpoint {
  std::string process;
  std::string address;
  uint32_t port = 0;
  friend bool operator==(const MetricsEndpoint&, const MetricsEndpoint&) = default;
};

enum class Protocol : uint8_t { kTcp = 6, kUdp = 17, kSctp = 132 };  // IANA numbers

struct Port {
  std::string name;
  Protocol protocol = Protocol::kTcp;
  uint32_t port = 0;
  uint32_t target_port = 0;
  friend bool operator==(const Port&, const Port&) = default;
};

enum class BackendCondition : uint8_t { kActive, kDraining, kDown };

struct Backend {
  std::string id;
  std::string address;
  uint32_t weight = 0;
  std::string node;
  BackendCondition condition = BackendCondition::kActive;
  int64_t drain_deadline_unix_ms = 0;  // 0: none
  friend bool operator==(const Backend&, const Backend&) = default;
};

enum class FamilyPolicy : uint8_t { kSingleStack, kPreferDualStack, kRequireDualStack };
enum class TrafficPolicy : uint8_t { kCluster, kLocal };
enum class ForwardingMode : uint8_t { kAuto, kFullNat, kDestinationNat, kDirectReturn, kTunnel };
enum class UnservedTraffic : uint8_t { kAsSettings, kRefuse, kDrop };

struct HealthCheck {
  std::string type;
  uint32_t port = 0;  // 0: that of the first port
  uint32_t interval_ms = 0;
  uint32_t timeout_ms = 0;
  uint32_t failures = 0;
  uint32_t successes = 0;
  std::string path;
  std::string host;
  std::string service_name;
  std::string send;
  std::string expect;
  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

struct Sharing {
  std::string key;
  std::vector<std::string> namespaces;  // "*": all
  TrafficPolicy traffic_policy = TrafficPolicy::kCluster;
  std::string backend_selector;
  bool different_backends = false;
  friend bool operator==(const Sharing&, const Sharing&) = default;
};

struct Namespace {
  std::string name;
  Labels labels;
  friend bool operator==(const Namespace&, const Namespace&) = default;
};

struct Service {
  std::string name_space;
  std::string name;
  Labels labels;
  std::vector<Port> ports;
  FamilyPolicy family_policy = FamilyPolicy::kSingleStack;
  std::vector<net::Family> families;             // in the order given
  std::vector<std::string> requested_addresses;  // in the order given
  std::string requested_pool;
  uint32_t addresses_per_family = 0;
  std::vector<std::string> addresses_in_use;  // in the order given
  std::optional<Sharing> sharing;
  std::vector<std::string> allowed_sources;
  std::vector<std::string> denied_sources;
  uint32_t client_affinity_s = 0;  // 0: none
  ForwardingMode forwarding_mode = ForwardingMode::kAuto;
  TrafficPolicy traffic_policy = TrafficPolicy::kCluster;
  TrafficPolicy internal_traffic_policy = TrafficPolicy::kCluster;
  uint32_t idle_timeout_s = 0;  // 0: as the settings say
  UnservedTraffic unserved_traffic = UnservedTraffic::kAsSettings;
  std::optional<HealthCheck> health_check;
  std::vector<Backend> backends;
  friend bool operator==(const Service&, const Service&) = default;
};

// Keys are those of the streams (config.proto, intent.proto).
struct Snapshot {
  std::map<std::string, Pool> pools;
  std::map<std::string, IpamSettings> ipam_settings;
  std::map<std::string, Quota> quotas;
  std::map<std::string, Plugin> plugins;
  std::map<std::string, Node> nodes;
  std::map<std::string, L2Policy> l2_policies;
  std::map<std::string, L2Settings> l2_settings;
  std::map<std::string, BgpInstance> bgp_instances;
  std::map<std::string, BgpPeer> bgp_peers;
  std::map<std::string, BgpAdvertisement> bgp_advertisements;
  std::map<std::string, DatapathInterface> datapath_interfaces;
  std::map<std::string, DatapathSettings> datapath_settings;
  std::map<std::string, PipelineStage> pipeline_stages;
  std::map<std::string, MetricsEndpoint> metrics_endpoints;
  std::map<std::string, Namespace> namespaces;
  std::map<std::string, Shared<Service>> services;
  // Paths of nodes that are configured and that no service reads yet, in the order of the data.
  std::vector<std::string> not_in_force;
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// One entry of any of the tables.
using Object = std::variant<Pool, IpamSettings, Quota, Plugin, Node, L2Policy, L2Settings,
                            BgpInstance, BgpPeer, BgpAdvertisement, DatapathInterface,
                            DatapathSettings, PipelineStage, MetricsEndpoint, Namespace, Service>;

}  // namespace portolan::config
