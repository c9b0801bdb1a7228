// A store in one SQLite file: WAL journal, synchronous=FULL, so that a commit that returned OK
// survives a power cut. See store.h for the contract.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/base/store/store.h"

namespace portolan::store {

// Creates the file (mode 0600) when it is missing. Holds an exclusive lock on PATH.lock for its
// life: FAILED_PRECONDITION when another process has it, DATA_LOSS when the file is damaged.
absl::StatusOr<std::unique_ptr<Store>> OpenSqlite(const std::string& path);

}  // namespace portolan::store
