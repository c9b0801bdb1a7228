// The running configuration and its history on disk.
//
// DIRECTORY/running.json holds everything that must survive and is replaced as a whole: written
// beside it, synced, renamed, directory synced. Whoever reads it after a crash at any moment finds
// the entry before or after, never something between. What it held before stays as
// DIRECTORY/history.REVISION.json, the same format under a second name: an entry is in the history
// exactly when it was running, whatever dies in between. The history keeps kMaxCommits, or fewer
// when they take more than kMaxBytes, and never loses what a trial would go back to.
//
// Blocking; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/config-service/core/owners.h"
#include "services/config-service/core/trial.h"
#include "services/config-service/shell/commit.h"
#include "services/config-service/shell/files.h"

namespace portolan::config {

struct JournalEntry {
  uint64_t revision = 0;
  std::map<std::string, uint64_t> generations;  // of services, by "NAMESPACE/NAME"
  // Fingerprint() of the file that was loaded last; empty: none was.
  std::string loaded_file;
  bool allow_renumber = false;  // the commit of this revision was allowed to move addresses
  Owners owners;                // of entries, by path
  Commit commit;
  std::optional<Trial> trial;  // its deadline by the clock on the wall
  std::string boot_id;         // of the kernel that ran
  std::string configuration;   // JSON, RFC 7951
  friend bool operator==(const JournalEntry&, const JournalEntry&) = default;
};

class Journal {
 public:
  static constexpr size_t kMaxCommits = 50;
  static constexpr size_t kMaxBytes = 128 << 20;

  // `files` is not owned. `directory` exists.
  Journal(Files* files, std::string directory);

  // Nothing: there is no journal yet. DATA_LOSS: damaged. FAILED_PRECONDITION: of a newer version.
  // Other errors: the disk's. Messages name the file and the remedy. A damaged file of the history
  // is left out and named in damaged().
  absl::StatusOr<std::optional<JournalEntry>> Read();

  // OK: durable. An error: the entry before is still there (put back when the directory could not
  // be synced), and the message has the reason. The revision is higher than the one before.
  absl::Status Write(const JournalEntry& entry);

  // An entry that was running once, or is. NOT_FOUND: it is not kept.
  absl::StatusOr<JournalEntry> Recall(uint64_t revision) const;

  // What is kept, newest first; the first one runs.
  std::vector<Commit> History() const;

  // What runs; null: there is no journal yet.
  const Commit* newest() const { return kept_.empty() ? nullptr : &kept_.back().commit; }

  const std::vector<std::string>& damaged() const { return damaged_; }
  const std::string& path() const { return path_; }

 private:
  struct Kept {
    Commit commit;
    size_t bytes = 0;
  };

  std::string KeptPath(uint64_t revision) const;
  absl::Status KeepCurrent();
  void ReadHistory();
  void Prune(uint64_t needed_revision);
  void PutBack();

  Files* const files_;
  const std::string directory_;
  const std::string path_;
  std::deque<Kept> kept_;  // by revision; the last one runs
  std::vector<std::string> damaged_;
};

// Tells whether a text is the same as another: 64-bit FNV-1a and its length.
std::string Fingerprint(const std::string& text);

}  // namespace portolan::config
