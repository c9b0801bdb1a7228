// How a thread that may block waits for what a callback brings, if it ever runs: a callback that is
// dropped ends the wait, too. Thread-safe; one answer.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace portolan::config {

template <typename T>
class AnswerSlot {
 public:
  // Whoever brings the answer holds it.
  class Giver {
   public:
    explicit Giver(AnswerSlot* slot) : slot_(slot) {}
    ~Giver() { slot_->Finish(std::nullopt); }
    Giver(const Giver&) = delete;
    Giver& operator=(const Giver&) = delete;
    void Give(T answer) { slot_->Finish(std::move(answer)); }

   private:
    AnswerSlot* const slot_;
  };

  // Once. The slot outlives it: Wait() returns only when it is gone.
  std::shared_ptr<Giver> NewGiver() { return std::make_shared<Giver>(this); }

  // Until the giver is gone. Nothing: it went without an answer.
  std::optional<T> Wait() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&gone_));
    return std::move(answer_);
  }

 private:
  void Finish(std::optional<T> answer) {
    absl::MutexLock lock(&mutex_);
    if (answer.has_value()) {
      answer_ = std::move(answer);
    } else {
      gone_ = true;
    }
  }

  absl::Mutex mutex_;
  std::optional<T> answer_ ABSL_GUARDED_BY(mutex_);
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace portolan::config
