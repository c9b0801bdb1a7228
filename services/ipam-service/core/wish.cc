#include "services/ipam-service/core/wish.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/sharing.h"
#include "services/ipam-service/core/shown.h"

namespace portolan::ipam {
namespace {

net::Family Other(net::Family family) {
  return family == net::Family::kIpv4 ? net::Family::kIpv6 : net::Family::kIpv4;
}

bool HasFamily(const Wish& wish, net::Family family) {
  return std::any_of(wish.slots.begin(), wish.slots.end(),
                     [family](const Slot& slot) { return slot.family == family; });
}

void AddAddress(const ServiceRequest& request, size_t index, Wish& wish) {
  const std::string& text = request.requested_addresses[index];
  const std::string field = absl::StrCat("requested-address \"", Shown(text), "\"");
  absl::StatusOr<net::IpAddress> address = net::IpAddress::Parse(text);
  if (!address.ok()) {
    wish.unreadable = true;
    wish.bad.push_back({absl::StrCat("address/", Shown(text)), "unparsable-address",
                        absl::StrCat(field, " is not an IP address")});
    return;
  }
  if (!request.families.empty() && std::find(request.families.begin(), request.families.end(),
                                             address->family()) == request.families.end()) {
    wish.bad.push_back({absl::StrCat("address/", address->ToString()), "family-mismatch",
                        absl::StrCat(field, " is an ", net::FamilyName(address->family()),
                                     " address, which \"family\" of the Service does not list")});
    return;
  }
  const bool again = std::any_of(wish.slots.begin(), wish.slots.end(),
                                 [&](const Slot& slot) { return slot.address == *address; });
  if (!again) wish.slots.push_back({.family = address->family(), .address = *address});
}

Wish AddressWish(const ServiceRequest& request) {
  Wish wish;
  if (request.requested_addresses.size() > kMaxRequestedAddresses) {
    wish.unreadable = true;
    wish.bad.push_back(
        {"requested-address", "too-many-addresses",
         absl::StrCat(request.requested_addresses.size(), " addresses are requested; at most ",
                      kMaxRequestedAddresses, " are possible")});
    return wish;
  }
  for (size_t i = 0; i < request.requested_addresses.size(); ++i) AddAddress(request, i, wish);
  if (request.family_policy != FamilyPolicy::kRequireDualStack || wish.unreadable) return wish;
  for (net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    if (HasFamily(wish, family)) continue;
    wish.bad.push_back({absl::StrCat("family/", net::FamilyName(family)), "family-missing",
                        absl::StrCat("family-policy is RequireDualStack, but no ",
                                     net::FamilyName(family), " address is requested")});
  }
  return wish;
}

void CheckSharing(const ServiceRequest& request, Wish& wish) {
  if (!request.sharing.has_value() || request.sharing->key.size() <= kMaxSharingKey) return;
  wish.bad.push_back({"sharing", "sharing-key-too-long",
                      absl::StrCat("the sharing key \"", Shown(request.sharing->key), "\" has ",
                                   request.sharing->key.size(), " octets; at most ", kMaxSharingKey,
                                   " are possible, so the Service shares with nobody")});
}

}  // namespace

Wish WishOf(const ServiceRequest& request, net::Family default_family) {
  if (!request.requested_addresses.empty()) {
    Wish wish = AddressWish(request);
    CheckSharing(request, wish);
    return wish;
  }
  Wish wish;
  const std::vector<net::Family>& listed = request.families;
  const net::Family first = listed.empty() ? default_family : listed.front();
  const bool prefers = request.family_policy == FamilyPolicy::kPreferDualStack;
  const bool lists_other = std::find(listed.begin(), listed.end(), Other(first)) != listed.end();
  const bool both = request.family_policy == FamilyPolicy::kRequireDualStack ||
                    (prefers && (lists_other || listed.empty()));
  for (net::Family family : {first, Other(first)}) {
    if (family != first && !both) continue;
    for (int i = 0; i < request.addresses_per_family; ++i) {
      wish.slots.push_back({.family = family, .required = !prefers});
    }
  }
  CheckSharing(request, wish);
  return wish;
}

}  // namespace portolan::ipam
