#include "plugins/sdk/factory.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace portolan::plugin {

absl::Status ExpectNoSettings(absl::string_view stage, absl::string_view settings) {
  absl::string_view rest = absl::StripAsciiWhitespace(settings);
  if (rest.empty()) return absl::OkStatus();
  if (rest.front() == '{' && rest.back() == '}' && rest.size() >= 2 &&
      absl::StripAsciiWhitespace(rest.substr(1, rest.size() - 2)).empty()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("plugin \"", stage,
                                                 "\" has no settings, but \"settings\" is not "
                                                 "empty; remove it"));
}

}  // namespace portolan::plugin
