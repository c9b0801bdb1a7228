// The single thread that owns all state of a service.
//
// Everything but Post() and Stop() must be called on the loop's own thread, or before Run().
// Callbacks run on that thread, one at a time, and must not block. What is destroyed with pending
// callbacks drops them.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace portolan {

class Loop {
 public:
  using Callback = absl::AnyInvocable<void()>;
  using TimerId = uint64_t;  // never 0
  using FdId = uint64_t;     // never 0

  static constexpr int kReadable = 1;
  static constexpr int kWritable = 2;

  virtual ~Loop() = default;

  // Thread-safe. Runs `callback` on the loop, in the order of the calls.
  virtual void Post(Callback callback) = 0;

  // Once, after at least `delay` (millisecond grain). Cancel() of a timer that ran is harmless.
  virtual TimerId RunAfter(absl::Duration delay, Callback callback) = 0;
  virtual void Cancel(TimerId timer) = 0;

  // Level-triggered; `callback` gets the ready subset of `events` (both on error or hang-up).
  // The descriptor stays the caller's, who must Unwatch() before closing it.
  virtual FdId Watch(int fd, int events, absl::AnyInvocable<void(int)> callback) = 0;
  virtual void Unwatch(FdId watch) = 0;

  // Runs until Stop(). Thread-safe Stop(); a Stop() before Run() makes Run() return at once.
  virtual void Run() = 0;
  virtual void Stop() = 0;
};

// Over libuv.
std::unique_ptr<Loop> NewLoop();

}  // namespace portolan
