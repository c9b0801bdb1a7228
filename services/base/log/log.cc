#include "services/base/log/log.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace portolan {
namespace {

const char* Name(Log::Level level) {
  switch (level) {
    case Log::Level::kDebug:
      return "debug";
    case Log::Level::kInfo:
      return "info";
    case Log::Level::kWarning:
      return "warning";
    case Log::Level::kError:
      return "error";
  }
  return "error";
}

bool NeedsNoEscape(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

// Bytes that are not UTF-8 (a hostile name) are replaced, never thrown upon.
void AppendQuoted(std::string& to, absl::string_view text) {
  if (NeedsNoEscape(text)) {
    absl::StrAppend(&to, "\"", text, "\"");
    return;
  }
  to += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Log::Log(std::string service, Level threshold, int fd)
    : service_(std::move(service)), threshold_(threshold), fd_(fd) {}

void Log::Debug(absl::string_view message, Fields fields) const {
  Write(Level::kDebug, message, fields);
}
void Log::Info(absl::string_view message, Fields fields) const {
  Write(Level::kInfo, message, fields);
}
void Log::Warning(absl::string_view message, Fields fields) const {
  Write(Level::kWarning, message, fields);
}
void Log::Error(absl::string_view message, Fields fields) const {
  Write(Level::kError, message, fields);
}

void Log::Write(Level level, absl::string_view message, Fields fields) const {
  if (level < threshold_) return;
  std::string text = absl::StrCat(
      "{\"ts\":\"", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()),
      "\",\"level\":\"", Name(level), "\"");
  const auto append = [&text](absl::string_view key, absl::string_view value) {
    text += ',';
    AppendQuoted(text, key);
    text += ':';
    AppendQuoted(text, value);
  };
  append("svc", service_);
  append("msg", message);
  for (const auto& [key, value] : fields) append(key, value);
  absl::StrAppend(&text, "}\n");
  // One write a line, so that lines of threads and processes do not mix. Nobody to tell on error.
  [[maybe_unused]] const ssize_t written = write(fd_, text.data(), text.size());
}

}  // namespace portolan
