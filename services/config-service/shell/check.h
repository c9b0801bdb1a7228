// Checks a configuration file without a running service: the same model and the same rules that
// the service applies, for `portolan config check`. Blocks; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/config-service/core/problem.h"
#include "services/config-service/shell/plugin_modules.h"

namespace portolan::config {

struct FileCheck {
  // What a service that loads this file would refuse, each with FILE:LINE where it is known. Empty:
  // the file is good.
  std::vector<Problem> problems;
  // Of a good file: what is allowed and yet hardly meant, one sentence each.
  std::vector<std::string> warnings;
};

// `plugins`: modules beside ours; what is wrong with one is a warning. An error: the file could not
// be read. What an edit does to addresses in use only a running
// service can tell.
absl::StatusOr<FileCheck> CheckFile(const std::string& path,
                                    const std::vector<PluginModule>& plugins = {});

}  // namespace portolan::config
