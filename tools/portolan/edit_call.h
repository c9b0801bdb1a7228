// An edit of the configuration, sent to the process that serves it, and how its answer is told.
// Blocking, at most 30 seconds; for the command line.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "tools/portolan/commands.h"

namespace portolan::cli {

// The text of a file, or of standard input ("-").
absl::StatusOr<std::string> ReadFile(const std::string& file);

// `file` is a path, or "-" for standard input. INVALID_ARGUMENT names a file that cannot be read.
absl::StatusOr<config::v1alpha1::EditRequest> EditOfFile(const std::string& file, bool replace);
config::v1alpha1::EditRequest DeletionOf(const std::string& path);

// Apply, or with `dry_run` Check. An edit that is refused is an answer, not an error.
absl::StatusOr<config::v1alpha1::EditResponse> CallEdit(
    const Places& places, const config::v1alpha1::EditRequest& request, bool dry_run);

// Applies the edit, or with `dry_run` only checks it, tells the outcome and returns the exit code.
int SendEdit(const Places& places, config::v1alpha1::EditRequest request,
             const EditOptions& options);

// On standard error: where, what, which rule, and the remedy.
void PrintProblem(const config::v1alpha1::Problem& problem);
// On standard error: every warning, and every problem with how many they are.
void PrintRemarks(const config::v1alpha1::EditResponse& response);

}  // namespace portolan::cli
