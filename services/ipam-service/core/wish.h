// What a ServiceRequest asks for, as a list of slots that each take one address, and what in it
// nobody can answer. Pure functions and value types.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "services/base/net/ip_address.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

struct Slot {
  net::Family family = net::Family::kIpv4;
  std::optional<net::IpAddress> address;  // exactly this one; nothing: any of the family
  bool required = true;                   // false: PreferDualStack, where any one family is enough
  std::optional<net::IpAddress> filled;
  bool stranded = false;  // `filled` is not legal any more
};

struct Wish {
  // Requested addresses in their order, else one slot per family, primary first.
  absl::InlinedVector<Slot, 2> slots;
  // Parts of the request that no address can answer. They need an edit.
  std::vector<Finding> bad;
  // An address could not be read: what is held stays, since nobody knows what was meant.
  bool unreadable = false;

  // Filled while the wish is compared with what is held.
  // Legal addresses that no slot asks for; they go when what is asked for is there.
  absl::InlinedVector<net::IpAddress, 1> leftovers;
  // Addresses in slots that are kept although they are not legal any more, and why not.
  std::vector<Finding> stranded;
};

// More requested addresses than this are refused as a whole.
inline constexpr size_t kMaxRequestedAddresses = 64;

// Families: SingleStack takes the first of the list, or `default_family` without one;
// PreferDualStack takes the list, or both without one, and is content with any one of them;
// RequireDualStack takes both, the first of the list leading. Each family has addresses_per_family
// slots. Requested addresses replace all that.
Wish WishOf(const ServiceRequest& request, net::Family default_family);

}  // namespace portolan::ipam
