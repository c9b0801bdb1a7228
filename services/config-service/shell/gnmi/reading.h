// What a path of gNMI stands for, of configuration and state: each instance with its value. Pure
// functions; any thread, the trees are the caller's. Secrets are not in it, nor what the caller may
// not read; what holds by default is.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "api/proto/gnmi/gnmi.pb.h"
#include "services/base/yang/tree.h"
#include "services/config-service/shell/configuration.h"
#include "services/config-service/shell/gnmi/caller.h"

namespace portolan::config {

// What is looked at. Nothing is owned.
struct View {
  const Configuration* configuration = nullptr;  // null: state alone
  const yang::Tree* state = nullptr;             // what services report; null: configuration alone
  const Caller* caller = nullptr;
};

struct Instance {
  ::gnmi::Path path;
  std::string json;  // RFC 7951; of a leaf-list all its values
};

// Of an XPath of ToXPath(). INVALID_ARGUMENT: the modules have no such path.
absl::StatusOr<std::vector<Instance>> InstancesOf(const View& view, const std::string& xpath);

// The same, down to the leaves.
absl::StatusOr<std::vector<Instance>> LeavesOf(const View& view, const std::string& xpath);

::gnmi::TypedValue ToValue(const std::string& json, ::gnmi::Encoding encoding);

// Nothing but JSON is understood. UNIMPLEMENTED: another encoding.
absl::Status CheckEncoding(::gnmi::Encoding encoding);

}  // namespace portolan::config
