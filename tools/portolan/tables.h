// Reads the tables of service_story.h from running processes.
#pragma once

#include "absl/status/statusor.h"
#include "tools/portolan/client.h"
#include "tools/portolan/service_story.h"

namespace portolan::cli {

absl::StatusOr<Tables> ReadTables(const Client& client);

}  // namespace portolan::cli
