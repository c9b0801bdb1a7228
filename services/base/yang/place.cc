#include "services/base/yang/place.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace portolan::yang {
namespace {

// "/a:pool[name='x']" is {"a:pool", {{"name", "x"}}}.
struct Step {
  std::string name;
  std::vector<std::pair<std::string, std::string>> predicates;
};

std::string WithoutModule(absl::string_view name) {
  return std::string(name.substr(name.find(':') + 1));
}

std::vector<Step> ParsePath(const std::string& path) {
  std::vector<Step> steps;
  size_t at = 0;
  while (at < path.size()) {
    if (path[at] == '/') {
      const size_t end = std::min(path.find_first_of("/[", at + 1), path.size());
      steps.push_back({WithoutModule(absl::string_view(path).substr(at + 1, end - at - 1)), {}});
      at = end;
      continue;
    }
    // [key='value'] or [.="value"]
    const size_t equals = path.find('=', at);
    if (steps.empty() || path[at] != '[' || equals == std::string::npos) return {};
    const char quote = equals + 1 < path.size() ? path[equals + 1] : '\'';
    const size_t close = path.find(quote, equals + 2);
    if (close == std::string::npos) return {};
    steps.back().predicates.emplace_back(path.substr(at + 1, equals - at - 1),
                                         path.substr(equals + 2, close - equals - 2));
    at = close + 2;
  }
  return steps;
}

// Walks a JSON text without building it. The text is valid JSON.
class Scanner {
 public:
  explicit Scanner(const std::string& text) : text_(text) {}

  size_t SkipSpace(size_t at) const {
    const size_t next = text_.find_first_not_of(" \t\r\n", at);
    return next == std::string::npos ? text_.size() : next;
  }

  // The first position after the value that begins at `at`.
  size_t SkipValue(size_t at) const {
    int depth = 0;
    while (at < text_.size()) {
      const char c = text_[at];
      if (c == '"') {
        at = SkipString(at);
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at;
      } else if (c == '}' || c == ']') {
        --depth;
        ++at;
      } else if (c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\t' || c == '\r') {
        if (depth == 0) return at;
        ++at;
        continue;
      } else {
        at = std::min(text_.find_first_of(",:]} \t\r\n", at), text_.size());
      }
      if (depth == 0) return at;
    }
    return at;
  }

  // Calls `visit(name, position of the member, position of its value)` until it answers false.
  template <typename Visit>
  void Members(size_t object, Visit visit) const {
    if (object >= text_.size() || text_[object] != '{') return;
    size_t at = SkipSpace(object + 1);
    while (at < text_.size() && text_[at] == '"') {
      const size_t end = SkipString(at);
      const size_t value = SkipSpace(SkipSpace(end) + 1);
      if (!visit(Scalar(at), at, value)) return;
      at = SkipSpace(SkipValue(value));
      if (at < text_.size() && text_[at] == ',') at = SkipSpace(at + 1);
    }
  }

  // The same with the elements of an array.
  template <typename Visit>
  void Elements(size_t array, Visit visit) const {
    if (array >= text_.size() || text_[array] != '[') return;
    size_t at = SkipSpace(array + 1);
    while (at < text_.size() && text_[at] != ']') {
      if (!visit(at)) return;
      at = SkipSpace(SkipValue(at));
      if (at < text_.size() && text_[at] == ',') at = SkipSpace(at + 1);
    }
  }

  // Text of a string or number.
  std::string Scalar(size_t at) const {
    const std::string raw = text_.substr(at, SkipValue(at) - at);
    if (raw.empty() || raw[0] != '"') return raw;
    const auto json = nlohmann::json::parse(raw, nullptr, /*allow_exceptions=*/false);
    return json.is_string() ? json.get<std::string>() : raw;
  }

  bool Matches(size_t element, const Step& step) const {
    for (const auto& [key, wanted] : step.predicates) {
      bool found = key == "." && SameValue(Scalar(element), wanted);
      Members(element,
              [&, &key = key, &wanted = wanted](const std::string& name, size_t, size_t value) {
                found = found || (WithoutModule(name) == key && SameValue(Scalar(value), wanted));
                return !found;
              });
      if (!found) return false;
    }
    return true;
  }

 private:
  // An identity may be written without its module.
  static bool SameValue(const std::string& text, const std::string& wanted) {
    return text == wanted || text == WithoutModule(wanted);
  }

  size_t SkipString(size_t at) const {
    for (++at; at < text_.size() && text_[at] != '"'; ++at) {
      if (text_[at] == '\\') ++at;
    }
    return std::min(at + 1, text_.size());
  }

  const std::string& text_;
};

}  // namespace

int LineOf(const std::string& text, const std::string& path) {
  const std::vector<Step> steps = ParsePath(path);
  const Scanner scanner(text);
  size_t node = scanner.SkipSpace(0);
  if (steps.empty() || node >= text.size() || text[node] != '{') return 0;
  size_t place = node;
  size_t matched = 0;
  for (const Step& step : steps) {
    size_t member = std::string::npos;
    size_t value = std::string::npos;
    scanner.Members(node, [&](const std::string& name, size_t at, size_t value_at) {
      if (WithoutModule(name) != step.name) return true;
      member = at;
      value = value_at;
      return false;
    });
    if (member == std::string::npos) break;
    if (!step.predicates.empty()) {
      size_t entry = std::string::npos;
      scanner.Elements(value, [&](size_t element) {
        if (!scanner.Matches(element, step)) return true;
        entry = element;
        return false;
      });
      if (entry == std::string::npos) break;
      member = value = entry;
    }
    place = member;
    node = value;
    ++matched;
  }
  if (matched + 1 < steps.size() || matched == 0) return 0;
  return 1 + static_cast<int>(
                 std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(place), '\n'));
}

}  // namespace portolan::yang
