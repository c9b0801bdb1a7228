// Early return for absl::Status and absl::StatusOr (Debian's Abseil has no such macros), and
// Annotate() to add context while an error rises.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace portolan {

// "context: message", same code. OK stays OK.
inline absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

}  // namespace portolan

#define PORTOLAN_CONCAT_INNER_(a, b) a##b
#define PORTOLAN_CONCAT_(a, b) PORTOLAN_CONCAT_INNER_(a, b)

// Returns the status of `expr` from the enclosing function unless it is OK.
#define RETURN_IF_ERROR(expr)                                                                    \
  do {                                                                                           \
    if (absl::Status portolan_status_ = (expr); !portolan_status_.ok()) return portolan_status_; \
  } while (false)

// ASSIGN_OR_RETURN(auto x, F()): declares or assigns, or returns F()'s error.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL_(PORTOLAN_CONCAT_(portolan_status_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                           \
  if (!tmp.ok()) return tmp.status();          \
  lhs = *std::move(tmp)
