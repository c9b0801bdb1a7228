// Checks a configuration file without a running service: the same model and the same rules that
// the service applies, for `portolan config check`. Blocks; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/config-service/core/problem.h"

namespace portolan::config {

// What a service that loads this file would refuse, each with FILE:LINE where it is known. Empty:
// the file is good. An error: it could not be read.
absl::StatusOr<std::vector<Problem>> CheckFile(const std::string& path);

}  // namespace portolan::config
