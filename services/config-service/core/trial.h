// A commit on trial: it is taken back by itself unless somebody confirms it in time (RFC 6241,
// section 8.4, confirmed commit). Pure values; the Engine owns the one that runs.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace portolan::config {

struct Trial {
  uint64_t base_revision = 0;  // to go back to: before the first commit of the trial
  uint64_t revision = 0;       // of the last commit of the trial
  absl::Time deadline;
  absl::Duration timeout;  // as asked for
  // It ends with this session; 0: with none.
  uint64_t session = 0;
  // Whoever names it may confirm, extend or cancel; empty: only the session may.
  std::string persist_id;
  bool allow_renumber = false;  // so going back moves the addresses back, too
  friend bool operator==(const Trial&, const Trial&) = default;
};

// What is asked for with a commit.
struct TrialRequest {
  absl::Duration timeout;
  std::string persist_id;  // empty: bound to the session of the commit
};

// Who speaks of a trial.
struct Claim {
  uint64_t session = 0;    // 0: gRPC, files and the command line, which have none
  std::string persist_id;  // empty: none was named
};

}  // namespace portolan::config
