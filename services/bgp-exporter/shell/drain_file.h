// A file in the state directory that exists while the node is drained: when its routes are, or
// were, withdrawn, in milliseconds of the wall clock.
//
// A node that was drained for work on it must not attract traffic because a process was restarted
// or the machine rebooted meanwhile. A file that cannot be read counts as "withdraw now" for the
// same reason. Blocking file calls of a few octets. Not thread-safe.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace portolan::bgp {

class DrainFile {
 public:
  explicit DrainFile(const std::string& state_dir);

  // Nothing: the node is not drained.
  std::optional<absl::Time> Read() const;
  // Durable when it returns; nothing: the node is not drained. After an error the next life may
  // find the one or the other.
  absl::Status Write(std::optional<absl::Time> withdraw_at);

  const std::string& path() const { return path_; }

 private:
  const std::string directory_;
  const std::string path_;
};

}  // namespace portolan::bgp
