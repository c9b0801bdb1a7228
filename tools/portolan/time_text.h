// Times of published tables (milliseconds since the Unix epoch) as people read them.
// Pure, but for the wall clock that Age() reads; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace portolan::cli {

// How long ago, in whole seconds; "-" for 0, which means never.
std::string Age(int64_t since_unix_ms);
// RFC 3339, UTC, in whole seconds.
std::string PointInTime(int64_t unix_ms);

}  // namespace portolan::cli
