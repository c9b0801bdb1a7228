// One IPv4 or IPv6 address. A regular value type: ordered by family, then by value; hashable.
// Text forms are those of RFC 4291 (read) and RFC 5952 (written).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace portolan::net {

enum class Family : uint8_t { kIpv4 = 4, kIpv6 = 6 };

// "ipv4" or "ipv6".
absl::string_view FamilyName(Family family);
// 32 or 128.
constexpr int FamilyBits(Family family) { return family == Family::kIpv4 ? 32 : 128; }

class IpAddress {
 public:
  // 0.0.0.0
  constexpr IpAddress() = default;

  // Strict text form: dotted quad without leading zeros, or RFC 4291; no zone, no port, no spaces.
  static absl::StatusOr<IpAddress> Parse(absl::string_view text);
  // 4 or 16 octets in network order.
  static absl::StatusOr<IpAddress> FromBytes(absl::Span<const uint8_t> bytes);
  // Value in host order; an IPv4 value must be below 2^32.
  static constexpr IpAddress FromValue(Family family, absl::uint128 value) {
    IpAddress address;
    address.high_ = absl::Uint128High64(value);
    address.low_ = absl::Uint128Low64(value);
    address.family_ = family;
    return address;
  }

  constexpr Family family() const { return family_; }
  constexpr bool is_ipv4() const { return family_ == Family::kIpv4; }
  constexpr bool is_ipv6() const { return family_ == Family::kIpv6; }
  // Host order; IPv4 in the low 32 bits.
  constexpr absl::uint128 value() const { return absl::MakeUint128(high_, low_); }
  // 4 or 16 octets in network order.
  std::string ToBytes() const;
  // Canonical text, RFC 5952.
  std::string ToString() const;

  bool IsMulticast() const;
  bool IsUnspecified() const { return value() == 0; }
  bool IsLoopback() const;
  bool IsLinkLocal() const;  // 169.254/16, fe80::/10

  // The next address of the family, or nothing after the last one.
  std::optional<IpAddress> Next() const;
  std::optional<IpAddress> Previous() const;

  friend constexpr bool operator==(const IpAddress& a, const IpAddress& b) {
    return a.family_ == b.family_ && a.high_ == b.high_ && a.low_ == b.low_;
  }
  friend constexpr std::strong_ordering operator<=>(const IpAddress& a, const IpAddress& b) {
    if (a.family_ != b.family_) return a.family_ <=> b.family_;
    if (a.high_ != b.high_) return a.high_ <=> b.high_;
    return a.low_ <=> b.low_;
  }
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine(std::move(h), static_cast<int>(a.family_), a.high_, a.low_);
  }

 private:
  // Two words, not one of 16 bytes: its alignment would cost every table of addresses a third more.
  uint64_t high_ = 0;
  uint64_t low_ = 0;
  Family family_ = Family::kIpv4;
};

}  // namespace portolan::net
