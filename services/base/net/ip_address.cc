#include "services/base/net/ip_address.h"

#include <arpa/inet.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace portolan::net {
namespace {

absl::uint128 LoadBigEndian(const uint8_t* bytes, size_t size) {
  absl::uint128 value = 0;
  for (size_t i = 0; i < size; ++i) value = (value << 8) | bytes[i];
  return value;
}

}  // namespace

absl::string_view FamilyName(Family family) { return family == Family::kIpv4 ? "ipv4" : "ipv6"; }

absl::StatusOr<IpAddress> IpAddress::Parse(absl::string_view text) {
  uint8_t bytes[16];
  const std::string terminated(text);
  if (text.find('\0') == absl::string_view::npos) {
    if (inet_pton(AF_INET, terminated.c_str(), bytes) == 1) return FromBytes({bytes, 4});
    if (inet_pton(AF_INET6, terminated.c_str(), bytes) == 1) return FromBytes({bytes, 16});
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text.substr(0, 64), "\" is not an IPv4 or IPv6 address"));
}

absl::StatusOr<IpAddress> IpAddress::FromBytes(absl::Span<const uint8_t> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) {
    return absl::InvalidArgumentError(
        absl::StrCat("an address has 4 or 16 octets, not ", bytes.size()));
  }
  return FromValue(bytes.size() == 4 ? Family::kIpv4 : Family::kIpv6,
                   LoadBigEndian(bytes.data(), bytes.size()));
}

std::string IpAddress::ToBytes() const {
  const size_t size = FamilyBits(family_) / 8;
  std::string bytes(size, '\0');
  absl::uint128 rest = value();
  for (size_t i = size; i-- > 0; rest >>= 8) {
    bytes[i] = static_cast<char>(absl::Uint128Low64(rest) & 0xff);
  }
  return bytes;
}

std::string IpAddress::ToString() const {
  if (is_ipv4()) {  // ten times as fast as inet_ntop(), and often called
    return absl::StrCat(low_ >> 24, ".", low_ >> 16 & 0xff, ".", low_ >> 8 & 0xff, ".",
                        low_ & 0xff);
  }
  char text[INET6_ADDRSTRLEN];
  const std::string bytes = ToBytes();
  inet_ntop(AF_INET6, bytes.data(), text, sizeof(text));
  return text;
}

bool IpAddress::IsMulticast() const {
  return is_ipv4() ? (value() >> 28) == 0xe : (value() >> 120) == 0xff;
}

bool IpAddress::IsLoopback() const { return is_ipv4() ? (value() >> 24) == 127 : value() == 1; }

bool IpAddress::IsLinkLocal() const {
  return is_ipv4() ? (value() >> 16) == 0xa9fe : (value() >> 118) == 0x3fa;
}

std::optional<IpAddress> IpAddress::Next() const {
  const absl::uint128 last = is_ipv4() ? absl::uint128(UINT32_MAX) : absl::Uint128Max();
  if (value() == last) return std::nullopt;
  return FromValue(family_, value() + 1);
}

std::optional<IpAddress> IpAddress::Previous() const {
  if (value() == 0) return std::nullopt;
  return FromValue(family_, value() - 1);
}

}  // namespace portolan::net
