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
// Every address that a Service holds; `pool` empty: of all pools and of none.
int GetAddresses(const Places& places, const std::string& pool, Output output);
int GetPeers(const Places& places, Output output);
int GetAnnouncements(const Places& places, Output output);
// Every object of any kind that is not in force, with reason and remedy.
int GetProblems(const Places& places, Output output);

// `service` is NAMESPACE/NAME, or a NAME that only one namespace has.
int ExplainService(const Places& places, const std::string& service, Output output);

// What an edit would do to addresses in use; kNotSatisfied when a Service would lose or change one,
// kError when the edit is refused for another reason or ipam-service could not be asked.
int PlanApply(const Places& places, const std::string& file, bool replace, Output output);
int PlanDelete(const Places& places, const std::string& path, Output output);

struct EditOptions {
  bool dry_run = false;
  bool allow_renumber = false;  // otherwise an edit that takes an address from a Service is refused
};

int ConfigCheck(const std::string& file);
int ConfigShow(const Places& places, const std::string& path, bool xml);
// Merges the file into the running configuration, or replaces it whole.
int ConfigApply(const Places& places, const std::string& file, bool replace, EditOptions options);
// Removes what the YANG path selects.
int ConfigDelete(const Places& places, const std::string& path, EditOptions options);

}  // namespace portolan::cli
