#include "services/base/netconf/envelope.h"

#include <cstddef>
#include <map>
#include <utility>

#include "absl/strings/strip.h"
#include "services/base/netconf/start_tag.h"

namespace portolan::netconf {
namespace {

// Prefixes and what they stand for; "" is what has none.
using Namespaces = std::map<std::string, std::string, std::less<>>;

// Skips to behind `end`. False: it does not come.
bool SkipBehind(absl::string_view end, absl::string_view* text) {
  const size_t at = text->find(end);
  if (at == absl::string_view::npos) return false;
  text->remove_prefix(at + end.size());
  return true;
}

// White space, comments and processing instructions.
bool SkipMisc(absl::string_view* text) {
  for (;;) {
    SkipSpace(text);
    if (absl::ConsumePrefix(text, "<!--")) {
      if (!SkipBehind("-->", text)) return false;
    } else if (absl::ConsumePrefix(text, "<?")) {
      if (!SkipBehind("?>", text)) return false;
    } else {
      return true;
    }
  }
}

void Declare(const StartTag& tag, Namespaces* namespaces) {
  for (const auto& [name, value] : tag.attributes) {
    absl::string_view prefix = name;
    if (name == "xmlns") {
      (*namespaces)[""] = value;
    } else if (absl::ConsumePrefix(&prefix, "xmlns:")) {
      (*namespaces)[std::string(prefix)] = value;
    }
  }
}

// Nothing: a prefix that nobody declared, or a namespace that is written with references.
std::optional<ElementName> Resolve(absl::string_view name, const Namespaces& namespaces) {
  const size_t colon = name.find(':');
  const bool plain = colon == absl::string_view::npos;
  const auto it = namespaces.find(plain ? "" : name.substr(0, colon));
  if (it == namespaces.end()) {
    if (!plain) return std::nullopt;
    return ElementName{"", std::string(name)};
  }
  if (it->second.find('&') != std::string::npos) return std::nullopt;
  return ElementName{it->second, std::string(plain ? name : name.substr(colon + 1))};
}

}  // namespace

std::optional<Envelope> ReadEnvelope(absl::string_view head) {
  absl::ConsumePrefix(&head, "\xEF\xBB\xBF");
  if (!SkipMisc(&head)) return std::nullopt;
  const std::optional<StartTag> root = TakeStartTag(&head);
  if (!root.has_value()) return std::nullopt;
  Namespaces namespaces;
  Declare(*root, &namespaces);
  std::optional<ElementName> name = Resolve(root->name, namespaces);
  if (!name.has_value()) return std::nullopt;
  Envelope envelope;
  envelope.root = *std::move(name);
  envelope.start_tag = std::string(root->text);
  envelope.tag_name = std::string(root->name);
  envelope.has_message_id = root->attributes.count("message-id") != 0;
  if (root->is_empty || !SkipMisc(&head)) return envelope;
  if (const std::optional<StartTag> child = TakeStartTag(&head)) {
    Declare(*child, &namespaces);
    envelope.operation = Resolve(child->name, namespaces);
  }
  return envelope;
}

}  // namespace portolan::netconf
