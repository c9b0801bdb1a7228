// What the modules say about a client's hello and about the operations that it asks for. Private
// to this room; pure functions, any thread.
#pragma once

#include <optional>
#include <string>

#include "services/base/netconf/envelope.h"
#include "services/base/netconf/error.h"
#include "services/base/netconf/framing.h"
#include "services/base/netconf/libnetconf2.h"

namespace portolan::netconf {

// The highest version that a client's hello and we have in common (RFC 6241, section 8.1). Nothing:
// there is none, or it is no hello of a client.
std::optional<Version> VersionOf(const ly_ctx* context, const std::string& hello);

// Nothing: `context` has the operation, or it is an action.
std::optional<Error> CheckOperation(const ly_ctx* context, const ElementName& operation);

}  // namespace portolan::netconf
