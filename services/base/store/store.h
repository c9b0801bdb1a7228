// Durable key-value rows, for journals that must be true before anybody hears of them.
//
// Commit() is all or nothing and durable when it returns OK. Calls block (disk, network): shells
// run them on a worker thread. One caller at a time. The store owns its files.
//
// Errors: ALREADY_EXISTS (message names the key), RESOURCE_EXHAUSTED (disk or cluster full, nothing
// done; later calls may succeed), UNAVAILABLE (store away; outcome of a Commit unknown), DATA_LOSS
// (file damaged), FAILED_PRECONDITION (held by another process or written by a newer version; of a
// Commit: another process leads now, nothing done, and no later call will do), INVALID_ARGUMENT (a
// batch of more than max_rows()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace portolan::store {

struct Row {
  std::string key;    // any bytes
  std::string value;  // any bytes
  friend bool operator==(const Row&, const Row&) = default;
};

struct Batch {
  std::vector<std::string> erase;  // done first; a missing key is no error
  std::vector<Row> create;         // ALREADY_EXISTS and nothing done when a key is there
  std::vector<Row> put;            // create or replace
  bool empty() const { return size() == 0; }
  size_t size() const { return erase.size() + create.size() + put.size(); }
};

class Store {
 public:
  virtual ~Store() = default;
  virtual absl::Status Commit(const Batch& batch) = 0;
  // Rows whose key starts with `prefix`, in key order.
  virtual absl::StatusOr<std::vector<Row>> List(absl::string_view prefix) const = 0;
  // How many rows, of all three kinds together, a batch may have.
  virtual size_t max_rows() const { return SIZE_MAX; }
};

// In memory, for tests and simulation; faults are set by hand.
class MemoryStore : public Store {
 public:
  absl::Status Commit(const Batch& batch) override;
  absl::StatusOr<std::vector<Row>> List(absl::string_view prefix) const override;
  // The next calls of Commit() answer this until it is set to OK again.
  void FailWith(absl::Status status) { failure_ = std::move(status); }

 private:
  std::vector<Row> rows_;  // sorted by key
  absl::Status failure_;
};

}  // namespace portolan::store
