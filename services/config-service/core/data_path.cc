#include "services/config-service/core/data_path.h"

#include <utility>

namespace portolan::config {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

// Takes what it reads from the front of the text.
class PathReader {
 public:
  explicit PathReader(absl::string_view text) : text_(text) {}

  bool AtEnd() const { return text_.empty(); }

  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  // "name" or "module:name"; false: neither.
  bool TakeName(std::string* module, std::string* name) {
    *name = TakeWord();
    if (!name->empty() && Take(':')) {
      *module = std::exchange(*name, TakeWord());
    }
    return !name->empty();
  }

  // [key='value']
  bool TakePredicate(std::map<std::string, std::string>* keys) {
    std::string module;
    std::string key;
    if (!Take('[') || !TakeName(&module, &key) || !Take('=')) return false;
    const char quote = text_.empty() ? '\0' : text_.front();
    if (quote != '\'' && quote != '"') return false;
    text_.remove_prefix(1);
    const size_t end = text_.find(quote);
    if (end == absl::string_view::npos) return false;
    (*keys)[key] = std::string(text_.substr(0, end));
    text_.remove_prefix(end + 1);
    return Take(']');
  }

  bool AtPredicate() const { return !text_.empty() && text_.front() == '['; }

 private:
  // Empty: there is none. A name does not begin with a dot or a digit.
  std::string TakeWord() {
    if (text_.empty() || text_.front() == '.' || text_.front() == '-' ||
        (text_.front() >= '0' && text_.front() <= '9')) {
      return "";
    }
    size_t size = 0;
    while (size < text_.size() && IsNameCharacter(text_[size])) ++size;
    std::string word(text_.substr(0, size));
    text_.remove_prefix(size);
    return word;
  }

  absl::string_view text_;
};

}  // namespace

std::optional<std::vector<PathStep>> ParseDataPath(absl::string_view text) {
  std::vector<PathStep> steps;
  PathReader reader(text);
  do {
    PathStep step;
    if (!reader.Take('/') || !reader.TakeName(&step.module, &step.name)) return std::nullopt;
    while (reader.AtPredicate()) {
      if (!reader.TakePredicate(&step.keys)) return std::nullopt;
    }
    steps.push_back(std::move(step));
  } while (!reader.AtEnd());
  return steps;
}

}  // namespace portolan::config
