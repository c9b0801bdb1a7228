#include "services/base/net/mac_address.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace portolan::net {
namespace {

int HexDigit(char c) {
  if (!absl::ascii_isxdigit(c)) return -1;
  return absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10;
}

}  // namespace

absl::StatusOr<MacAddress> MacAddress::Parse(absl::string_view text) {
  MacAddress mac;
  bool good = text.size() == 17;
  for (size_t i = 0; good && i < 6; ++i) {
    const int high = HexDigit(text[3 * i]);
    const int low = HexDigit(text[3 * i + 1]);
    good = high >= 0 && low >= 0 && (i == 5 || text[3 * i + 2] == ':');
    mac.octets[i] = static_cast<uint8_t>(high * 16 + low);
  }
  if (!good) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text.substr(0, 64), "\" is not a MAC address like 02:00:00:00:00:01"));
  }
  return mac;
}

std::string MacAddress::ToString() const {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", octets[0], octets[1], octets[2],
                         octets[3], octets[4], octets[5]);
}

}  // namespace portolan::net
