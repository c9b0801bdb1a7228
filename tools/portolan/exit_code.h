// Exit codes of the command line, the same for every command, so that scripts can rely on them.
// Results go to standard output, what went wrong to standard error.
#pragma once

#include "absl/status/status.h"

namespace portolan::cli {

inline constexpr int kOk = 0;
inline constexpr int kError = 1;         // it could not be done; said on standard error
inline constexpr int kUsage = 2;         // the command's words are off
inline constexpr int kNotSatisfied = 3;  // asked for and answered: it is not (yet) in force
inline constexpr int kNotFound = 4;

// Says the error on standard error; kNotFound or kError.
int Fail(const absl::Status& status);

}  // namespace portolan::cli
