#include "services/config-service/shell/problems.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/base/yang/place.h"

namespace portolan::config {
namespace {

constexpr size_t kMaxLines = 10;

// "portolan-ipam" of "/portolan-ipam:ipam/pools"; empty: none.
std::string ModuleOf(const std::string& path) {
  const size_t colon = path.find(':');
  return path.size() < 2 || colon == std::string::npos ? "" : path.substr(1, colon - 1);
}

std::string RemedyFor(const yang::Finding& finding, const yang::Context& context) {
  const std::string what =
      finding.expected.empty() ? "" : absl::StrCat("; what belongs here: ", finding.expected);
  if (finding.rule == "syntax") {
    return "correct the text at this place; it is JSON as RFC 7951 has it, or XML";
  }
  if (finding.rule == "unknown-node") {
    const std::string module = ModuleOf(finding.path);
    const std::string revision = module.empty() ? "" : context.Revision(module);
    return absl::StrCat("remove it or correct its name",
                        revision.empty()
                            ? ""
                            : absl::StrCat("; if it is for a newer Portolan: this one has ", module,
                                           " of ", revision));
  }
  if (finding.rule == "mandatory" || finding.rule == "missing-choice" ||
      finding.rule == "missing-key" || finding.rule == "too-few-elements") {
    return absl::StrCat("add it", what);
  }
  if (finding.rule == "too-many-elements") return absl::StrCat("remove what is too many", what);
  if (finding.rule == "attribute") return "remove the attribute";
  if (finding.rule == "duplicate") return "remove one of the two";
  if (finding.rule == "choice") return absl::StrCat("keep one and remove the other", what);
  if (finding.rule == "instance-required") {
    return absl::StrCat("create what it names, or correct the name", what);
  }
  if (finding.rule == "xpath") {
    return "write a path such as /portolan-ipam:ipam/pools/pool[name='primary']";
  }
  if (finding.rule == "data-missing") return "see what is there with: portolan config show";
  return absl::StrCat("correct the value", what);
}

}  // namespace

Problem ToProblem(const yang::Finding& finding, const std::string& source,
                  const yang::Context& context) {
  Problem problem;
  problem.source =
      finding.line > 0 && !source.empty() ? absl::StrCat(source, ":", finding.line) : source;
  problem.path = finding.path;
  problem.rule = finding.rule;
  problem.message = finding.message;
  if (finding.line > 0 && source.empty())
    absl::StrAppend(&problem.message, " (line ", finding.line, ")");
  problem.remedy = RemedyFor(finding, context);
  return problem;
}

void AddLines(const std::string& text, const std::string& source, std::vector<Problem>* problems) {
  if (source.empty()) return;
  for (size_t i = 0; i < std::min(problems->size(), kMaxLines); ++i) {
    Problem& problem = (*problems)[i];
    if (problem.path.empty() || (!problem.source.empty() && problem.source != source)) continue;
    const int line = yang::LineOf(text, problem.path);
    problem.source = line > 0 ? absl::StrCat(source, ":", line) : source;
  }
}

std::string ToText(const Problem& problem) {
  return absl::StrCat(problem.source, problem.source.empty() ? "" : ": ", problem.path,
                      problem.path.empty() ? "" : ": ", problem.message, " [", problem.rule, "]",
                      problem.remedy.empty() ? "" : "; remedy: ", problem.remedy);
}

std::string ToText(const std::vector<Problem>& problems) {
  std::string text;
  for (size_t i = 0; i < std::min(problems.size(), kMaxLines); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : "\n", ToText(problems[i]));
  }
  if (problems.size() > kMaxLines) {
    absl::StrAppend(&text, "\nand ", problems.size() - kMaxLines, " more");
  }
  return text;
}

}  // namespace portolan::config
