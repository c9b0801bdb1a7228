// Errors that a session's intake has found, until the session answers with them. Private to this
// room. Thread-safe: the intake puts them in on one thread, the session takes them on another.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "services/base/netconf/error.h"

namespace portolan::netconf {

class Refusals {
 public:
  // An identifier that no module has.
  std::string Keep(Error error) {
    absl::MutexLock lock(&mutex_);
    const std::string identifier = absl::StrCat("refused:", ++last_);
    errors_[identifier] = std::move(error);
    return identifier;
  }
  std::optional<Error> Take(const std::string& identifier) {
    absl::MutexLock lock(&mutex_);
    const auto it = errors_.find(identifier);
    if (it == errors_.end()) return std::nullopt;
    std::optional<Error> error = std::move(it->second);
    errors_.erase(it);
    return error;
  }

 private:
  absl::Mutex mutex_;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Error> errors_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::netconf
