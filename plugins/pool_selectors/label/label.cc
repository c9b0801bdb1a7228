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

bool NamespacePasses(const PoolFacts& pool, const ServiceFacts& service) {
  if (pool.namespaces.empty() && pool.namespace_selectors.empty()) return true;
  const absl::string_view name = NamespaceOf(service.key);
  if (std::find(pool.namespaces.begin(), pool.namespaces.end(), name) != pool.namespaces.end()) {
    return true;
  }
  return std::any_of(pool.namespace_selectors.begin(), pool.namespace_selectors.end(),
                     [&](const LabelSelector& selector) {
                       return selector.FirstMismatch(service.key, service.namespace_labels).empty();
                     });
}

PoolSelector::Refusal NamespaceRefusal(const PoolFacts& pool, absl::string_view key) {
  std::string message = absl::StrCat("namespace \"", NamespaceOf(key), "\" ");
  if (!pool.namespaces.empty()) {
    absl::StrAppend(&message, "is not in the pool's namespaces [",
                    absl::StrJoin(pool.namespaces, ", "), "]");
  }
  if (!pool.namespace_selectors.empty()) {
    absl::StrAppend(&message, pool.namespaces.empty() ? "" : " and ",
                    "has no labels that meet the pool's namespace selectors [",
                    absl::StrJoin(pool.namespace_selectors, " or ",
                                  [](std::string* out, const LabelSelector& selector) {
                                    absl::StrAppend(out, selector.ToString());
                                  }),
                    "]");
  }
  return {"namespace-mismatch", std::move(message)};
}

class Label : public PoolSelector {
 public:
  std::optional<Refusal> Consider(const PoolFacts& pool,
                                  const ServiceFacts& service) const override {
    if (!NamespacePasses(pool, service)) return NamespaceRefusal(pool, service.key);
    std::string mismatch = pool.service_selector.FirstMismatch(service.key, service.labels);
    if (mismatch.empty()) return std::nullopt;
    return Refusal{"selector-mismatch",
                   absl::StrCat("the Service does not meet the pool's selector: ", mismatch)};
  }

  std::optional<LabelRequirement> Requires(const PoolFacts& pool) const override {
    if (!pool.namespaces.empty() && pool.namespace_selectors.empty()) {
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
