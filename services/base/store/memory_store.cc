#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/base/store/store.h"

namespace portolan::store {
namespace {

bool KeyLess(const Row& row, const std::string& key) { return row.key < key; }

void Put(std::vector<Row>& rows, const Row& row) {
  const auto it = std::lower_bound(rows.begin(), rows.end(), row.key, KeyLess);
  if (it != rows.end() && it->key == row.key) {
    it->value = row.value;
  } else {
    rows.insert(it, row);
  }
}

}  // namespace

absl::Status MemoryStore::Commit(const Batch& batch) {
  RETURN_IF_ERROR(failure_);
  std::vector<Row> rows = rows_;
  for (const std::string& key : batch.erase) {
    std::erase_if(rows, [&](const Row& row) { return row.key == key; });
  }
  for (const Row& row : batch.create) {
    const auto it = std::lower_bound(rows.begin(), rows.end(), row.key, KeyLess);
    if (it != rows.end() && it->key == row.key) {
      return absl::AlreadyExistsError(absl::StrCat("key exists: ", row.key));
    }
    rows.insert(it, row);
  }
  for (const Row& row : batch.put) Put(rows, row);
  rows_ = std::move(rows);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Row>> MemoryStore::List(absl::string_view prefix) const {
  std::vector<Row> found;
  for (const Row& row : rows_) {
    if (absl::StartsWith(row.key, prefix)) found.push_back(row);
  }
  return found;
}

}  // namespace portolan::store
