// YANG modules that plugins bring for their settings: beside ours in the context, so that their
// settings are checked as all configuration is.
//
// Those of stages that are linked in come from the registry (plugins/sdk/factory.h); those of
// shared objects and of plugins in other processes from a directory, since config-service does not
// load plugins. Pure but for the reading of files; any thread.
#pragma once

#include <string>
#include <vector>

#include "services/base/yang/context.h"

namespace portolan::config {

// Where packages put them.
inline constexpr char kYangDir[] = "/usr/share/portolan/yang";

struct PluginModule {
  std::string source;  // "built in", or the file
  std::string text;    // YANG
};

// As the registry has them.
std::vector<PluginModule> BuiltinModules(const std::vector<std::string>& texts);

// The files NAME.yang of a directory, by name; none when there is no such directory. `problems`
// gets a sentence for each that cannot be read.
std::vector<PluginModule> ReadPluginModules(const std::string& directory,
                                            std::vector<std::string>* problems);

// The name in "module NAME {"; empty: it is no module.
std::string ModuleNameOf(const std::string& text);

}  // namespace portolan::config
