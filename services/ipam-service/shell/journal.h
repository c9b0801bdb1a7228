// The engine's journal on a store, written by a thread of its own.
//
// Whatever waits when the thread comes back from a write becomes one write (group commit), as long
// as no address is touched twice in it. Outcomes arrive on the loop, in the order of the calls.
// When a grouped write is refused because of one row, its parts are written one by one, so that
// only the guilty one fails.
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
#include "services/base/loop/loop.h"
#include "services/base/store/store.h"
#include "services/ipam-service/core/effect.h"
#include "services/ipam-service/core/event.h"

namespace portolan::ipam {

class Journal {
 public:
  using Report = std::function<void(const JournalDone&)>;

  // `report` is called on the loop.
  Journal(Loop* loop, std::unique_ptr<store::Store> store, Report report);
  ~Journal();

  // Blocks. Before the first Commit().
  absl::StatusOr<JournalLoaded> Load() const;

  void Commit(const JournalCommit& commit);

 private:
  struct Write {
    uint64_t batch;
    store::Batch rows;
  };

  void Run();
  static std::vector<Write> TakeGroup(std::deque<Write>& queue);
  std::vector<JournalDone> CommitGroup(const std::vector<Write>& group);

  Loop* const loop_;
  const std::unique_ptr<store::Store> store_;
  // Shared with what is posted to the loop, which may run after this object is gone.
  const std::shared_ptr<Report> report_;
  absl::Mutex mutex_;
  std::deque<Write> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace portolan::ipam
