// One reason to refuse a configuration: a regular value type, the same for what YANG finds and for
// what the rules between entries find.
#pragma once

#include <string>

namespace portolan::config {

struct Problem {
  std::string source;   // "home.json:12"; empty: not from a file
  std::string path;     // YANG data path
  std::string rule;     // stable, kebab-case
  std::string message;  // for a person; names object and field
  std::string remedy;
  friend bool operator==(const Problem&, const Problem&) = default;
};

}  // namespace portolan::config
