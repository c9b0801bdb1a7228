// The plugins that are linked in: the one explicit list. Adding a plugin touches its own room and
// builtin.cc, nothing else; two plugins of one name are a bug and end the process at the start.
#pragma once

#include "plugins/sdk/registry.h"

namespace portolan::plugin {

// A registry with every built-in plugin. Call it in main() and keep it for the process's life.
Registry NewBuiltinRegistry();

}  // namespace portolan::plugin
