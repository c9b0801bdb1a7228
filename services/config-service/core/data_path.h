// Where an entry stands in the YANG data: the paths that problems name. Pure functions; names with
// a quote in them are quoted with the other kind, as XPath 1.0 has it.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace portolan::config {

inline constexpr char kPoolsPath[] = "/portolan-ipam:ipam/pools";

// 'text' or "text".
inline std::string Quote(absl::string_view text) {
  const char* quote = text.find('\'') == absl::string_view::npos ? "'" : "\"";
  return absl::StrCat(quote, text, quote);
}

inline std::string PoolPath(absl::string_view pool) {
  return absl::StrCat(kPoolsPath, "/pool[name=", Quote(pool), "]");
}

}  // namespace portolan::config
