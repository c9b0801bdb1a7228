// Text that a user wrote, as it may stand in a message: it may be long and of any bytes.
// Pure; thread-safe.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace portolan::ipam {

// At most the first 64 octets of it, escaped where they are not printable.
std::string Shown(absl::string_view text);

}  // namespace portolan::ipam
