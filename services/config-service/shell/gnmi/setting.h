// A Set of gNMI as a draft, and problems as codes of gRPC. Pure functions; any thread, the request
// is the caller's.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "api/proto/gnmi/gnmi.pb.h"
#include "services/config-service/core/problem.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {

// `base` after the deletions, replacements and updates. Deleting what is not there is no error. A
// problem names the path or value that does not fit the modules.
Edited DraftOf(const Model& model, const Configuration& base, const ::gnmi::SetRequest& request);

// What was done, path by path.
::gnmi::SetResponse ResponseOf(const ::gnmi::SetRequest& request);

// Not empty. The code is of the first one, the message has all of them.
absl::Status ToStatus(const std::vector<Problem>& problems);

}  // namespace portolan::config
