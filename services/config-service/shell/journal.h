// The running configuration on disk: DIRECTORY/running.json, one file with everything that must
// survive. Replaced as a whole: written beside it, synced, renamed, directory synced. Whoever reads
// it after a crash at any moment finds the entry before or after, never something between.
//
// Blocking; one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/config-service/shell/files.h"

namespace portolan::config {

struct JournalEntry {
  uint64_t revision = 0;
  std::map<std::string, uint64_t> generations;  // of services, by "NAMESPACE/NAME"
  // Fingerprint() of the file that was loaded last; empty: none was.
  std::string loaded_file;
  bool allow_renumber = false;  // the commit of this revision was allowed to move addresses
  std::string configuration;    // JSON, RFC 7951
  friend bool operator==(const JournalEntry&, const JournalEntry&) = default;
};

class Journal {
 public:
  // `files` is not owned. `directory` exists.
  Journal(Files* files, std::string directory);

  // Nothing: there is no journal yet. DATA_LOSS: damaged. FAILED_PRECONDITION: of a newer version.
  // Other errors: the disk's. Messages name the file and the remedy.
  absl::StatusOr<std::optional<JournalEntry>> Read();

  // OK: durable. An error: the entry before is still there (put back when the directory could not
  // be synced), and the message has the reason.
  absl::Status Write(const JournalEntry& entry);

  const std::string& path() const { return path_; }

 private:
  void PutBack();

  Files* const files_;
  const std::string directory_;
  const std::string path_;
  std::optional<std::string> durable_;  // text of the file as last read or written
};

// Tells whether a text is the same as another: 64-bit FNV-1a and its length.
std::string Fingerprint(const std::string& text);

}  // namespace portolan::config
