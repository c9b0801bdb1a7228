// A start tag of XML, read without what comes before and after it. Private to this room; pure
// functions, whose results are views of the text.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace portolan::netconf {

struct StartTag {
  absl::string_view text;  // between '<' and '>', without the '/' of an empty element
  absl::string_view name;
  std::map<std::string, std::string, std::less<>> attributes;
  bool is_empty = false;
};

void SkipSpace(absl::string_view* text);

// What stands at the front of `text` and could be a name; may be empty.
absl::string_view TakeName(absl::string_view* text);

// Takes a tag from the front. Nothing: there is none that is whole and well-formed.
std::optional<StartTag> TakeStartTag(absl::string_view* text);

}  // namespace portolan::netconf
