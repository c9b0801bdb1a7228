// What is wrong with a text or a tree, one entry per place: a regular value type, owned by whoever
// asked. Its words are for a person; programs look at `rule` and `path`.
#pragma once

#include <string>

namespace portolan::yang {

struct Finding {
  // Data path with module names and key predicates, as in RFC 7951 section 6.11; empty: the whole.
  std::string path;
  // In the parsed text, from 1; 0: unknown.
  int line = 0;
  // Stable, kebab-case: the error-app-tag of the broken statement where it has one, else "syntax",
  // "unknown-node", "attribute", "missing-key", "mandatory", "choice", "duplicate", "type",
  // "xpath", "data-missing", "internal".
  std::string rule;
  // One line, for a person.
  std::string message;
  // What belongs at `path`, from the model's description; may be empty.
  std::string expected;

  friend bool operator==(const Finding&, const Finding&) = default;
};

}  // namespace portolan::yang
