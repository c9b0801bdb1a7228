#include "services/ipam-service/core/usage_trend.h"

#include <cmath>

namespace portolan::ipam {
namespace {

constexpr absl::Duration kInterval = absl::Minutes(1);
constexpr absl::Duration kWindow = absl::Hours(1);
// Beyond a hundred years nobody cares.
constexpr double kMaxSeconds = 100.0 * 365 * 24 * 3600;

int64_t TwoDigits(double seconds) {
  const double unit = std::pow(10, std::floor(std::log10(seconds)) - 1);
  return std::llround(std::round(seconds / unit) * unit);
}

}  // namespace

void UsageTrend::Note(absl::Time at, double used) {
  if (!samples_.empty() && at < samples_.back().at + kInterval) return;
  samples_.push_back({at, used});
  // The last one that is older than the window stays: it is where the window begins.
  while (samples_.size() > 1 && samples_[1].at <= at - kWindow) samples_.pop_front();
}

int64_t UsageTrend::ExhaustedIn(absl::Time now, double used, double available) const {
  if (samples_.empty() || now < samples_.front().at + kInterval) return 0;
  const double grown = used - samples_.front().used;
  if (grown <= 0 || available <= 0) return 0;
  const double elapsed = absl::ToDoubleSeconds(now - samples_.front().at);
  const double seconds = available * elapsed / grown;
  if (seconds > kMaxSeconds) return 0;
  return seconds < 1 ? 1 : TwoDigits(seconds);
}

}  // namespace portolan::ipam
