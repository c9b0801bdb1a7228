// Extension point "pool-selector": may this pool serve this Service?
//
// The engine asks every selector stage it was given; the first one that refuses decides. Pure; any
// thread. A selector must be a function of what it is given: the engine remembers its answers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "plugins/sdk/stage.h"
#include "services/base/selector/label_selector.h"
#include "services/base/selector/label_set.h"

namespace portolan::plugin {

// Views, valid during one call.
struct PoolFacts {
  absl::string_view name;
  const LabelSelector& service_selector;
  // A namespace passes when it is listed here or any selector matches its labels. Both empty: all
  // pass.
  const std::vector<std::string>& namespaces;
  const std::vector<LabelSelector>& namespace_selectors;
};
struct ServiceFacts {
  absl::string_view key;  // "NAMESPACE/NAME"
  const LabelSet& labels;
  const LabelSet& namespace_labels;  // of a namespace that nobody published: none
};

// A label that a Service must carry, with one of these values, to have any chance at a pool. The
// pseudo-keys of LabelSelector (namespace, name) are allowed.
struct LabelRequirement {
  std::string key;
  std::vector<std::string> values;
};

class PoolSelector : public Stage {
 public:
  static constexpr char kExtensionPoint[] = "pool-selector";

  struct Refusal {
    std::string reason;   // kebab-case, stable: "selector-mismatch"
    std::string message;  // names the part that did not hold
  };

  // Nothing: this stage has no objection.
  virtual std::optional<Refusal> Consider(const PoolFacts& pool,
                                          const ServiceFacts& service) const = 0;

  // A necessary condition, so that the engine need not ask every pool for every Service.
  // Nothing: unknown. It must never exclude a Service that Consider() lets pass.
  virtual std::optional<LabelRequirement> Requires(const PoolFacts&) const { return std::nullopt; }
};

}  // namespace portolan::plugin
