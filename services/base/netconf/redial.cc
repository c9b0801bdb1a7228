#include "services/base/netconf/redial.h"

#include <algorithm>

namespace portolan::netconf {
namespace {

// Between calls that fail: doubled from one to the other.
constexpr absl::Duration kFirstWait = absl::Seconds(1);
constexpr absl::Duration kMaxWait = absl::Minutes(1);

}  // namespace

size_t Redial::Start(double chance) const {
  switch (plan_.start_with) {
    case CallHomePlan::StartWith::kFirstListed:
      return 0;
    case CallHomePlan::StartWith::kLastConnected:
      return last_connected_.value_or(0);
    case CallHomePlan::StartWith::kRandomSelection:
      return std::min(static_cast<size_t>(chance * plan_.endpoints), plan_.endpoints - 1);
  }
  return 0;
}

Redial::Call Redial::First(double chance) {
  endpoint_ = Start(chance);
  return {endpoint_, absl::ZeroDuration()};
}

Redial::Call Redial::AfterFailure() {
  const absl::Duration wait =
      std::min(kFirstWait * (int64_t{1} << std::min(failures_, 10u)), kMaxWait);
  ++failures_;
  if (++attempts_ >= plan_.max_attempts) {
    endpoint_ = (endpoint_ + 1) % plan_.endpoints;
    attempts_ = 0;
  }
  return {endpoint_, wait};
}

Redial::Call Redial::AfterSession(absl::Time began, absl::Time now, double chance) {
  last_connected_ = endpoint_;
  attempts_ = 0;
  failures_ = 0;
  endpoint_ = Start(chance);
  if (plan_.period == absl::ZeroDuration()) return {endpoint_, kFirstWait};
  absl::Duration rest;
  absl::IDivDuration(now - began, plan_.period, &rest);
  return {endpoint_, plan_.period - rest};
}

}  // namespace portolan::netconf
