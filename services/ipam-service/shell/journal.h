// The engine's journal on a store, written by a thread of its own.
//
// Whatever waits when the thread comes back from a write becomes one write (group commit), as long
// as no address is touched twice in it and the store takes so many rows at once. Outcomes arrive on
// the loop, in the order of the calls. When a grouped write is refused because of one row, its
// parts are written one by one, so that only the guilty one fails.
//
// A commit of pools and releases alone that is larger than the store takes at once is written in
// parts, in order, up to the first that fails; its one outcome is that of the last part written.
// What touches an address is never taken apart.
//
// Created, used and destroyed on the loop's thread. The destructor waits for the write that runs;
// what was not begun is not written, and nothing is reported any more.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/base/clock/clock.h"
#include "services/base/loop/loop.h"
#include "services/base/metrics/histogram.h"
#include "services/base/store/store.h"
#include "services/ipam-service/core/effect.h"
#include "services/ipam-service/core/event.h"

namespace portolan::ipam {

// What the journal did since it was made.
struct JournalFigures {
  uint64_t writes = 0;           // transactions
  uint64_t failures_full = 0;    // of them: no space
  uint64_t failures_exists = 0;  // a row was there that should not be
  uint64_t failures_other = 0;
  uint64_t queued = 0;  // commits that wait now
  metrics::Histogram write_seconds{metrics::kSeconds};
  metrics::Histogram group_size{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};  // commits in one
};

class Journal {
 public:
  using Report = std::function<void(const JournalDone&)>;

  // `report` is called on the loop. The clock's Now() is called on the journal's thread.
  Journal(Loop* loop, std::unique_ptr<store::Store> store, Report report,
          const Clock* clock = &SystemClock());
  ~Journal();

  // Blocks. Before the first Commit().
  absl::StatusOr<JournalLoaded> Load() const;

  void Commit(const JournalCommit& commit);

  JournalFigures Figures() const;

 private:
  struct Write {
    uint64_t batch;
    std::vector<store::Batch> parts;  // more than one: too large for one transaction
  };

  void Run();
  std::vector<Write> TakeGroup(std::deque<Write>& queue) const;
  absl::Status CommitParts(const Write& write);
  std::vector<JournalDone> CommitGroup(const std::vector<Write>& group);
  absl::Status CommitOnce(const store::Batch& rows, size_t group_size);

  Loop* const loop_;
  const std::unique_ptr<store::Store> store_;
  // Shared with what is posted to the loop, which may run after this object is gone.
  const std::shared_ptr<Report> report_;
  const Clock* const clock_;
  mutable absl::Mutex mutex_;
  JournalFigures figures_ ABSL_GUARDED_BY(mutex_);
  std::deque<Write> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace portolan::ipam
