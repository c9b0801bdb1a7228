#include "services/config-service/core/nacm_path.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace portolan::config {
namespace {

// Takes what stands before the first of `ends`.
absl::string_view TakeUntil(absl::string_view ends, absl::string_view* rest) {
  const absl::string_view token = rest->substr(0, rest->find_first_of(ends));
  rest->remove_prefix(token.size());
  return token;
}

// "module:name" or "name".
std::pair<absl::string_view, absl::string_view> SplitName(absl::string_view token) {
  const size_t colon = token.find(':');
  if (colon == absl::string_view::npos) return {"", token};
  return {token.substr(0, colon), token.substr(colon + 1)};
}

// What stands after '['.
bool TakePredicate(absl::string_view* rest, KeyPredicate* predicate) {
  predicate->key = std::string(SplitName(TakeUntil("=]/[", rest)).second);
  if (predicate->key.empty() || !absl::ConsumePrefix(rest, "=") || rest->empty()) return false;
  const char quote = rest->front();
  if (quote != '\'' && quote != '"') return false;
  rest->remove_prefix(1);
  const size_t end = rest->find(quote);
  if (end == absl::string_view::npos) return false;
  predicate->value = std::string(rest->substr(0, end));
  rest->remove_prefix(end + 1);
  return absl::ConsumePrefix(rest, "]");
}

}  // namespace

absl::StatusOr<std::vector<PathStep>> ParseNacmPath(absl::string_view text) {
  const auto bad = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not a path like /module:container/list[key='value']/leaf"));
  };
  std::vector<PathStep> steps;
  if (text == "/") return steps;
  absl::string_view rest = text;
  do {
    if (!absl::ConsumePrefix(&rest, "/")) return bad();
    const auto [module, name] = SplitName(TakeUntil("/[", &rest));
    if (name.empty() || (module.empty() && steps.empty())) return bad();
    PathStep step{std::string(module), std::string(name), {}};
    if (module.empty()) step.module = steps.back().module;
    while (absl::ConsumePrefix(&rest, "[")) {
      if (!TakePredicate(&rest, &step.predicates.emplace_back())) return bad();
    }
    steps.push_back(std::move(step));
  } while (!rest.empty());
  return steps;
}

}  // namespace portolan::config
