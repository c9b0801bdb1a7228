// One thread for work that blocks: parsing, validating and writing to disk. Jobs run in order, one
// at a time; what they touch belongs to them until they post a result back to the loop.
#pragma once

#include <deque>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace portolan::config {

class Worker {
 public:
  Worker();
  // Waits for the job that runs; those behind it are dropped.
  ~Worker();

  // Thread-safe.
  void Run(absl::AnyInvocable<void()> job);

 private:
  void Loop();

  absl::Mutex mutex_;
  std::deque<absl::AnyInvocable<void()>> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace portolan::config
