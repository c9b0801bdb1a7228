// Desired rows against a world that may refuse them (kernel maps, routes, API objects).
//
// Each row carries its own status: pending, done, or failed with a reason and a retry time. The
// reconciler is pure: Plan() says what to do now, Report() takes the outcome. It never asks for a
// removal (prune) of something that the world had before us until MarkSynced() was called: what a
// restart finds stays until the whole desired state is known.
//
// Single-threaded; no I/O. Key needs < and ==; Value needs ==.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace portolan::table {

enum class RowState { kPending, kInFlight, kDone, kFailed };

template <typename Key, typename Value>
class Reconciler {
 public:
  struct Options {
    absl::Duration first_backoff = absl::Milliseconds(100);
    absl::Duration max_backoff = absl::Seconds(30);
  };
  // An operation to execute: value present = update, absent = delete.
  struct Operation {
    Key key;
    std::optional<Value> value;
  };
  struct Row {
    std::optional<Value> desired;  // absent: to be deleted
    std::optional<Value> actual;   // absent: not there, or unknown
    RowState state = RowState::kPending;
    absl::Status status;  // of the last attempt
    absl::Time retry_at = absl::InfinitePast();
    absl::Duration backoff = absl::ZeroDuration();
  };

  explicit Reconciler(Options options = {}) : options_(options) {}

  void Set(const Key& key, Value value) {
    Row& row = rows_[key];
    if (row.desired == value && row.state != RowState::kFailed) return;
    row.desired = std::move(value);
    Touch(row);
  }

  void Erase(const Key& key) {
    auto it = rows_.find(key);
    if (it == rows_.end()) return;
    it->second.desired.reset();
    Touch(it->second);
  }

  // The world has this row (read back at start). Not desired: pruned after MarkSynced().
  void Adopt(const Key& key, Value value) {
    Row& row = rows_[key];
    row.actual = std::move(value);
    if (row.state != RowState::kInFlight) row.state = RowState::kPending;
  }

  // The desired state is complete: from now on Plan() may delete what nobody asked for.
  void MarkSynced() { synced_ = true; }
  bool synced() const { return synced_; }

  // Operations that are due at `now`, deletes first; each is in flight until Report().
  std::vector<Operation> Plan(absl::Time now) {
    std::vector<Operation> operations;
    for (auto it = rows_.begin(); it != rows_.end();) {
      Row& row = it->second;
      if (row.state == RowState::kInFlight || row.state == RowState::kDone ||
          row.retry_at > now) {
        ++it;
        continue;
      }
      if (row.desired.has_value()) {
        if (row.desired == row.actual) {
          row.state = RowState::kDone;
          row.status = absl::OkStatus();
        } else {
          row.state = RowState::kInFlight;
          operations.push_back({it->first, row.desired});
        }
        ++it;
      } else if (!row.actual.has_value() && row.state == RowState::kPending && !row.unknown) {
        it = rows_.erase(it);
      } else if (synced_) {
        row.state = RowState::kInFlight;
        operations.push_back({it->first, std::nullopt});
        ++it;
      } else {
        ++it;
      }
    }
    std::stable_partition(operations.begin(), operations.end(),
                          [](const Operation& op) { return !op.value.has_value(); });
    return operations;
  }

 private:
  Options options_;
  std::map<Key, Row> rows_;
  bool synced_ = false;
  void Touch(Row&) {}
};

}  // namespace portolan::table
