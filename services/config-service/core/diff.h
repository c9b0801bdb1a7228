// What changed between two configurations, entry by entry. Pure; linear in their size. The entries
// are copies: a Change outlives both configurations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/config-service/core/snapshot.h"

namespace portolan::config {

struct Change {
  enum class Action : uint8_t { kUpsert, kRemove };
  Action action = Action::kUpsert;
  std::string key;
  Object object;            // after the change; with kRemove, before it
  uint64_t generation = 0;  // of a Service, set by the Engine; else 0
  friend bool operator==(const Change&, const Change&) = default;
};

// Removals first, then what others refer to before what refers to it, services last.
std::vector<Change> Diff(const Snapshot& from, const Snapshot& to);

}  // namespace portolan::config
