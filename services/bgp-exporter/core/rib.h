// From allocations and advertisements to what each peer is told.
//
// Rules: an advertisement selects an address (labels, pool, peer), the datapath gate lets it
// through; what several advertisements say of one address is joined: all communities, the highest
// local preference. AdjRibOut (RFC 4271 section 3.2) remembers what one peer was told and yields
// the difference. Pure value types, owned by the engine; not thread-safe.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/base/net/prefix.h"
#include "services/bgp-exporter/core/config.h"
#include "services/bgp-exporter/core/update.h"

namespace portolan::bgp {

// A route without its next hop, which depends on the session.
struct Wanted {
  std::vector<uint32_t> communities;  // sorted, unique, at most kMaxCommunities
  uint32_t local_preference = 0;
  friend bool operator==(const Wanted&, const Wanted&) = default;
};

// Makes it the last resort before it is withdrawn: the community GRACEFUL_SHUTDOWN, which external
// peers honour, and local preference 0 for internal ones (RFC 8326 section 4).
void MarkAsDraining(Wanted& wanted);

// Why an advertisement does not select an address for a peer.
struct Mismatch {
  std::string advertisement;  // key
  std::string reason;         // "selector-mismatch", "pool-mismatch", "peer-mismatch", "rejected"
  std::string message;
};

class Advertisements {
 public:
  void Set(AdvertisementConfig config) { by_key_[config.key()] = std::move(config); }
  void Erase(const std::string& key) { by_key_.erase(key); }

  // Nothing: no advertisement of the peer's instance selects the address. `mismatches` (optional)
  // gets one entry for each that does not.
  std::optional<Wanted> Select(const AllocationInput& allocation, const Grant& grant,
                               const PeerConfig& peer,
                               std::vector<Mismatch>* mismatches = nullptr) const;
  const std::map<std::string, AdvertisementConfig>& all() const { return by_key_; }

 private:
  std::map<std::string, AdvertisementConfig> by_key_;
};

struct SentRoute {
  std::string service;
  RouteAttributes attributes;
  friend bool operator==(const SentRoute&, const SentRoute&) = default;
};

// What changes at one peer.
struct PathDiff {
  std::vector<net::Prefix> withdraw;  // sorted: IPv4 before IPv6
  std::map<net::Prefix, SentRoute> announce;
  bool empty() const { return withdraw.empty() && announce.empty(); }
};

// Packed UPDATEs: withdrawals, then announcements, prefixes with equal attributes together.
std::string EncodeDiff(const SessionEncoding& encoding, const PathDiff& diff);

// Of one session.
class AdjRibOut {
 public:
  using NextHops = std::map<net::Family, net::IpAddress>;

  // All that `service` wants at this peer; replaces what it wanted before. Of two services that
  // want one prefix the first by name has it.
  void SetService(const std::string& service, std::map<net::Prefix, Wanted> routes);

  // The difference to what was sent, for the families that have a next hop; taken as sent.
  // Routes of other families are withdrawn when they were sent.
  PathDiff Diff(const NextHops& next_hops);

  // Next hops have changed: compare everything.
  void MarkAllDirty();

  const std::map<net::Prefix, SentRoute>& sent() const { return sent_; }

 private:
  std::map<net::Prefix, std::map<std::string, Wanted>> wanted_;
  std::map<std::string, std::vector<net::Prefix>> by_service_;
  std::set<net::Prefix> dirty_;
  std::map<net::Prefix, SentRoute> sent_;
};

}  // namespace portolan::bgp
