#include "tools/portolan/time_text.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace portolan::cli {

std::string Age(int64_t since_unix_ms) {
  if (since_unix_ms == 0) return "-";
  const absl::Duration age = absl::Now() - absl::FromUnixMillis(since_unix_ms);
  return absl::FormatDuration(absl::Trunc(std::max(age, absl::ZeroDuration()), absl::Seconds(1)));
}

std::string PointInTime(int64_t unix_ms) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMillis(unix_ms), absl::UTCTimeZone());
}

}  // namespace portolan::cli
