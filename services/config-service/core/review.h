// What the services of this node make of an edit before it is committed: whom it concerns, what
// they are asked, and what comes of their answers. Pure values and functions. Addresses in use are
// ipam-service's matter and have a question of their own (plan.h).
#pragma once

#include <string>
#include <vector>

#include "services/config-service/core/problem.h"
#include "services/config-service/core/snapshot.h"

namespace portolan::config {

// To one service. `part` has the tables of its part, as the edit leaves them, and no others.
struct ReviewQuestion {
  std::string component;  // the stage: "bgp", "l2", "datapath"
  bool ends = false;      // the edit ends the stage; `part` is empty then
  Snapshot part;
};

struct ReviewFinding {
  bool refuse = false;  // else it is only said
  Problem problem;
  friend bool operator==(const ReviewFinding&, const ReviewFinding&) = default;
};

// Whom the difference concerns; a stage that does not run now is not asked.
std::vector<ReviewQuestion> QuestionsOf(const Snapshot& running, const Snapshot& candidate);

// The program of a stage: "bgp-exporter".
std::string ProgramOf(const std::string& component);

// The sentence for what does not refuse an edit.
std::string WarningOf(const Problem& problem);
// For a service that has not answered; `reason` in a few words.
std::string UnaskedWarning(const std::string& component, const std::string& reason);

}  // namespace portolan::config
