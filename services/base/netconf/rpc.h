// Requests and replies between libnetconf2 and this room's types. Private to this room; pure
// functions, any thread.
#pragma once

#include "services/base/netconf/libnetconf2.h"
#include "services/base/netconf/message.h"
#include "services/base/yang/finding.h"

namespace portolan::netconf {

// Good as long as `rpc`: the operation as libnetconf2 hands it over.
Request ToRequest(const lyd_node* rpc);

// Of a request that was refused before anybody saw it.
Error ToError(const yang::Finding& finding);

// An <rpc-error>, which the caller owns.
lyd_node* ToNode(const ly_ctx* context, const Error& error);

// The caller owns the result. Null: out of memory.
nc_server_reply* ToReply(const lyd_node* rpc, const Reply& reply);

}  // namespace portolan::netconf
