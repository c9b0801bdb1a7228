// What the commands that ask a node's datapath share: the way to it, and reading files for it.
// Blocking; functions without state.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "api/proto/datapath/v1alpha1/control.grpc.pb.h"
#include "tools/portolan/commands.h"

namespace portolan::cli {

// Of the first of the places that has a datapath.
absl::StatusOr<std::unique_ptr<datapath::v1alpha1::DatapathControl::Stub>> OpenDatapath(
    const Places& places);

// The content of a file; "-" is standard input. NOT_FOUND: it cannot be read.
absl::StatusOr<std::string> ReadAll(const std::string& file);

}  // namespace portolan::cli
