// Reads the tables of service_story.h from running processes.
// Each table is a snapshot of its own; together they may be some milliseconds apart.
#pragma once

#include "absl/status/statusor.h"
#include "tools/portolan/client.h"
#include "tools/portolan/service_story.h"

namespace portolan::cli {

absl::StatusOr<Tables> ReadTables(const Client& client);

}  // namespace portolan::cli
