#include "services/config-service/shell/gnmi/path.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::config {
namespace {

using ::gnmi::PathElem;
using nlohmann::json;

std::vector<PathElem> ElementsOf(const ::gnmi::Path& prefix, const ::gnmi::Path& path) {
  std::vector<PathElem> elements(prefix.elem().begin(), prefix.elem().end());
  elements.insert(elements.end(), path.elem().begin(), path.elem().end());
  return elements;
}

bool IsName(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == ':';
  });
}

absl::Status BadPath(const ::gnmi::Path& path, const std::string& reason) {
  return absl::InvalidArgumentError(absl::StrCat("the path ", ToText(path), ": ", reason));
}

// One predicate for each key that is not "*".
absl::StatusOr<std::string> Predicates(const ::gnmi::Path& path, const PathElem& element) {
  std::string text;
  for (const auto& [key, value] : element.key()) {
    if (!IsName(key)) return BadPath(path, absl::StrCat("\"", key, "\" is no name of a key"));
    if (value == "*") continue;
    const char* quote = value.find('\'') == std::string::npos ? "'" : "\"";
    if (value.find(*quote) != std::string::npos) {
      return BadPath(path, "a value of a key has both kinds of quotes");
    }
    absl::StrAppend(&text, "[", key, "=", quote, value, quote, "]");
  }
  return text;
}

absl::StatusOr<json> ValueOf(const ::gnmi::TypedValue& value) {
  switch (value.value_case()) {
    case ::gnmi::TypedValue::kJsonIetfVal:
    case ::gnmi::TypedValue::kJsonVal: {
      const std::string& text = value.value_case() == ::gnmi::TypedValue::kJsonVal
                                    ? value.json_val()
                                    : value.json_ietf_val();
      json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
      if (parsed.is_discarded()) return absl::InvalidArgumentError("the value is not JSON");
      return parsed;
    }
    case ::gnmi::TypedValue::kStringVal:
      return json(value.string_val());
    case ::gnmi::TypedValue::kAsciiVal:
      return json(value.ascii_val());
    case ::gnmi::TypedValue::kIntVal:
      return json(value.int_val());
    case ::gnmi::TypedValue::kUintVal:
      return json(value.uint_val());
    case ::gnmi::TypedValue::kBoolVal:
      return json(value.bool_val());
    case ::gnmi::TypedValue::kLeaflistVal: {
      json list = json::array();
      for (const ::gnmi::TypedValue& element : value.leaflist_val().element()) {
        ASSIGN_OR_RETURN(json item, ValueOf(element));
        list.push_back(std::move(item));
      }
      return list;
    }
    default:
      return absl::InvalidArgumentError("values are given in JSON_IETF, or as a plain scalar");
  }
}

}  // namespace

absl::StatusOr<std::string> ToXPath(const ::gnmi::Path& prefix, const ::gnmi::Path& path) {
  std::string xpath;
  bool deep = false;  // after "..."
  for (const PathElem& element : ElementsOf(prefix, path)) {
    if (element.name() == "...") {
      deep = true;
      continue;
    }
    if (element.name() != "*" && !IsName(element.name())) {
      return BadPath(path, absl::StrCat("\"", element.name(), "\" is no name of a node"));
    }
    if (xpath.empty() && !deep && element.name() != "*" &&
        element.name().find(':') == std::string::npos) {
      return BadPath(path, absl::StrCat("name the module of \"", element.name(),
                                        "\", as in portolan-ipam:ipam"));
    }
    ASSIGN_OR_RETURN(const std::string predicates, Predicates(path, element));
    absl::StrAppend(&xpath, deep ? "//" : "/", element.name(), predicates);
    deep = false;
  }
  if (deep) xpath += "//*";
  return xpath.empty() ? "/" : xpath;
}

bool HasWildcard(const ::gnmi::Path& prefix, const ::gnmi::Path& path) {
  const std::vector<PathElem> elements = ElementsOf(prefix, path);
  return std::any_of(elements.begin(), elements.end(), [](const PathElem& element) {
    return element.name() == "*" || element.name() == "..." ||
           std::any_of(element.key().begin(), element.key().end(),
                       [](const auto& key) { return key.second == "*"; });
  });
}

std::string ToText(const ::gnmi::Path& path) {
  std::string text;
  for (const PathElem& element : path.elem()) {
    absl::StrAppend(&text, "/", element.name());
    // Of a map of protobuf the order is nobody's.
    std::vector<std::string> keys;
    for (const auto& [key, value] : element.key()) {
      keys.push_back(absl::StrCat("[", key, "=", value, "]"));
    }
    std::sort(keys.begin(), keys.end());
    for (const std::string& key : keys) text += key;
  }
  return text.empty() ? "/" : text;
}

absl::StatusOr<std::string> ToDocument(const ::gnmi::Path& prefix, const ::gnmi::Path& path,
                                       const ::gnmi::TypedValue& value) {
  RETURN_IF_ERROR(ToXPath(prefix, path).status());
  if (HasWildcard(prefix, path)) return BadPath(path, "what is written has no wildcard");
  absl::StatusOr<json> given = ValueOf(value);
  if (!given.ok()) return BadPath(path, std::string(given.status().message()));
  json document = *std::move(given);
  const std::vector<PathElem> elements = ElementsOf(prefix, path);
  for (auto it = elements.rbegin(); it != elements.rend(); ++it) {
    if (!it->key().empty()) {
      if (!document.is_object()) return BadPath(path, "the value of a list entry is an object");
      for (const auto& [key, text] : it->key()) document[key] = text;
      document = json::array({document});
    }
    json parent = json::object();
    parent[it->name()] = std::move(document);
    document = std::move(parent);
  }
  if (!document.is_object()) return BadPath(path, "the value of everything is an object");
  return document.dump();
}

::gnmi::Path PathOf(yang::Node node) {
  std::vector<yang::Node> line;
  for (; node; node = node.parent()) line.push_back(node);
  ::gnmi::Path path;
  absl::string_view module;
  for (auto it = line.rbegin(); it != line.rend(); ++it) {
    PathElem* element = path.add_elem();
    element->set_name(it->module() == module ? std::string(it->name())
                                             : absl::StrCat(it->module(), ":", it->name()));
    module = it->module();
    for (yang::Node key = it->first_child(); key && key.is_key(); key = key.next_sibling()) {
      (*element->mutable_key())[std::string(key.name())] = key.value();
    }
  }
  return path;
}

}  // namespace portolan::config
