// The startup datastore: DIRECTORY/startup.json, what a Portolan begins with that has no running
// configuration yet (RFC 6241, section 8.7; decision 0046). Blocking; one thread at a time.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/config-service/shell/files.h"

namespace portolan::config {

class Startup {
 public:
  // `files` is not owned.
  Startup(Files* files, std::string directory);

  // JSON, RFC 7951; nothing: there is none.
  absl::StatusOr<std::optional<std::string>> Read();
  // OK: durable. An error: whoever starts next finds the text before or this one, whole.
  absl::Status Write(const std::string& text);
  // OK: gone, also when there was none.
  absl::Status Remove();

  const std::string& path() const { return path_; }

 private:
  Files* const files_;
  const std::string directory_;
  const std::string path_;
};

}  // namespace portolan::config
