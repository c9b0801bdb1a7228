// An edit on its way through the service: what was asked, who waits for the answer, and what the
// worker made of it. One thread at a time: it passes between loop and worker with the jobs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "services/base/yang/compare.h"
#include "services/config-service/core/engine.h"
#include "services/config-service/shell/commit.h"
#include "services/config-service/shell/configuration.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {

struct Edit {
  enum class Kind : uint8_t {
    kMerge,
    kReplace,
    kDelete,    // what `path` selects
    kLoadFile,  // `source`
    kRollback,  // to `revision`
    kDraft,     // `draft` instead of everything
    kMake,      // what `make` makes of what runs then
    kKeep,      // running as it is: a confirmation
  };
  uint64_t id = 0;
  Kind kind = Kind::kReplace;
  Purpose purpose = Purpose::kEdit;
  bool dry_run = false;
  bool allow_renumber = false;
  std::string data;  // with kLoadFile, the file's text once it was read
  yang::Format format = yang::Format::kGuess;
  std::string path;
  std::string source;
  std::optional<Draft> draft;
  std::function<Edited(const Configuration& running)> make;  // on the worker
  uint64_t revision = 0;
  Claim claim;
  std::optional<TrialRequest> trial;
  uint64_t trial_revision = 0;  // with Purpose::kGoBack
  std::optional<uint64_t> base_revision;
  Writer writer = Writer::kOperator;
  bool take_over = false;  // what others own of what it changes
  Author author;
  std::function<void(const Edit&, const Answer&)> done;

  // Once it was prepared.
  std::string fingerprint;                 // of the file
  std::optional<Configuration> candidate;  // of a commit
  yang::Comparison comparison;             // against running
  std::vector<TouchedEntry> touched;       // against running
  std::optional<Owners> owners_back;       // of the revision that it goes back to
  std::vector<std::string> remarks;        // warnings
};

// "merge", "rollback to 3": what history and log call it.
std::string OperationOf(const Edit& edit);

}  // namespace portolan::config
