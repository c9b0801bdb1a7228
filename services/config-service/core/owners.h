// Who wrote which entry of the configuration, and whether another may: an entry (a pool, a service,
// a peer; shell/entries.h has the granularity) belongs to the kind of writer that wrote it last.
//
// Pure values and functions. Kinds, not persons: an operator is the same over the command line,
// NETCONF and gNMI. An entry that is in no table belongs to nobody, and to the next who writes it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/config-service/core/problem.h"
#include "services/config-service/core/shared.h"

namespace portolan::config {

enum class Writer : uint8_t { kOperator, kFile, kKube };

// By data path. Copies share.
using Owners = Shared<std::map<std::string, Writer>>;

// An entry that an edit makes, changes or removes.
struct TouchedEntry {
  std::string path;
  bool exists = true;  // after it
  friend bool operator==(const TouchedEntry&, const TouchedEntry&) = default;
};

// "operator", "file", "kube".
const char* NameOf(Writer writer);

// One problem an entry of somebody else, rule "owned", naming owner and remedy; beyond twenty, one
// that says how many more. Empty: `writer` may.
std::vector<Problem> RefusalOf(const Owners& owners, const std::vector<TouchedEntry>& touched,
                               Writer writer);

// What was touched belongs to `writer`. Shares with `owners` when nothing changes.
Owners OwnersAfter(const Owners& owners, const std::vector<TouchedEntry>& touched, Writer writer);

}  // namespace portolan::config
