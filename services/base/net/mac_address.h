// A 48-bit Ethernet address (IEEE 802 EUI-48). A regular value type.
// Octets stand in transmission order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace portolan::net {

struct MacAddress {
  std::array<uint8_t, 6> octets{};

  // "02:00:00:00:00:01", upper or lower case.
  static absl::StatusOr<MacAddress> Parse(absl::string_view text);
  static constexpr MacAddress Broadcast() { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
  bool IsMulticast() const { return (octets[0] & 1) != 0; }
  std::string ToString() const;

  friend bool operator==(const MacAddress&, const MacAddress&) = default;
  friend auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

}  // namespace portolan::net
