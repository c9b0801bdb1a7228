// A journal entry as text and back: one JSON object, the configuration last. Pure functions, any
// thread. Private to the journal.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/config-service/shell/journal.h"

namespace portolan::config {

std::string ToText(const JournalEntry& entry);

// `path` is named in messages. DATA_LOSS: damaged. FAILED_PRECONDITION: of a newer version.
absl::StatusOr<JournalEntry> FromText(const std::string& text, const std::string& path);

// Only what the entry says about its commit; does not read the configuration when the text is laid
// out as ToText() does it.
absl::StatusOr<Commit> CommitFromText(const std::string& text, const std::string& path);

}  // namespace portolan::config
