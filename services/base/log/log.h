// Structured log lines: one JSON object a line on standard error, one line per state change.
//
//   log.Info("address assigned", {{"key", key}, {"address", address}});
//   {"ts":"2026-11-24T02:00:00.123Z","level":"info","svc":"ipam","msg":"address
//   assigned","key":...}
//
// Thread-safe. Used by shells only; cores return what happened instead.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace portolan {

class Log {
 public:
  enum class Level { kDebug, kInfo, kWarning, kError };
  using Fields = std::initializer_list<std::pair<absl::string_view, absl::string_view>>;

  // `service` stands in every line. `fd` is not owned.
  explicit Log(std::string service, Level threshold = Level::kInfo, int fd = 2);

  void Debug(absl::string_view message, Fields fields = {}) const;
  void Info(absl::string_view message, Fields fields = {}) const;
  void Warning(absl::string_view message, Fields fields = {}) const;
  void Error(absl::string_view message, Fields fields = {}) const;

 private:
  void Write(Level level, absl::string_view message, Fields fields) const;

  std::string service_;
  Level threshold_;
  int fd_;
};

}  // namespace portolan
