// What all simulated processes have: they run, are killed, frozen and thawed.
//
// A killed process forgets everything but its disk; a frozen one does nothing while what arrives
// waits, in order, and is handled when it thaws. Single-threaded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "integration/simulation/journal.h"
#include "integration/simulation/scheduler.h"
#include "integration/simulation/stream.h"
#include "services/base/rng/rng.h"

namespace portolan::simulation {

// What the world lends to its processes.
struct Surroundings {
  Scheduler* scheduler = nullptr;
  Rng* rng = nullptr;
  Journal* journal = nullptr;
};

class Process {
 public:
  Process(const Surroundings& around, std::string name) : around_(around), name_(std::move(name)) {}
  virtual ~Process() = default;

  void Start() {
    if (running_) return;
    running_ = true;
    life_.emplace();
    around_.journal->Write(name_, "starts");
    OnStart();
  }
  void Kill() {
    if (!running_) return;
    around_.journal->Write(name_, "is killed");
    running_ = frozen_ = false;
    readers_.clear();
    inbox_.clear();
    life_.reset();
    OnKill();
  }
  void Freeze() {
    if (!running_ || frozen_) return;
    around_.journal->Write(name_, "is frozen");
    frozen_ = true;
  }
  void Thaw() {
    if (!frozen_) return;
    around_.journal->Write(name_, "thaws");
    frozen_ = false;
    // A loop that comes back may look at its timers or at its sockets first.
    if (rng().Below(2) == 0) {
      std::stable_partition(inbox_.begin(), inbox_.end(),
                            [](const Waiting& waiting) { return waiting.timer; });
    }
    while (!frozen_ && !inbox_.empty()) {
      const Scheduler::Task task = std::move(inbox_.front().task);
      inbox_.pop_front();
      task();
    }
  }
  // The way to a publisher may be open again.
  void LookAgain() {
    for (const auto& reader : readers_) reader->Kick();
  }
  bool running() const { return running_; }
  bool frozen() const { return frozen_; }
  const std::string& name() const { return name_; }

 protected:
  virtual void OnStart() = 0;
  virtual void OnKill() = 0;

  absl::Time now() const { return around_.scheduler->now(); }
  Rng& rng() { return *around_.rng; }
  void Log(const std::string& what) { around_.journal->Write(name_, what); }
  // Runs in this life, and not while the process is frozen.
  void After(absl::Duration delay, Scheduler::Task task) {
    around_.scheduler->After(
        delay, life_->Guard([this, task = std::move(task)] { Do(task, /*timer=*/true); }));
  }
  void Do(const Scheduler::Task& task, bool timer = false) {
    if (!running_) return;
    if (frozen_) {
      inbox_.push_back({task, timer});
    } else {
      task();
    }
  }
  template <typename V>
  void Read(const Wire* wire, Stream<V>* stream, typename Reader<V>::Handlers handlers) {
    const auto guarded = [this](auto function) {
      return [this, function](const auto&... arguments) {
        Do([function, arguments...] { function(arguments...); });
      };
    };
    readers_.push_back(std::make_unique<Reader<V>>(
        around_.scheduler, around_.rng, wire, stream,
        typename Reader<V>::Handlers{.on_upsert = guarded(handlers.on_upsert),
                                     .on_remove = guarded(handlers.on_remove),
                                     .on_synced = guarded(handlers.on_synced)}));
  }

  Surroundings around_;

 private:
  struct Waiting {
    Scheduler::Task task;
    bool timer = false;
  };

  std::string name_;
  bool running_ = false;
  bool frozen_ = false;
  std::optional<Life> life_;
  std::deque<Waiting> inbox_;
  std::vector<std::unique_ptr<AnyReader>> readers_;
};

// One timer, as a service's loop has it: setting it anew replaces it.
class Timer {
 public:
  // `plan` runs a task after a delay; `fire` runs when the time has come.
  template <typename Plan>
  void Arm(absl::Time at, absl::Time now, const Plan& plan, Scheduler::Task fire) {
    const uint64_t ticket = ++*ticket_;
    plan(std::max(at - now, absl::ZeroDuration()),
         [ticket, current = ticket_, fire = std::move(fire)] {
           if (*current == ticket) fire();
         });
  }

 private:
  std::shared_ptr<uint64_t> ticket_ = std::make_shared<uint64_t>(0);
};

}  // namespace portolan::simulation
