// The commands of `portolan`, each a function from parsed words to an exit code (exit_code.h).
// They print results on standard output and errors on standard error.
#pragma once

#include <string>
#include <vector>

#include "tools/portolan/printer.h"

namespace portolan::cli {

// Where running processes are found: sockets or directories of sockets.
using Places = std::vector<std::string>;

int GetServices(const Places& places, Output output);
int GetPools(const Places& places, Output output);
int GetPeers(const Places& places, Output output);
int GetAnnouncements(const Places& places, Output output);
// Every object of any kind that is not in force, with reason and remedy.
int GetProblems(const Places& places, Output output);

// `service` is NAMESPACE/NAME, or a NAME that only one namespace has.
int ExplainService(const Places& places, const std::string& service, Output output);

int ConfigCheck(const std::string& file);
int ConfigShow(const Places& places, const std::string& path, bool xml);
// Merges the file into the running configuration, or replaces it whole.
int ConfigApply(const Places& places, const std::string& file, bool replace, bool dry_run);
// Removes what the YANG path selects.
int ConfigDelete(const Places& places, const std::string& path, bool dry_run);

}  // namespace portolan::cli
