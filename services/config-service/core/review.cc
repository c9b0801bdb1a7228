#include "services/config-service/core/review.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::config {
namespace {

// A stage without an entry runs.
bool Runs(const Snapshot& snapshot, const std::string& component) {
  const auto stage = snapshot.pipeline_stages.find(component);
  return stage == snapshot.pipeline_stages.end() || stage->second.enabled;
}

Snapshot BgpPart(const Snapshot& snapshot) {
  return {.nodes = snapshot.nodes,
          .bgp_instances = snapshot.bgp_instances,
          .bgp_peers = snapshot.bgp_peers,
          .bgp_advertisements = snapshot.bgp_advertisements};
}

Snapshot L2Part(const Snapshot& snapshot) {
  return {.nodes = snapshot.nodes, .l2_policies = snapshot.l2_policies};
}

Snapshot DatapathPart(const Snapshot& snapshot) {
  return {.datapath_interfaces = snapshot.datapath_interfaces,
          .datapath_settings = snapshot.datapath_settings};
}

struct Part {
  const char* component;
  const char* program;
  const char* what;  // is asked
  Snapshot (*of)(const Snapshot& snapshot);
};

constexpr Part kParts[] = {
    {"bgp", "bgp-exporter", "which sessions it resets and which routes it withdraws", BgpPart},
    {"l2", "l2-announcer", "which addresses lose who answers for them", L2Part},
    {"datapath", "datapath-loader", "whether this node's kernel can do it", DatapathPart},
};

const Part& PartOf(const std::string& component) {
  for (const Part& part : kParts) {
    if (component == part.component) return part;
  }
  return kParts[0];
}

}  // namespace

std::vector<ReviewQuestion> QuestionsOf(const Snapshot& running, const Snapshot& candidate) {
  std::vector<ReviewQuestion> questions;
  for (const Part& part : kParts) {
    if (!Runs(running, part.component)) continue;
    if (!Runs(candidate, part.component)) {
      questions.push_back({.component = part.component, .ends = true, .part = {}});
      continue;
    }
    Snapshot proposed = part.of(candidate);
    if (part.of(running) == proposed) continue;
    questions.push_back({.component = part.component, .part = std::move(proposed)});
  }
  return questions;
}

std::string ProgramOf(const std::string& component) { return PartOf(component).program; }

std::string WarningOf(const Problem& problem) {
  return absl::StrCat(problem.message, problem.remedy.empty() ? "" : "; ", problem.remedy);
}

std::string UnaskedWarning(const std::string& component, const std::string& reason) {
  const Part& part = PartOf(component);
  return absl::StrCat(part.program, " of this node could not be asked about the edit (", reason,
                      "), so it is not known ", part.what);
}

}  // namespace portolan::config
