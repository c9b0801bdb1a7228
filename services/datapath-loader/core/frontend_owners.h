// Which service a frontend (address, protocol, port) belongs to, when several claim it.
//
// Services may share an address as long as their ports differ; ipam-service sees to that. Should
// two claim one frontend all the same, the one that has it keeps it; of those that come together
// (at the start) the one that has held the address longest gets it, ties by key. A claim that only
// lingers yields to any that does not.
//
// Pure; owned by the engine; one thread. O(log n) for each frontend whose claim changes.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "services/datapath-loader/core/types.h"

namespace portolan::datapath {

struct Claim {
  bool lingering = false;     // the service has lost the address and carries it for a while
  int64_t since_unix_ms = 0;  // that it has held the address
  friend bool operator==(const Claim&, const Claim&) = default;
};
using Claims = std::map<FrontendKey, Claim>;

class FrontendOwners {
 public:
  // All that the service claims; replaces what it claimed before. Returns whom it concerns: the
  // claimers of every frontend that has another owner now, and the owner before.
  std::set<std::string> SetClaims(const std::string& service, Claims claims);
  // Until then nobody owns anything, so that it does not matter who claims first. Returns everybody
  // who claims.
  std::set<std::string> Begin();

  // Null: nobody.
  const std::string* OwnerOf(const FrontendKey& frontend) const;
  // The service claims a frontend with this address.
  bool ClaimsOn(const std::string& service, const net::IpAddress& address) const;

 private:
  void Settle(const FrontendKey& frontend, std::set<std::string>& concerned);

  bool begun_ = false;
  std::map<std::string, Claims> by_service_;
  std::map<FrontendKey, std::map<std::string, Claim>> claims_;  // by service, never empty
  std::map<FrontendKey, std::string> owners_;
};

}  // namespace portolan::datapath
