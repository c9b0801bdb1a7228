#include "services/base/yang/libyang_errors.h"

#include <libyang/libyang.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace portolan::yang {
namespace {

// What stands between `begin` and `end` in `text`; empty: not there.
std::string Between(absl::string_view text, absl::string_view begin, absl::string_view end) {
  const size_t from = text.find(begin);
  if (from == absl::string_view::npos) return "";
  text.remove_prefix(from + begin.size());
  return std::string(text.substr(0, text.find(end)));
}

// The data path of a place; a key value in it may hold quotes and commas.
std::string DataPath(absl::string_view place) {
  constexpr absl::string_view kBegin = "ata location \"";
  const size_t from = place.find(kBegin);
  if (from == absl::string_view::npos) return "";
  place.remove_prefix(from + kBegin.size());
  size_t end = place.rfind("\", line number ");
  if (end == absl::string_view::npos) end = place.rfind('"');
  return std::string(place.substr(0, end));
}

// Without "[...]" predicates, which may hold any quoted text.
std::string WithoutPredicates(absl::string_view path) {
  std::string out;
  char quote = 0;
  int depth = 0;
  for (char c : path) {
    if (quote != 0) {
      if (c == quote) quote = 0;
      continue;
    }
    if (depth > 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == '[') {
      ++depth;
    } else if (c == ']') {
      --depth;
    } else if (depth == 0) {
      out.push_back(c);
    }
  }
  return out;
}

// The schema node of "/module:a/b/c". With `choices`, choice and case nodes stand in the path.
const lysc_node* FindSchema(const ly_ctx* ctx, absl::string_view path, bool choices) {
  const uint32_t flags = choices ? LYS_GETNEXT_WITHCHOICE | LYS_GETNEXT_WITHCASE : 0;
  const lysc_node* node = nullptr;
  for (absl::string_view step : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    std::pair<std::string, std::string> name = absl::StrSplit(step, absl::MaxSplits(':', 1));
    const lysc_module* top = nullptr;
    if (name.second.empty()) {
      name.second = name.first;
    } else if (node == nullptr) {
      const lys_module* module = ly_ctx_get_module_implemented(ctx, name.first.c_str());
      if (module == nullptr) return nullptr;
      top = module->compiled;
    }
    if (node == nullptr && top == nullptr) return nullptr;
    const lysc_node* child = nullptr;
    while ((child = lys_getnext(child, node, top, flags)) != nullptr) {
      if (name.second == child->name) break;
    }
    if (child == nullptr) return nullptr;
    node = child;
  }
  return node;
}

bool IsWithin(const lysc_node* node, const lysc_node* ancestor) {
  for (; node != nullptr; node = node->parent) {
    if (node == ancestor) return true;
  }
  return false;
}

// Instances of `schema` below `node` and its later siblings.
void Collect(const lyd_node* node, const lysc_node* schema, std::vector<const lyd_node*>* found) {
  for (; node != nullptr; node = node->next) {
    if (node->schema == schema) {
      found->push_back(node);
    } else if (IsWithin(schema, node->schema)) {
      Collect(lyd_child(node), schema, found);
    }
  }
}

// Of one entry: is `missing` (a leaf, list or choice of it) too rare, or a choice made twice?
bool Lacks(const lyd_node* entry, const lysc_node* missing) {
  uint32_t count = 0;
  const lysc_node* chosen = nullptr;
  bool two_cases = false;
  bool case_begun = missing->parent == nullptr || missing->parent->nodetype != LYS_CASE;
  for (const lyd_node* child = lyd_child(entry); child != nullptr; child = child->next) {
    if (child->flags & LYD_DEFAULT) continue;
    if (!case_begun && IsWithin(child->schema, missing->parent)) case_begun = true;
    if (!IsWithin(child->schema, missing)) continue;
    ++count;
    if (missing->nodetype != LYS_CHOICE) continue;
    const lysc_node* taken = child->schema;
    while (taken->parent != missing) taken = taken->parent;
    two_cases = two_cases || (chosen != nullptr && chosen != taken);
    chosen = taken;
  }
  if (two_cases) return true;
  uint32_t least = 1;
  if (missing->nodetype == LYS_LIST) {
    least = reinterpret_cast<const lysc_node_list*>(missing)->min;
  } else if (missing->nodetype == LYS_LEAFLIST) {
    least = reinterpret_cast<const lysc_node_leaflist*>(missing)->min;
  }
  return case_begun && count < least;
}

std::string RuleOf(const ly_err_item& error) {
  if (error.apptag != nullptr && error.apptag[0] != 0) return error.apptag;
  const absl::string_view message = error.msg == nullptr ? "" : error.msg;
  switch (error.vecode) {
    case LYVE_REFERENCE:
      return "unknown-node";
    case LYVE_XPATH:
      return "xpath";
    case LYVE_DATA:
      if (absl::StartsWith(message, "Mandatory")) return "mandatory";
      if (absl::StartsWith(message, "Duplicate instance")) return "duplicate";
      if (absl::StartsWith(message, "List instance is missing its key")) return "missing-key";
      if (absl::StartsWith(message, "Data for both cases")) return "choice";
      return "type";
    case LYVE_SYNTAX:
    case LYVE_SYNTAX_JSON:
    case LYVE_SYNTAX_XML:
      return "syntax";
    default:
      return "internal";
  }
}

// The last names of "/a:pools/a:pool/a:name" are "pool" and "name".
std::string StepFromEnd(absl::string_view path, size_t index) {
  const std::vector<absl::string_view> steps = absl::StrSplit(path, '/', absl::SkipEmpty());
  if (steps.size() <= index) return "";
  const absl::string_view step = steps[steps.size() - 1 - index];
  return std::string(step.substr(step.find(':') + 1));
}

// libyang's words where a person would not understand them.
std::string Reword(const std::string& message) {
  if (absl::StartsWith(message, "Invalid leafref value \"")) {
    const std::string value = Between(message, "value \"", "\" - no target");
    const std::string target = Between(message, "target instance \"", "\" with the same");
    return absl::StrCat("there is no ", StepFromEnd(target, 1), " with the ",
                        StepFromEnd(target, 0), " \"", value, "\"");
  }
  if (absl::StartsWith(message, "Invalid union value \"")) {
    return absl::StrCat("\"", Between(message, "value \"", "\" - no matching"),
                        "\" has none of the forms that are allowed here");
  }
  return message;
}

// A finding without a place in the data becomes one for each entry that lacks the node.
std::vector<Finding> AtEntries(const ly_ctx* ctx, const lyd_node* root,
                               const std::string& schema_path, const Finding& finding) {
  const lysc_node* missing = FindSchema(ctx, schema_path, /*choices=*/true);
  std::vector<Finding> findings;
  if (missing != nullptr && lysc_data_parent(missing) != nullptr) {
    std::vector<const lyd_node*> entries;
    Collect(root, lysc_data_parent(missing), &entries);
    for (const lyd_node* entry : entries) {
      if (!Lacks(entry, missing)) continue;
      Finding at_entry = finding;
      at_entry.path = PathOf(entry);
      if (missing->nodetype != LYS_CHOICE) absl::StrAppend(&at_entry.path, "/", missing->name);
      if (missing->dsc != nullptr) at_entry.expected = OneLine(missing->dsc);
      findings.push_back(std::move(at_entry));
    }
  }
  if (findings.empty()) {
    findings.push_back(finding);
    findings.back().path = schema_path;
  }
  return findings;
}

}  // namespace

