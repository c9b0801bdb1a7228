// Where an entry stands in the YANG data: the paths that problems name, and those that name one
// place and nothing else. Pure functions; names with a quote in them are quoted with the other
// kind, as XPath 1.0 has it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

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

struct PathStep {
  std::string module;  // empty: not said
  std::string name;
  std::map<std::string, std::string> keys;
  friend bool operator==(const PathStep&, const PathStep&) = default;
};

// The steps of "/m:a/b[key='value']/c". Nothing: the expression is more than that (another axis, a
// function, a position, a union), or no expression at all.
std::optional<std::vector<PathStep>> ParseDataPath(absl::string_view text);

}  // namespace portolan::config
