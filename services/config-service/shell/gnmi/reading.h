// What a path of gNMI stands for in a configuration: each instance with its value. Pure functions;
// any thread. Secrets are not in it; what holds by default is.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "api/proto/gnmi/gnmi.pb.h"
#include "services/config-service/shell/configuration.h"

namespace portolan::config {

struct Instance {
  ::gnmi::Path path;
  std::string json;  // RFC 7951; of a leaf-list all its values
};

// Of an XPath of ToXPath(). INVALID_ARGUMENT: the modules have no such path.
absl::StatusOr<std::vector<Instance>> InstancesOf(const Configuration& configuration,
                                                  const std::string& xpath);

// The same, down to the leaves.
absl::StatusOr<std::vector<Instance>> LeavesOf(const Configuration& configuration,
                                               const std::string& xpath);

::gnmi::TypedValue ToValue(const std::string& json, ::gnmi::Encoding encoding);

// Nothing but JSON is understood. UNIMPLEMENTED: another encoding.
absl::Status CheckEncoding(::gnmi::Encoding encoding);

}  // namespace portolan::config
