// The Ethernet frames that the announcer sends and hears, as values, and their codec.
//
//   ARP                        RFC 826, RFC 5227    ethertype 0x0806
//   Neighbour Solicitation     RFC 4861 4.3         ethertype 0x86dd, ICMPv6 135
//   Neighbour Advertisement    RFC 4861 4.4         ethertype 0x86dd, ICMPv6 136
//   Heartbeat                  below                ethertype 0x88b5 (IEEE 802 local experimental)
//
// Heartbeat, all numbers in network order, after the 14 octets of Ethernet header; always sent to
// the broadcast address, so that it shares the fate of the ARP requests that it speaks for:
//
//    0  4  magic "PTLN": others experiment under this ethertype, too
//    4  1  version, 1; a receiver ignores versions that it does not know
//    5  1  flags of the sender: 1 ready, 2 fit, 4 leaving
//    6  1  length n of the node name, 1..253
//    7  1  number h of entries in the heard list, 0..128
//    8  8  life: random, new with every start of the process
//   16  4  heartbeat interval, ms
//   20  4  dead interval, ms: silent for longer, the sender no longer answers for any address
//   24  n  node name
//   ..  9h heard list: life (8), flags (1) of every node that the sender counts as alive
//   ..     octets after that are ignored: Ethernet padding, or a later minor addition
//
// Pure functions, any thread. Decode() never reads past its argument and refuses what it cannot
// fully vouch for (INVALID_ARGUMENT names the field).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/mac_address.h"

namespace portolan::l2 {

inline constexpr uint16_t kHeartbeatEtherType = 0x88b5;
inline constexpr size_t kMaxHeard = 128;  // the frame stays below 1500 octets
inline constexpr size_t kMaxNodeName = 253;

struct ArpFrame {
  enum class Operation : uint16_t { kRequest = 1, kReply = 2 };
  net::MacAddress destination;
  net::MacAddress source;
  Operation operation = Operation::kRequest;
  net::MacAddress sender_mac;
  net::IpAddress sender_ip;  // 0.0.0.0: a probe (RFC 5227 1.1)
  net::MacAddress target_mac;
  net::IpAddress target_ip;
  friend bool operator==(const ArpFrame&, const ArpFrame&) = default;
};

struct NeighborSolicitation {
  net::MacAddress destination;
  net::MacAddress source;
  net::IpAddress source_ip;  // unspecified: duplicate address detection (RFC 4862 5.4)
  net::IpAddress destination_ip;
  net::IpAddress target;
  std::optional<net::MacAddress> source_link;
  friend bool operator==(const NeighborSolicitation&, const NeighborSolicitation&) = default;
};

struct NeighborAdvertisement {
  net::MacAddress destination;
  net::MacAddress source;
  net::IpAddress source_ip;
  net::IpAddress destination_ip;
  net::IpAddress target;
  bool router = false;
  bool solicited = false;
  bool overrides = false;
  std::optional<net::MacAddress> target_link;
  friend bool operator==(const NeighborAdvertisement&, const NeighborAdvertisement&) = default;
};

// What a node says of itself, or another node has heard it say.
struct Standing {
  bool ready = false;  // may own addresses
  bool fit = false;    // its datapath carries every address that it could own
  friend bool operator==(const Standing&, const Standing&) = default;
};

struct HeardNode {
  uint64_t life = 0;
  Standing standing;
  friend bool operator==(const HeardNode&, const HeardNode&) = default;
};

struct Heartbeat {
  net::MacAddress destination = net::MacAddress::Broadcast();
  net::MacAddress source;
  std::string node;
  uint64_t life = 0;
  uint32_t interval_ms = 0;
  uint32_t dead_interval_ms = 0;
  Standing standing;
  bool leaving = false;  // stops now and owns nothing any more
  std::vector<HeardNode> heard;
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

using Frame = std::variant<ArpFrame, NeighborSolicitation, NeighborAdvertisement, Heartbeat>;

// `octets` begin with the destination address and have no frame check sequence.
absl::StatusOr<Frame> Decode(absl::Span<const uint8_t> octets);
// At least 60 octets, as Ethernet wants.
std::vector<uint8_t> Encode(const Frame& frame);

// ff02::1:ffXX:XXXX of an IPv6 address (RFC 4291 2.7.1).
net::IpAddress SolicitedNodeGroup(const net::IpAddress& address);
// 33:33:XX:XX:XX:XX of an IPv6 multicast address (RFC 2464 7).
net::MacAddress MulticastMac(const net::IpAddress& group);
// ff02::1
net::IpAddress AllNodesGroup();

}  // namespace portolan::l2
