// Time and order in a simulation: tasks run one by one, at the moment that they were planned for,
// in the order in which they were planned when the moment is the same. Nothing else moves time.
//
// Single-threaded; owned by the World. Tasks of something that may end before they run are planned
// through a Life.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "absl/time/time.h"

namespace portolan::simulation {

class Scheduler {
 public:
  using Task = std::function<void()>;

  absl::Time now() const { return now_; }
  uint64_t tasks() const { return next_; }
  void After(absl::Duration delay, Task task) {
    tasks_.emplace(std::pair(now_ + std::max(delay, absl::ZeroDuration()), next_++),
                   std::move(task));
  }
  // Runs the next task that is due until `end`; false, and the time is `end`, when there is none.
  bool RunNext(absl::Time end) {
    auto first = tasks_.begin();
    if (first == tasks_.end() || first->first.first > end) {
      now_ = std::max(now_, end);
      return false;
    }
    now_ = first->first.first;
    const Task task = std::move(first->second);
    tasks_.erase(first);
    task();
    return true;
  }

 private:
  // Monotonic and without meaning, as that of a machine that has been up for a while.
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(10);
  uint64_t next_ = 0;
  std::map<std::pair<absl::Time, uint64_t>, Task> tasks_;
};

// Tasks wrapped by it do nothing any more once it is over.
class Life {
 public:
  Scheduler::Task Guard(Scheduler::Task task) const {
    return [alive = std::weak_ptr<bool>(alive_), task = std::move(task)] {
      if (!alive.expired()) task();
    };
  }

 private:
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace portolan::simulation
