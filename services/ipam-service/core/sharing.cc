#include "services/ipam-service/core/sharing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::ipam {
namespace {

std::string NameOf(const Port& port) {
  switch (port.protocol) {
    case 6:
      return absl::StrCat("TCP port ", port.number);
    case 17:
      return absl::StrCat("UDP port ", port.number);
    case 132:
      return absl::StrCat("SCTP port ", port.number);
    default:
      return absl::StrCat("port ", port.number, " of protocol ", port.protocol);
  }
}

bool LetsIn(const SharingTerms& terms, absl::string_view service_namespace) {
  return std::any_of(terms.namespaces.begin(), terms.namespaces.end(),
                     [&](const std::string& name) {
                       return name == "*" || absl::string_view(name) == service_namespace;
                     });
}

const char* NameOf(TrafficPolicy policy) {
  return policy == TrafficPolicy::kLocal ? "Local" : "Cluster";
}

std::optional<Disagreement> AboutNamespaces(const ServiceRequest& service,
                                            const ServiceRequest& other) {
  const absl::string_view mine = NamespaceOf(service.key), theirs = NamespaceOf(other.key);
  if (mine == theirs) return std::nullopt;
  if (!LetsIn(*other.sharing, mine)) {
    return Disagreement{"sharing-namespace", absl::StrCat("which does not share with namespace \"",
                                                          mine, "\" (its sharing namespaces)")};
  }
  if (!LetsIn(*service.sharing, theirs)) {
    return Disagreement{"sharing-namespace", absl::StrCat("of namespace \"", theirs,
                                                          "\", which is not among the sharing "
                                                          "namespaces of this Service")};
  }
  return std::nullopt;
}

std::optional<Disagreement> AboutTraffic(const SharingTerms& mine, const SharingTerms& theirs) {
  if (mine.traffic_policy != theirs.traffic_policy) {
    return Disagreement{"sharing-traffic-policy",
                        absl::StrCat("whose traffic policy is ", NameOf(theirs.traffic_policy),
                                     ", not ", NameOf(mine.traffic_policy))};
  }
  if (mine.traffic_policy == TrafficPolicy::kCluster) return std::nullopt;
  if (mine.different_backends && theirs.different_backends) return std::nullopt;
  // An empty selector says nothing about the backends, so two of them may differ.
  if (mine.backend_selector == theirs.backend_selector && !mine.backend_selector.empty()) {
    return std::nullopt;
  }
  return Disagreement{"sharing-backends",
                      "which under traffic policy Local has other backends (backend selector)"};
}

}  // namespace

bool Shares(const ServiceRequest& service) {
  return service.sharing.has_value() && service.sharing->key.size() <= kMaxSharingKey;
}

absl::string_view NamespaceOf(absl::string_view service_key) {
  return service_key.substr(0, service_key.find('/'));
}

std::optional<Disagreement> WhyNotTogether(const ServiceRequest& service,
                                           const ServiceRequest& other) {
  const std::string held = absl::StrCat("it is held by Service ", other.key);
  if (!Shares(service) || !Shares(other) || service.sharing->key != other.sharing->key) {
    const bool wants = Shares(service);
    return Disagreement{"address-held",
                        absl::StrCat(held, wants ? ", whose sharing key is not \"" : "",
                                     wants ? service.sharing->key : "", wants ? "\"" : "")};
  }
  std::optional<Disagreement> found = AboutNamespaces(service, other);
  if (!found.has_value()) found = AboutTraffic(*service.sharing, *other.sharing);
  if (!found.has_value()) {
    std::vector<Port> both;
    std::set_intersection(service.sharing->ports.begin(), service.sharing->ports.end(),
                          other.sharing->ports.begin(), other.sharing->ports.end(),
                          std::back_inserter(both));
    if (!both.empty()) {
      found = Disagreement{"sharing-port-clash", absl::StrCat("which also has ", NameOf(both[0]))};
    }
  }
  if (found.has_value()) found->message = absl::StrCat(held, ", ", found->message);
  return found;
}

void SharingIndex::Add(const ServiceRequest& service, const net::IpAddress& address) {
  if (Shares(service)) ++members_[{service.sharing->key, address}];
}

void SharingIndex::Remove(const ServiceRequest& service, const net::IpAddress& address) {
  if (!Shares(service)) return;
  auto it = members_.find({service.sharing->key, address});
  if (it != members_.end() && --it->second == 0) members_.erase(it);
}

std::vector<net::IpAddress> SharingIndex::AddressesOf(const std::string& key,
                                                      net::Family family) const {
  std::vector<net::IpAddress> addresses;
  for (auto it = members_.lower_bound({key, net::IpAddress::FromValue(family, 0)});
       it != members_.end() && it->first.first == key && it->first.second.family() == family;
       ++it) {
    addresses.push_back(it->first.second);
  }
  return addresses;
}

}  // namespace portolan::ipam
