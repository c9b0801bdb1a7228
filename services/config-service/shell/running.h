// The running configuration, its journal and its history: what blocks about an edit.
//
// No decision is made here (core/engine.h). One thread at a time: Start()'s, then the worker's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/clock/clock.h"
#include "services/config-service/core/engine.h"
#include "services/config-service/shell/configuration.h"
#include "services/config-service/shell/edit.h"
#include "services/config-service/shell/files.h"
#include "services/config-service/shell/journal.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {

// So many differences of a commit are shown and kept.
inline constexpr size_t kMaxDifferences = 500;

// The part that `xpath` selects, or everything; secrets where they are asked for.
// INVALID_ARGUMENT: bad expression.
absl::StatusOr<std::string> PartOf(const Configuration& configuration, const std::string& xpath,
                                   yang::Format format, bool secrets);

class Running {
 public:
  // `files` and `clock` are not owned. `boot_id` tells one start of the machine from another.
  Running(std::shared_ptr<const Model> model, Files* files, const std::string& state_dir,
          const Clock* clock, std::string boot_id);

  // What the journal holds; nothing when there is none: then the defaults run. An error: it is
  // damaged or does not fit this Portolan; the message says what to do.
  absl::StatusOr<std::optional<Restored>> Restore();
  // Of the model without a journal.
  Snapshot Defaults() const { return model_->Empty().snapshot(); }

  // Reads the file, if it is of one; applies the edit to a copy of running; validates it.
  Prepared Prepare(Edit* edit) const;

  // Makes the prepared edit durable; from then on it is what runs. An error: nothing changed.
  absl::Status Persist(Edit* edit, const WriteJournal& write);

  const Configuration& configuration() const { return configuration_; }

  std::vector<Commit> History() const { return journal_.History(); }

  uint64_t revision() const { return revision_; }
  const Owners& owners() const { return owners_; }
  const std::string& loaded_file() const { return loaded_file_; }
  const Journal& journal() const { return journal_; }

 private:
  Prepared Apply(Edit* edit) const;
  Prepared Recalled(Edit* edit) const;
  // What replaces everything, without what others own: that stays, and a remark says so.
  Prepared Kept(Prepared prepared, Edit* edit) const;
  absl::StatusOr<std::optional<Restored>> TakeOver(JournalEntry entry, Configuration configuration);

  const std::shared_ptr<const Model> model_;
  Files* const files_;
  const Clock* const clock_;
  const std::string boot_id_;
  Journal journal_;
  Configuration configuration_;
  uint64_t revision_ = 0;
  std::string loaded_file_;
  Owners owners_;
};

// Of the kernel that runs; empty when it does not say.
std::string BootId();

}  // namespace portolan::config
