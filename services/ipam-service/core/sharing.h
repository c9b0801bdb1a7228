// Several Services on one address: who may join whom, and which addresses a sharing key has.
//
// Two Services agree when their keys are equal, no port and protocol is used twice, the traffic
// policy is the same, under Local the backends are the same (or both say that they may differ), and
// each lets the other's namespace in. Pure; single-threaded.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "services/base/net/ip_address.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

inline constexpr size_t kMaxSharingKey = 253;

// Whether it has a sharing key that can be used.
bool Shares(const ServiceRequest& service);

// "NAMESPACE" of "NAMESPACE/NAME".
absl::string_view NamespaceOf(absl::string_view service_key);

// Why the two cannot be on one address, as reason and half a sentence about `other`; nothing: they
// can.
struct Disagreement {
  std::string reason;   // "address-held", "sharing-port-clash", ...
  std::string message;  // "it is held by Service b/dns, which also has TCP port 53"
};
std::optional<Disagreement> WhyNotTogether(const ServiceRequest& service,
                                           const ServiceRequest& other);

// The addresses on which somebody with a sharing key is.
class SharingIndex {
 public:
  void Add(const ServiceRequest& service, const net::IpAddress& address);
  void Remove(const ServiceRequest& service, const net::IpAddress& address);
  // Lowest first.
  std::vector<net::IpAddress> AddressesOf(const std::string& key, net::Family family) const;

 private:
  // How many Services; never 0.
  absl::btree_map<std::pair<std::string, net::IpAddress>, int> members_;
};

}  // namespace portolan::ipam
