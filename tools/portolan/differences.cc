#include "tools/portolan/differences.h"

#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"

namespace portolan::cli {
namespace {

using config::v1alpha1::Difference;

std::string TextOf(const Difference& difference) {
  const auto with = [&](const char* sign, const std::string& value) {
    return absl::StrCat(sign, " ", difference.path(), value.empty() ? "" : ": ", value);
  };
  switch (difference.kind()) {
    case config::v1alpha1::DIFFERENCE_KIND_ADDED:
      return with("+", difference.after());
    case config::v1alpha1::DIFFERENCE_KIND_REMOVED:
      return with("-", difference.before());
    case config::v1alpha1::DIFFERENCE_KIND_REORDERED:
      return with("^", "in another order");
    default:
      return with("~", absl::StrCat(difference.before(), " -> ", difference.after()));
  }
}

template <typename M>
void Print(const M& message) {
  for (const Difference& difference : message.differences()) {
    std::cout << TextOf(difference) << '\n';
  }
  if (message.more_differences() > 0) {
    std::cout << "and " << message.more_differences() << " more\n";
  }
}

}  // namespace

void PrintDifferences(const config::v1alpha1::EditResponse& response) { Print(response); }
void PrintDifferences(const config::v1alpha1::Commit& commit) { Print(commit); }

}  // namespace portolan::cli
