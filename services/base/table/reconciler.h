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
  // What to do to the world: value present = create or update, absent = delete.
  struct Operation {
    Key key;
    std::optional<Value> value;
    friend bool operator==(const Operation&, const Operation&) = default;
  };
  struct Row {
    std::optional<Value> desired;    // absent: to be deleted
    std::optional<Value> in_flight;  // what the running operation writes; absent: a delete
    std::optional<Value> actual;     // what the world is known to have
    bool exists = false;             // the world has, or may have, this row
    RowState state = RowState::kPending;
    absl::Status status;  // of the last operation
    absl::Time retry_at = absl::InfinitePast();
    absl::Duration backoff = absl::ZeroDuration();
  };

  Reconciler() = default;
  explicit Reconciler(Options options) : options_(options) {}

  // The same value again changes nothing, except that a failed row is tried at once.
  void Set(const Key& key, Value value) {
    Row& row = rows_[key];
    if (row.desired == value && row.state != RowState::kFailed) return;
    row.desired = std::move(value);
    Retry(row);
  }

  void Erase(const Key& key) {
    const auto it = rows_.find(key);
    if (it == rows_.end() || !it->second.desired.has_value()) return;
    it->second.desired.reset();
    Retry(it->second);
  }

  // The world has this row (read back at start). If nobody asks for it, it is pruned after
  // MarkSynced().
  void Adopt(const Key& key, Value value) {
    Row& row = rows_[key];
    row.actual = std::move(value);
    row.exists = true;
  }

  // The desired state is complete: from now on what nobody asked for may be deleted.
  void MarkSynced() { synced_ = true; }
  bool synced() const { return synced_; }

  // Operations that are due at `now`, deletes first. Each is in flight until Report().
  std::vector<Operation> Plan(absl::Time now) {
    std::vector<Operation> operations;
    for (auto it = rows_.begin(); it != rows_.end();) {
      Row& row = it->second;
      if (!row.desired.has_value() && !row.exists && row.state != RowState::kInFlight) {
        it = rows_.erase(it);
        continue;
      }
      if (IsDue(row, now)) {
        row.state = RowState::kInFlight;
        row.in_flight = row.desired;
        operations.push_back({it->first, row.desired});
      }
      ++it;
    }
    std::stable_partition(operations.begin(), operations.end(),
                          [](const Operation& op) { return !op.value.has_value(); });
    return operations;
  }

  // The outcome of a planned operation. After a failure the world's state is unknown: the next
  // operation writes in full.
  void Report(const Key& key, const absl::Status& status, absl::Time now) {
    const auto it = rows_.find(key);
    if (it == rows_.end() || it->second.state != RowState::kInFlight) return;
    Row& row = it->second;
    row.status = status;
    if (!status.ok()) {
      row.state = RowState::kFailed;
      row.exists = true;
      row.actual.reset();
      row.backoff = row.backoff == absl::ZeroDuration()
                        ? options_.first_backoff
                        : std::min(row.backoff * 2, options_.max_backoff);
      row.retry_at = now + row.backoff;
      return;
    }
    row.actual = std::move(row.in_flight);
    row.exists = row.actual.has_value();
    row.backoff = absl::ZeroDuration();
    row.retry_at = absl::InfinitePast();
    row.state = row.desired == row.actual ? RowState::kDone : RowState::kPending;
  }

  // When Plan() is worth calling again because of a retry; InfiniteFuture() when never.
  absl::Time NextRetry() const {
    absl::Time next = absl::InfiniteFuture();
    for (const auto& [key, row] : rows_) {
      if (row.state == RowState::kFailed) next = std::min(next, row.retry_at);
    }
    return next;
  }

  // Absent: not known at all, or gone.
  const Row* Find(const Key& key) const {
    const auto it = rows_.find(key);
    return it == rows_.end() ? nullptr : &it->second;
  }
  const std::map<Key, Row>& rows() const { return rows_; }

 private:
  void Retry(Row& row) {
    row.retry_at = absl::InfinitePast();
    row.backoff = absl::ZeroDuration();
    if (row.state != RowState::kInFlight) row.state = RowState::kPending;
  }

  bool IsDue(Row& row, absl::Time now) const {
    if (row.state == RowState::kInFlight || row.retry_at > now) return false;
    if (!row.desired.has_value()) return synced_;
    if (row.desired == row.actual) row.state = RowState::kDone;
    return row.state != RowState::kDone;
  }

  Options options_;
  std::map<Key, Row> rows_;
  bool synced_ = false;
};

}  // namespace portolan::table
