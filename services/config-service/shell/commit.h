// What is remembered of a commit, and what an edit says about itself. Regular values: whoever has
// one owns it, on any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "services/base/yang/compare.h"

namespace portolan::config {

// Who, from where, and why. gRPC does not show us the credentials of a socket's peer, so what comes
// over it is what the client says; `authenticated` is for ways in that know.
struct Author {
  std::string user;
  bool authenticated = false;
  std::string origin;  // "portolan on router1", a file
  std::string comment;
  friend bool operator==(const Author&, const Author&) = default;
};

struct Commit {
  uint64_t revision = 0;
  absl::Time time;  // of the wall, whole milliseconds
  Author author;
  std::string operation;        // "merge", "rollback to 3"; for people
  yang::Comparison comparison;  // against the revision before; its beginning
  friend bool operator==(const Commit&, const Commit&) = default;
};

}  // namespace portolan::config
