// Paths and values of gNMI <-> those of our trees. Pure functions; any thread, a node is the
// caller's.
//
// The first element names its module ("portolan-ipam:ipam"), as in RFC 7951; an element without one
// is of the module above it. "*" stands for any name or key, "..." for any depth.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "api/proto/gnmi/gnmi.pb.h"
#include "services/base/yang/tree.h"

namespace portolan::config {

// Of `path` below `prefix`; "/" is everything. INVALID_ARGUMENT: no such path can be.
absl::StatusOr<std::string> ToXPath(const ::gnmi::Path& prefix, const ::gnmi::Path& path);

// It may stand for several places, or none.
bool HasWildcard(const ::gnmi::Path& prefix, const ::gnmi::Path& path);

// For messages and to tell paths apart: "/portolan-ipam:ipam/pools/pool[name=a]".
std::string ToText(const ::gnmi::Path& path);

// A document of RFC 7951 that has nothing but the value at its path. INVALID_ARGUMENT: the value is
// not JSON, or the path has a wildcard.
absl::StatusOr<std::string> ToDocument(const ::gnmi::Path& prefix, const ::gnmi::Path& path,
                                       const ::gnmi::TypedValue& value);

::gnmi::Path PathOf(yang::Node node);

}  // namespace portolan::config
