// A CIDR prefix (RFC 4632) and an inclusive address range. Regular value types, one family each.
// Invariants: a prefix has no host bits; the first address of a range is not above its last.
#pragma once

#include <compare>
#include <string>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/base/net/ip_address.h"

namespace portolan::net {

class Prefix {
 public:
  // 0.0.0.0/0
  constexpr Prefix() = default;

  // "20.0.10.0/24". Host bits, a missing or oversized length are errors that name the remedy.
  static absl::StatusOr<Prefix> Parse(absl::string_view text);
  // Masks host bits off. `length` must be in [0, FamilyBits].
  static Prefix Of(const IpAddress& address, int length);
  // /32 or /128.
  static Prefix Host(const IpAddress& address) { return Of(address, FamilyBits(address.family())); }

  const IpAddress& first() const { return first_; }
  IpAddress last() const;
  int length() const { return length_; }
  Family family() const { return first_.family(); }
  bool Contains(const IpAddress& address) const;
  bool Contains(const Prefix& other) const;
  std::string ToString() const;

  friend bool operator==(const Prefix&, const Prefix&) = default;
  friend std::strong_ordering operator<=>(const Prefix&, const Prefix&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Prefix& p) {
    return H::combine(std::move(h), p.first_, p.length_);
  }

 private:
  IpAddress first_;
  int length_ = 0;
};

class Range {
 public:
  // INVALID_ARGUMENT when the families differ or `first` is above `last`.
  static absl::StatusOr<Range> Of(const IpAddress& first, const IpAddress& last);
  static Range Of(const Prefix& prefix);

  const IpAddress& first() const { return first_; }
  const IpAddress& last() const { return last_; }
  Family family() const { return first_.family(); }
  bool Contains(const IpAddress& address) const;
  bool Overlaps(const Range& other) const;
  // Number of addresses minus one: the whole IPv6 space does not overflow.
  absl::uint128 SizeMinusOne() const { return last_.value() - first_.value(); }
  // "20.0.10.0-20.0.10.255"
  std::string ToString() const;

  friend bool operator==(const Range&, const Range&) = default;
  friend std::strong_ordering operator<=>(const Range&, const Range&) = default;

 private:
  Range(const IpAddress& first, const IpAddress& last) : first_(first), last_(last) {}
  IpAddress first_;
  IpAddress last_;
};

}  // namespace portolan::net
