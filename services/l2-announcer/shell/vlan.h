// An interface that is a VLAN of another one, as the kernel has it (IEEE 802.1Q; rtnetlink, RFC
// 3549). Neither its identifier nor the interface below ever changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"

namespace portolan::l2 {

struct Vlan {
  std::string below;  // the interface that its frames pass tagged
  uint32_t below_ifindex = 0;
  uint16_t id = 0;  // 1 to 4094

  friend bool operator==(const Vlan&, const Vlan&) = default;
};

// Asks the kernel. Nothing: it is none, or one of a service provider's tags (802.1ad), or the
// interface below is not of this network namespace.
std::optional<Vlan> ReadVlan(uint32_t ifindex);

// What a RTM_NEWLINK message says, but for the name.
std::optional<Vlan> VlanIn(absl::Span<const std::byte> message);

}  // namespace portolan::l2
