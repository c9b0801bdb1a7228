// Arguments of NETCONF operations (RFC 6241, RFC 8526) as values, and errors as replies. Pure
// functions, any thread; nodes belong to the request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "services/base/netconf/message.h"
#include "services/base/yang/tree.h"
#include "services/config-service/core/locks.h"
#include "services/config-service/shell/rpc_error.h"

namespace portolan::config {

// Text of a child; nothing: it is not there.
std::optional<std::string> TextOf(yang::Node parent, absl::string_view child);

// "2026-11-27T12:00:00.000Z".
std::string DateAndTime(absl::Time time);

// The datastore that a <source> or <target> names, or a leaf <datastore> of RFC 8526. Nothing: none
// that we have, or none at all.
std::optional<Datastore> DatastoreOf(yang::Node choice);

netconf::Error ToError(const RpcError& error);
netconf::Reply ToReply(const RpcErrors& errors);
// One error of type protocol.
netconf::Reply Refuse(std::string tag, std::string message);

}  // namespace portolan::config
