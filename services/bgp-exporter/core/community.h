// BGP standard communities (RFC 1997) as text and as numbers. Pure functions over value types;
// errors are sentences for the person who wrote the text.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace portolan::bgp {

inline constexpr uint32_t kGracefulShutdown = 0xffff0000;  // RFC 8326

// "65000:100" or a well-known name: no-export, no-advertise, no-export-subconfed (RFC 1997),
// no-peer (RFC 3765), blackhole (RFC 7999), graceful-shutdown (RFC 8326). INVALID_ARGUMENT says
// what may stand there.
absl::StatusOr<uint32_t> ParseCommunity(absl::string_view text);

// The well-known name when there is one, else "A:B".
std::string CommunityText(uint32_t community);

}  // namespace portolan::bgp
