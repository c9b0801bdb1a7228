// UPDATEs that we send, packed: as many prefixes a message as 4,096 octets hold.
//
// Pure. IPv4 prefixes travel in the NLRI field with NEXT_HOP (or, with an IPv6 next hop, in
// MP_REACH_NLRI, RFC 8950), IPv6 ones in MP_REACH_NLRI, which stands first (RFC 7606 section 5.1).
// The octets depend only on the arguments, so peers that share them can share the octets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"

namespace portolan::bgp {

// A path holds at most this many communities, so that an UPDATE always has room for prefixes.
inline constexpr size_t kMaxCommunities = 256;

// What is the same for all routes of a session.
struct SessionEncoding {
  bool internal = false;  // iBGP: empty AS_PATH, LOCAL_PREF present
  uint32_t local_as = 0;
  bool four_octet_as = false;  // agreed by both sides
  friend bool operator==(const SessionEncoding&, const SessionEncoding&) = default;
};

struct RouteAttributes {
  net::IpAddress next_hop;
  std::vector<uint32_t> communities;  // sorted, unique, at most kMaxCommunities
  uint32_t local_preference = 100;    // goes to internal peers only
  friend bool operator==(const RouteAttributes&, const RouteAttributes&) = default;
  friend auto operator<=>(const RouteAttributes&, const RouteAttributes&) = default;
};

// Appends whole messages to `out`. The prefixes are of one family.
void AppendAnnouncement(const SessionEncoding& encoding, const RouteAttributes& attributes,
                        absl::Span<const net::Prefix> prefixes, std::string& out);
void AppendWithdrawal(absl::Span<const net::Prefix> prefixes, std::string& out);
// RFC 4724 section 2.
void AppendEndOfRib(net::Family family, std::string& out);

}  // namespace portolan::bgp
