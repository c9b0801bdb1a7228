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

// The member names of one object. Most objects have few, for which a look at each is cheapest.
class Names {
 public:
  // False: it is there.
  bool Insert(const std::string& name) {
    if (std::find(few_.begin(), few_.end(), name) != few_.end()) return false;
    if (few_.size() == kFew) return many_.insert(name).second;
    few_.push_back(name);
    return true;
  }
  void Clear() {
    few_.clear();
    many_.clear();
  }

 private:
  static constexpr size_t kFew = 16;
  std::vector<std::string> few_;
  std::set<std::string> many_;  // those after them
};

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
    if (!GoDeeper()) return false;
    members_[depth_ - 1].Clear();
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override { return GoDeeper(); }
  bool end_array() override { return end_object(); }

  bool key(string_t& name) override {
    if (members_[depth_ - 1].Insert(name)) return true;
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
  bool GoDeeper() {
    if (++depth_ > members_.size()) members_.resize(depth_);
    if (depth_ <= kMaxDepth) return true;
    finding = Finding{.rule = "syntax",
                      .message = absl::StrCat("nested more than ", kMaxDepth, " levels deep")};
    return false;
  }

  const std::string& text_;
  size_t depth_ = 0;
  std::vector<Names> members_;  // by depth; those of objects that ended are used again
};

}  // namespace

std::optional<Finding> CheckJson(const std::string& text) {
  Checker checker(text);
  nlohmann::json::sax_parse(text, &checker);
  return std::move(checker.finding);
}

}  // namespace portolan::yang
