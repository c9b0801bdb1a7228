#include "services/ipam-service/core/shown.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace portolan::ipam {

std::string Shown(absl::string_view text) {
  constexpr size_t kShown = 64;
  return absl::StrCat(absl::CHexEscape(text.substr(0, kShown)), text.size() > kShown ? "..." : "");
}

}  // namespace portolan::ipam
