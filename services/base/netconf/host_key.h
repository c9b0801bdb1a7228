// The host key of an SSH endpoint: a file that is made at the first use. Blocking; one thread at a
// time.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace portolan::netconf {

// A key is at `path` afterwards: the one that was there, or a new one (ECDSA on P-256, mode 0600),
// which is there whole or not at all. Errors name the file and the remedy.
absl::Status EnsureHostKey(const std::string& path);

}  // namespace portolan::netconf
