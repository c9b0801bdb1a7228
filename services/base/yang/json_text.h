// What libyang lets pass in a JSON text and we do not: bytes after the end, the same member twice
// (the first would be lost silently), nesting without bound. Private to this room.
#pragma once

#include <optional>
#include <string>

#include "services/base/yang/finding.h"

namespace portolan::yang {

// The first thing that is wrong with the text as JSON (RFC 8259, with unique member names as
// RFC 7493 section 2.3 has it); nothing: all is well.
std::optional<Finding> CheckJson(const std::string& text);

}  // namespace portolan::yang
