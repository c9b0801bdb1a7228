#include "services/base/yang/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/yang/libyang_errors.h"

namespace portolan::yang {
namespace {

// Far more than any YANG module nests.
constexpr size_t kMaxDepth = 128;

// Answers false to stop. nlohmann's parser keeps its own stack, so depth costs no C++ stack.
class Checker : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Checker(const std::string& text) : text_(text) {}
  std::optional<Finding> finding;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override {
    members_.emplace_back();
    return CheckDepth();
  }
  bool end_object() override {
    members_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override {
    members_.emplace_back();
    return CheckDepth();
  }
  bool end_array() override { return end_object(); }

  bool key(string_t& name) override {
    if (members_.back().insert(name).second) return true;
    finding =
        Finding{.rule = "duplicate",
                .message = absl::StrCat("the member \"", name, "\" stands twice in one object")};
    return false;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    const size_t end = std::min(position, text_.size());
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(end), '\n');
    // "[json.exception.parse_error.101] parse error at line 1, column 3: syntax error ..."
    std::string reason = OneLine(error.what());
    if (const size_t colon = reason.find(": "); colon != std::string::npos) {
      reason.erase(0, colon + 2);
    }
    finding = Finding{.line = static_cast<int>(line),
                      .rule = "syntax",
                      .message = absl::StrCat("not JSON: ", reason)};
    return false;
  }

 private:
  bool CheckDepth() {
    if (members_.size() <= kMaxDepth) return true;
    finding = Finding{.rule = "syntax",
                      .message = absl::StrCat("nested more than ", kMaxDepth, " levels deep")};
    return false;
  }

  const std::string& text_;
  std::vector<std::set<std::string>> members_;  // of the open objects
};

}  // namespace

std::optional<Finding> CheckJson(const std::string& text) {
  Checker checker(text);
  nlohmann::json::sax_parse(text, &checker);
  return std::move(checker.finding);
}

}  // namespace portolan::yang
