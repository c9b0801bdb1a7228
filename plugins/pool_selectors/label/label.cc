#include "plugins/pool_selectors/label/label.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "plugins/sdk/pool_selector.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

absl::string_view NamespaceOf(absl::string_view key) { return key.substr(0, key.find('/')); }

class Label : public PoolSelector {
 public:
  std::optional<Refusal> Consider(const PoolFacts& pool,
                                  const ServiceFacts& service) const override {
    const absl::string_view service_namespace = NamespaceOf(service.key);
    if (!pool.namespaces.empty() && std::find(pool.namespaces.begin(), pool.namespaces.end(),
                                              service_namespace) == pool.namespaces.end()) {
      return Refusal{"namespace-mismatch", absl::StrCat("namespace \"", service_namespace,
                                                        "\" is not in the pool's namespaces [",
                                                        absl::StrJoin(pool.namespaces, ", "), "]")};
    }
    std::string mismatch = pool.service_selector.FirstMismatch(service.key, service.labels);
    if (mismatch.empty()) return std::nullopt;
    return Refusal{"selector-mismatch",
                   absl::StrCat("the Service does not meet the pool's selector: ", mismatch)};
  }

  std::optional<LabelRequirement> Requires(const PoolFacts& pool) const override {
    if (!pool.namespaces.empty()) {
      return LabelRequirement{std::string(LabelSelector::kNamespaceKey), pool.namespaces};
    }
    for (const LabelSelector::Expression& expression : pool.service_selector.expressions()) {
      if (expression.op == LabelSelector::Operator::kIn) {
        return LabelRequirement{expression.key, expression.values};
      }
    }
    return std::nullopt;
  }
};

}  // namespace

std::unique_ptr<Factory> NewLabelFactory() {
  return std::make_unique<FunctionFactory<PoolSelector>>(
      "label", [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<PoolSelector>> {
        RETURN_IF_ERROR(ExpectNoSettings("label", settings));
        return std::make_unique<Label>();
      });
}

}  // namespace portolan::plugin
