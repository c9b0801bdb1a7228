// What a model says about access to a node when no rule does: RFC 8341, section 3.5. Regular values
// of immutable schemas, any thread.
#pragma once

#include <cstdint>

struct lysc_node;

namespace portolan::yang {

// A node has it from the nearest ancestor that says it.
enum class Deny : uint8_t {
  kNothing,
  kWrite,  // nacm:default-deny-write
  kAll,    // nacm:default-deny-all
};

// For this room.
Deny DenyOf(const lysc_node* schema);

}  // namespace portolan::yang
