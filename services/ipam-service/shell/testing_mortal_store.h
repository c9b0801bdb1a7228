// A SQLite store whose process dies by SIGKILL at one chosen Commit(), for tests.
//
// The call dies before it begins, inside its transaction, or after it is durable and before its
// caller hears of it. Lives in a child process that opens one such store. Used on the journal's
// thread.
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/base/store/sqlite_store.h"
#include "services/base/store/store.h"
#include "services/base/store/testing_commit_hook.h"

namespace portolan::ipam {

enum class DeathMoment { kBefore, kInside, kAfter };

class MortalStore : public store::Store {
 public:
  // Dies at call `last_call` of Commit(), the first being 1. `on_call` is told of every one.
  MortalStore(const std::string& path, int last_call, DeathMoment moment,
              std::function<void()> on_call)
      : last_call_(last_call), moment_(moment), on_call_(std::move(on_call)) {
    store::CallInsideCommits([] {
      if (dies_inside_) Die();
    });
    store_ = store::OpenSqlite(path).value();
  }

  absl::Status Commit(const store::Batch& batch) override {
    on_call_();
    const bool last = ++calls_ == last_call_;
    if (last && moment_ == DeathMoment::kBefore) Die();
    dies_inside_ = last && moment_ == DeathMoment::kInside;
    const absl::Status status = store_->Commit(batch);
    if (dies_inside_) abort();  // it outlived the transaction it was to die in
    if (last) Die();
    return status;
  }
  absl::StatusOr<std::vector<store::Row>> List(absl::string_view prefix) const override {
    return store_->List(prefix);
  }

 private:
  static void Die() { kill(getpid(), SIGKILL); }

  static inline std::atomic<bool> dies_inside_ = false;
  const int last_call_;
  const DeathMoment moment_;
  const std::function<void()> on_call_;
  std::unique_ptr<store::Store> store_;
  int calls_ = 0;
};

}  // namespace portolan::ipam
