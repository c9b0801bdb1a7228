// Edits and commits <-> the messages of config.proto's RPCs. Pure functions, any thread. What a
// client says about itself is taken as said, never as known.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "services/config-service/core/engine.h"
#include "services/config-service/shell/commit.h"
#include "services/config-service/shell/edit.h"

namespace portolan::config {

// Not authenticated; without line breaks, and cut to the lengths that config.proto says.
Author FromProto(const v1alpha1::Author& proto);

// INVALID_ARGUMENT: there is no such operation, a rollback does not say where to, or the writer is
// not one that comes over RPC or may do this.
absl::StatusOr<Edit> FromProto(const v1alpha1::EditRequest& request);

v1alpha1::Writer ToProto(Writer writer);
v1alpha1::Commit ToProto(const Commit& commit);
v1alpha1::EditResponse ToProto(const Edit& edit, const Answer& answer);

}  // namespace portolan::config
