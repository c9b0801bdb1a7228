// The BGP-4 message codec: octets in, value types out, and back (RFC 4271 section 4).
//
// Pure functions over value types; nothing is owned, nothing is remembered between calls. What a
// peer may get wrong is answered with a ProtocolError, which holds the NOTIFICATION that RFC 4271
// section 6 asks for and a sentence for people. Decoding never crashes and never reads outside
// its input, whatever the octets are (message_fuzz.cc).
//
// We only export, so a received UPDATE is checked as strictly as by a full speaker and then
// summed up, not kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/types/span.h"
#include "services/base/net/ip_address.h"
#include "services/bgp-exporter/core/bytes.h"

namespace portolan::bgp {

inline constexpr size_t kHeaderSize = 19;
inline constexpr size_t kMaxMessageSize = 4096;
inline constexpr uint32_t kAsTrans = 23456;  // RFC 6793 section 9

enum class MessageType : uint8_t {
  kOpen = 1,
  kUpdate = 2,
  kNotification = 3,
  kKeepalive = 4,
  kRouteRefresh = 5,  // RFC 2918
};

// Error codes, RFC 4271 section 4.5, RFC 7313 section 5, RFC 9687 section 3.
inline constexpr uint8_t kHeaderError = 1;
inline constexpr uint8_t kOpenError = 2;
inline constexpr uint8_t kUpdateError = 3;
inline constexpr uint8_t kHoldTimerExpired = 4;
inline constexpr uint8_t kFsmError = 5;
inline constexpr uint8_t kCease = 6;
inline constexpr uint8_t kRouteRefreshError = 7;
inline constexpr uint8_t kSendHoldTimerExpired = 8;

// Subcodes of kOpenError.
inline constexpr uint8_t kUnsupportedVersion = 1;
inline constexpr uint8_t kBadPeerAs = 2;
inline constexpr uint8_t kBadIdentifier = 3;
inline constexpr uint8_t kUnacceptableHoldTime = 6;

// Subcodes of kCease, RFC 4486.
inline constexpr uint8_t kAdministrativeShutdown = 2;
inline constexpr uint8_t kPeerDeconfigured = 3;
inline constexpr uint8_t kAdministrativeReset = 4;
inline constexpr uint8_t kConnectionRejected = 5;
inline constexpr uint8_t kConfigurationChange = 6;
inline constexpr uint8_t kConnectionCollision = 7;

struct Notification {
  uint8_t code = 0;
  uint8_t subcode = 0;
  std::string data;
  friend bool operator==(const Notification&, const Notification&) = default;
};

// "6/2 Cease, Administrative Shutdown". A shutdown text (RFC 9003) follows in quotes with
// everything unprintable escaped: it comes from the network.
std::string Describe(const Notification& notification);

// A text for the peer's operator has this many octets at most (RFC 9003 section 2).
inline constexpr size_t kMaxCeaseText = 255;

// A Cease that carries `text` (RFC 9003 section 2), cut at kMaxCeaseText octets.
Notification CeaseWithText(uint8_t subcode, absl::string_view text);

// What is wrong with received octets.
struct ProtocolError {
  Notification notification;
  std::string text;  // "message length 18 is below 19"
};

template <typename T>
using Decoded = std::variant<T, ProtocolError>;

// RFC 4724 section 3.
struct GracefulRestart {
  struct FamilyState {
    net::Family family = net::Family::kIpv4;
    bool forwarding_kept = false;  // F bit
    friend bool operator==(const FamilyState&, const FamilyState&) = default;
  };
  bool restarting = false;      // R bit
  uint16_t restart_time_s = 0;  // 0..4095
  std::vector<FamilyState> families;
  friend bool operator==(const GracefulRestart&, const GracefulRestart&) = default;
};

// OPEN with the capabilities that we know; others are ignored (RFC 5492 section 4).
struct Open {
  uint32_t as_number = 0;  // of the 4-octet capability when present
  uint16_t hold_time_s = 0;
  uint32_t router_id = 0;
  // Unicast families of the multiprotocol capability (RFC 4760). Absent: the peer sent none,
  // which means IPv4 unicast alone.
  std::optional<std::vector<net::Family>> families;
  bool four_octet_as = false;       // RFC 6793
  bool route_refresh = false;       // RFC 2918
  bool ipv4_over_ipv6_hop = false;  // RFC 8950, IPv4 unicast
  std::optional<GracefulRestart> graceful_restart;
  friend bool operator==(const Open&, const Open&) = default;
};

struct Keepalive {
  friend bool operator==(const Keepalive&, const Keepalive&) = default;
};

struct RouteRefresh {
  uint16_t afi = 0;
  uint8_t subtype = 0;  // RFC 7313; only 0 is a request
  uint8_t safi = 0;
  friend bool operator==(const RouteRefresh&, const RouteRefresh&) = default;
};

// The sum of a received UPDATE.
struct Update {
  size_t announced = 0;  // prefixes of both unicast families
  size_t withdrawn = 0;
  std::optional<net::Family> end_of_rib;  // RFC 4724 section 2
  // Not empty: an attribute is malformed, all prefixes count as withdrawn (RFC 7606 section 2).
  std::string treat_as_withdraw;
  friend bool operator==(const Update&, const Update&) = default;
};

using Message = std::variant<Open, Update, Notification, Keepalive, RouteRefresh>;

// One whole message at the start of a receive buffer. `body` points into that buffer.
struct Frame {
  MessageType type = MessageType::kKeepalive;
  Octets body;      // without the header
  size_t size = 0;  // with the header
};

// Nothing: more octets are needed. Checks the header, RFC 4271 section 6.1.
std::optional<Decoded<Frame>> NextFrame(Octets buffer);

// `four_octet_as` (both sides have the capability) says how AS_PATH is written.
Decoded<Message> Decode(const Frame& frame, bool four_octet_as);
Decoded<Open> DecodeOpen(Octets body);
Decoded<Update> DecodeUpdate(Octets body, bool four_octet_as);

std::string EncodeOpen(const Open& open);
std::string EncodeKeepalive();
std::string EncodeNotification(const Notification& notification);
std::string EncodeRouteRefresh(const RouteRefresh& refresh);

// Header and body, for the other encoders. The body must leave the message at 4,096 at most.
std::string WithHeader(MessageType type, absl::string_view body);

// AFI of a unicast family and back (RFC 4760); SAFI is always 1.
uint16_t AfiOf(net::Family family);
std::optional<net::Family> UnicastFamily(uint16_t afi, uint8_t safi);

}  // namespace portolan::bgp