std::string PathOf(const lyd_node* node) {
  char* path = lyd_path(node, LYD_PATH_STD, nullptr, 0);
  std::string result = path == nullptr ? "" : path;
  std::free(path);
  return result;
}

std::string OneLine(absl::string_view text) {
  return absl::StrJoin(absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty()), " ");
}

std::string Describe(const ly_ctx* ctx, const std::string& path) {
  const lysc_node* node = FindSchema(ctx, WithoutPredicates(path), /*choices=*/false);
  return node == nullptr || node->dsc == nullptr ? "" : OneLine(node->dsc);
}

std::vector<Finding> TakeErrors(const ly_ctx* ctx, const lyd_node* root) {
  std::vector<Finding> findings;
  for (const ly_err_item* e = ly_err_first(ctx); e != nullptr; e = e->next) {
    if (e->level != LY_LLERR) continue;
    const absl::string_view place = e->path == nullptr ? "" : e->path;
    Finding finding;
    finding.rule = RuleOf(*e);
    finding.message = Reword(OneLine(e->msg == nullptr ? "" : e->msg));
    finding.path = DataPath(place);
    std::string line = Between(place, "line number ", ".");
    if (line.empty()) line = Between(place, "Line number ", ".");
    if (!absl::SimpleAtoi(line, &finding.line)) finding.line = 0;
    finding.expected = Describe(ctx, finding.path);
    const std::string schema_path = Between(place, "Schema location \"", "\"");
    if (finding.path.empty() && !schema_path.empty()) {
      for (Finding& f : AtEntries(ctx, root, schema_path, finding)) {
        findings.push_back(std::move(f));
      }
    } else {
      findings.push_back(std::move(finding));
    }
  }
  ly_err_clean(const_cast<ly_ctx*>(ctx), nullptr);
  return findings;
}

}  // namespace portolan::yang
