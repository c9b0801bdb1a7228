#include "services/base/netconf/start_tag.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/strip.h"

namespace portolan::netconf {
namespace {

constexpr absl::string_view kSpace = " \t\r\n";

// name = "value"
bool TakeAttribute(absl::string_view* text, StartTag* tag) {
  const absl::string_view name = TakeName(text);
  SkipSpace(text);
  if (name.empty() || !absl::ConsumePrefix(text, "=")) return false;
  SkipSpace(text);
  if (text->empty() || (text->front() != '"' && text->front() != '\'')) return false;
  const char quote = text->front();
  text->remove_prefix(1);
  const size_t end = text->find(quote);
  if (end == absl::string_view::npos) return false;
  const absl::string_view value = text->substr(0, end);
  text->remove_prefix(end + 1);
  if (value.find('<') != absl::string_view::npos) return false;
  return tag->attributes.emplace(name, value).second;
}

}  // namespace

void SkipSpace(absl::string_view* text) {
  text->remove_prefix(std::min(text->find_first_not_of(kSpace), text->size()));
}

absl::string_view TakeName(absl::string_view* text) {
  const absl::string_view name = text->substr(0, text->find_first_of(" \t\r\n/>=<\"'&"));
  text->remove_prefix(name.size());
  return name;
}

std::optional<StartTag> TakeStartTag(absl::string_view* text) {
  StartTag tag;
  if (!absl::ConsumePrefix(text, "<")) return std::nullopt;
  const absl::string_view begin = *text;
  tag.name = TakeName(text);
  if (tag.name.empty() || tag.name.front() == '!' || tag.name.front() == '?') return std::nullopt;
  for (;;) {
    const size_t before = text->size();
    SkipSpace(text);
    const absl::string_view so_far = begin.substr(0, begin.size() - text->size());
    tag.is_empty = absl::ConsumePrefix(text, "/");
    if (absl::ConsumePrefix(text, ">")) {
      tag.text = so_far;
      return tag;
    }
    // Attributes stand apart.
    if (tag.is_empty || text->size() == before || !TakeAttribute(text, &tag)) return std::nullopt;
  }
}

}  // namespace portolan::netconf
