#include "services/base/net/prefix.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::net {
namespace {

// All host bits of a prefix of `length`.
absl::uint128 HostMask(Family family, int length) {
  const int host_bits = FamilyBits(family) - length;
  if (host_bits == 0) return 0;
  if (host_bits == 128) return absl::Uint128Max();
  return (absl::uint128(1) << host_bits) - 1;
}

}  // namespace

absl::StatusOr<Prefix> Prefix::Parse(absl::string_view text) {
  const size_t slash = text.find('/');
  if (slash == absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text.substr(0, 64), "\" has no prefix length; write ADDRESS/LENGTH"));
  }
  ASSIGN_OR_RETURN(const IpAddress address, IpAddress::Parse(text.substr(0, slash)));
  const absl::string_view length_text = text.substr(slash + 1);
  int length = -1;
  if (length_text.empty() || length_text.size() > 3 ||
      length_text.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(length_text, &length) || length > FamilyBits(address.family())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text.substr(0, 64), "\": the length must be 0 to ", FamilyBits(address.family())));
  }
  const Prefix prefix = Of(address, length);
  if (prefix.first_ != address) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" has host bits set; write ", prefix.ToString()));
  }
  return prefix;
}

Prefix Prefix::Of(const IpAddress& address, int length) {
  Prefix prefix;
  prefix.length_ = length;
  prefix.first_ =
      IpAddress::FromValue(address.family(), address.value() & ~HostMask(address.family(), length));
  return prefix;
}

IpAddress Prefix::last() const {
  return IpAddress::FromValue(family(), first_.value() | HostMask(family(), length_));
}

bool Prefix::Contains(const IpAddress& address) const {
  return address.family() == family() && first_ <= address && address <= last();
}

bool Prefix::Contains(const Prefix& other) const {
  return other.length_ >= length_ && Contains(other.first_);
}

std::string Prefix::ToString() const { return absl::StrCat(first_.ToString(), "/", length_); }

absl::StatusOr<Range> Range::Of(const IpAddress& first, const IpAddress& last) {
  if (first.family() != last.family()) {
    return absl::InvalidArgumentError(absl::StrCat("first ", first.ToString(), " and last ",
                                                   last.ToString(),
                                                   " are of different address families"));
  }
  if (last < first) {
    return absl::InvalidArgumentError(absl::StrCat("first ", first.ToString(), " is above last ",
                                                   last.ToString(), "; swap them"));
  }
  return Range(first, last);
}

Range Range::Of(const Prefix& prefix) { return Range(prefix.first(), prefix.last()); }

bool Range::Contains(const IpAddress& address) const {
  return address.family() == family() && first_ <= address && address <= last_;
}

bool Range::Overlaps(const Range& other) const {
  return other.family() == family() && first_ <= other.last_ && other.first_ <= last_;
}

std::string Range::ToString() const {
  return absl::StrCat(first_.ToString(), "-", last_.ToString());
}

}  // namespace portolan::net
