// How a thread that may block waits for what a callback brings, if it ever runs: a callback that is
// dropped ends the wait, too, and so does the end of all waits. Thread-safe; one answer.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace portolan::config {

// Those who wait for one service.
class Waiters {
 public:
  // Nobody waits any more, now or later.
  void End() {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
  }

 private:
  template <typename T>
  friend class AnswerSlot;
  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

template <typename T>
class AnswerSlot {
 private:
  struct State {
    std::shared_ptr<Waiters> waiters;
    std::optional<T> answer;
    bool gone = false;
    bool IsOver() const { return gone || waiters->ended_; }
  };

 public:
  // Whoever brings the answer holds it.
  class Giver {
   public:
    explicit Giver(std::shared_ptr<State> state) : state_(std::move(state)) {}
    ~Giver() {
      absl::MutexLock lock(&state_->waiters->mutex_);
      state_->gone = true;
    }
    Giver(const Giver&) = delete;
    Giver& operator=(const Giver&) = delete;
    void Give(T answer) {
      absl::MutexLock lock(&state_->waiters->mutex_);
      state_->answer = std::move(answer);
    }

   private:
    const std::shared_ptr<State> state_;
  };

  explicit AnswerSlot(std::shared_ptr<Waiters> waiters) : state_(std::make_shared<State>()) {
    state_->waiters = std::move(waiters);
  }

  // Once.
  std::shared_ptr<Giver> NewGiver() { return std::make_shared<Giver>(state_); }

  // Until the giver is gone, or all waits end. Nothing: there is no answer.
  std::optional<T> Wait() {
    absl::MutexLock lock(&state_->waiters->mutex_);
    state_->waiters->mutex_.Await(absl::Condition(state_.get(), &State::IsOver));
    return std::move(state_->answer);
  }

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace portolan::config
