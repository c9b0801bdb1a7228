#include "services/bgp-exporter/core/community.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace portolan::bgp {
namespace {

struct WellKnown {
  absl::string_view name;
  uint32_t value;
};

constexpr WellKnown kWellKnown[] = {
    {"no-export", 0xffffff01}, {"no-advertise", 0xffffff02},
    {"no-peer", 0xffffff04},   {"no-export-subconfed", 0xffffff03},
    {"blackhole", 0xffff029a}, {"graceful-shutdown", kGracefulShutdown},
};

// Decimal, 0..65535, nothing else.
bool ParseHalf(absl::string_view text, uint32_t* value) {
  return !text.empty() && text.size() <= 5 &&
         text.find_first_not_of("0123456789") == absl::string_view::npos &&
         absl::SimpleAtoi(text, value) && *value <= 0xffff;
}

}  // namespace

absl::StatusOr<uint32_t> ParseCommunity(absl::string_view text) {
  for (const WellKnown& known : kWellKnown) {
    if (known.name == text) return known.value;
  }
  const size_t colon = text.find(':');
  uint32_t high = 0;
  uint32_t low = 0;
  if (colon != absl::string_view::npos && ParseHalf(text.substr(0, colon), &high) &&
      ParseHalf(text.substr(colon + 1), &low)) {
    return high << 16 | low;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("community \"", text.substr(0, 64),
                   "\" is neither A:B with numbers of 0 to 65535 nor a well-known name"));
}

std::string CommunityText(uint32_t community) {
  for (const WellKnown& known : kWellKnown) {
    if (known.value == community) return std::string(known.name);
  }
  return absl::StrCat(community >> 16, ":", community & 0xffff);
}

}  // namespace portolan::bgp
