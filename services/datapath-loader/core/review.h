// What an edit of the configuration would do to this node's datapath, before it is done. Pure: the
// shell asks the kernel and the engine, and hands over what they say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace portolan::datapath {

struct MapRoom {
  uint64_t flows = 0;
  uint64_t frontends = 0;
  uint64_t backends = 0;
  friend bool operator==(const MapRoom&, const MapRoom&) = default;
};

// An interface that the edit names anew, or gives another mode.
struct ReviewedInterface {
  std::string name;
  // NOT_FOUND: it is not there. FAILED_PRECONDITION: it cannot carry the datapath, or not so.
  absl::Status may_carry;
};

struct ReviewInput {
  std::string node;
  bool ends = false;  // the edit ends datapath-loader
  std::vector<ReviewedInterface> interfaces;
  bool carries_before = false;  // some interface does
  bool names_any = false;       // the edit leaves, or names, an interface of this node
  MapRoom loaded;               // of the maps that are there
  MapRoom configured;           // before the edit
  MapRoom proposed;
  MapRoom in_use;  // flows: not known, 0
};

struct ReviewFinding {
  bool refuse = false;
  std::string path;
  // "interface-missing", "interface-unfit", "map-too-small", "needs-restart", "not-carried"
  std::string rule;
  std::string message;
  std::string remedy;
  friend bool operator==(const ReviewFinding&, const ReviewFinding&) = default;
};

// Refused is what this node's kernel cannot do now: a mode that an interface there has not, and a
// map with less room than is in use. What may come later (an interface) or takes what is asked for
// (less forwarding) is only said.
std::vector<ReviewFinding> Review(const ReviewInput& input);

}  // namespace portolan::datapath
