// What an rpc or action answers, as nodes of its model. Private to this room; pure functions, any
// thread.
#pragma once

#include <string>
#include <vector>

#include "services/base/netconf/message.h"

struct lyd_node;

namespace portolan::netconf {

// A copy of the operation, without what it is of, that holds the answer and no argument; the caller
// owns it. Null: an element does not fit the model, and `why` says which.
lyd_node* ToOutput(const lyd_node* operation, const std::vector<Element>& elements,
                   std::string* why);

}  // namespace portolan::netconf
