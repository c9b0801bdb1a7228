// The inputs of the exporter as plain values: what the shell makes of the streams.
//
// A field of the wire form that cannot be read leaves a sentence in `problem`, so that the engine
// can answer with a status on the object instead of losing it. Regular value types.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/base/net/ip_address.h"
#include "services/base/selector/label_selector.h"

namespace portolan::bgp {

struct InstanceConfig {
  std::string name;
  uint32_t local_as = 0;
  std::optional<net::IpAddress> router_id;  // IPv4; absent: from the node
  uint16_t listen_port = 0;                 // 0: dial only
  uint16_t graceful_restart_time_s = 0;     // 0: off
  std::string problem;
  friend bool operator==(const InstanceConfig&, const InstanceConfig&) = default;
};

struct FamilyConfig {
  net::Family family = net::Family::kIpv4;
  std::optional<net::IpAddress> next_hop;
  friend bool operator==(const FamilyConfig&, const FamilyConfig&) = default;
};

struct PeerConfig {
  std::string instance;
  std::string name;
  net::IpAddress address;
  uint16_t port = 179;
  uint32_t remote_as = 0;
  uint16_t hold_time_s = 90;
  uint16_t connect_retry_time_s = 5;
  std::vector<FamilyConfig> families;  // empty: the family of `address`
  std::string password;                // TCP MD5, RFC 2385; empty: none
  bool ebgp_multihop = false;
  std::optional<net::IpAddress> local_address;
  bool enabled = true;
  LabelSelector node_selector;
  std::string problem;
  std::string key() const { return instance + "/" + name; }
  friend bool operator==(const PeerConfig&, const PeerConfig&) = default;
};

struct AdvertisementConfig {
  std::string instance;
  std::string name;
  LabelSelector service_selector;
  std::set<std::string> pools;        // empty: all
  std::set<std::string> peers;        // names; empty: all of the instance
  std::vector<uint32_t> communities;  // RFC 1997
  uint32_t local_preference = 100;    // towards internal peers
  std::string problem;
  std::string key() const { return instance + "/" + name; }
  friend bool operator==(const AdvertisementConfig&, const AdvertisementConfig&) = default;
};

struct NodeConfig {
  std::string name;
  Labels labels;
  std::optional<net::IpAddress> ipv4_address;
  friend bool operator==(const NodeConfig&, const NodeConfig&) = default;
};

struct Grant {
  net::IpAddress address;
  std::string pool;
  friend bool operator==(const Grant&, const Grant&) = default;
};

struct AllocationInput {
  std::string key;  // "NAMESPACE/NAME"
  uint64_t generation = 0;
  std::vector<Grant> grants;
  Labels labels;
  friend bool operator==(const AllocationInput&, const AllocationInput&) = default;
};

// Which addresses of a Service this node's datapath can carry now.
struct DatapathInput {
  std::string key;
  std::set<net::IpAddress> addresses;
  std::string message;  // what the datapath says of the Service
  friend bool operator==(const DatapathInput&, const DatapathInput&) = default;
};

}  // namespace portolan::bgp
