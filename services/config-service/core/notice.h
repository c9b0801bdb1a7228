// Something that happened to an object, as subscribers are told of it: a notification of our YANG
// modules. A value; `leaves` stand in the order of the module.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace portolan::config {

struct Notice {
  const char* module = "";  // "portolan-events"; as `name` and the names of leaves a literal
  const char* name = "";    // "address-assigned"
  std::vector<std::pair<const char*, std::string>> leaves = {};
};

}  // namespace portolan::config
