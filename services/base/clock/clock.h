// Time as an injected value. Cores get `now` as an argument; shells ask a Clock.
//
// Now() is monotonic and counts suspended time (CLOCK_BOOTTIME), expressed as an absl::Time whose
// epoch is meaningless: only differences count. WallNow() is for people and for timestamps on the
// wire. Thread-safe.
#pragma once

#include "absl/time/time.h"

namespace portolan {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
  virtual absl::Time WallNow() const = 0;
};

// The machine's clock. Owned by nobody, lives for ever.
const Clock& SystemClock();

// A clock that tests set by hand. Not thread-safe.
class ManualClock : public Clock {
 public:
  absl::Time Now() const override { return now_; }
  absl::Time WallNow() const override { return wall_base_ + (now_ - absl::UnixEpoch()); }
  void Advance(absl::Duration by) { now_ += by; }

 private:
  absl::Time now_ = absl::UnixEpoch();
  absl::Time wall_base_ = absl::FromUnixSeconds(1'700'000'000);
};

}  // namespace portolan
