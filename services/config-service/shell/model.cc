#include "services/config-service/shell/model.h"

#include <utility>

#include "api/yang/modules.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/from_yang.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {

absl::StatusOr<std::shared_ptr<const Model>> Model::Create() {
  std::vector<yang::ModuleText> modules;
  for (size_t i = 0; i < api::kYangModuleCount; ++i) {
    modules.push_back({api::kYangModules[i].name, api::kYangModules[i].text});
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const yang::Context> context,
                   yang::Context::FromTexts(std::move(modules)));
  return std::shared_ptr<const Model>(new Model(std::move(context)));
}

Candidate Model::Empty() const {
  yang::Tree tree(context_);
  tree.Validate();  // fills the defaults in; nothing can be wrong with nothing
  Snapshot snapshot = FromYang(tree);
  return {std::move(tree), std::move(snapshot)};
}

void Model::Report(const std::vector<yang::Finding>& findings, const std::string& source,
                   std::vector<Problem>* problems) const {
  for (const yang::Finding& finding : findings) {
    problems->push_back(ToProblem(finding, source, *context_));
  }
}

std::optional<yang::Tree> Model::Parse(const std::string& text, yang::Format format,
                                       const std::string& source, Prepared* prepared) const {
  std::vector<yang::Finding> findings;
  std::optional<yang::Tree> tree = yang::Tree::Parse(context_, text, format, &findings);
  Report(findings, source, &prepared->problems);
  return tree;
}

void Model::Finish(yang::Tree tree, const std::string& source, Prepared* prepared) const {
  Report(tree.Validate(), source, &prepared->problems);
  if (!prepared->problems.empty()) return;
  Snapshot snapshot = FromYang(tree);
  prepared->candidate.emplace(Candidate{std::move(tree), std::move(snapshot)});
}

Prepared Model::Keep(const yang::Tree& running) const {
  Prepared prepared;
  Finish(running.Duplicate(), "", &prepared);
  return prepared;
}

Prepared Model::Replace(const std::string& text, yang::Format format,
                        const std::string& source) const {
  Prepared prepared;
  std::optional<yang::Tree> tree = Parse(text, format, source, &prepared);
  if (tree.has_value()) Finish(*std::move(tree), source, &prepared);
  return prepared;
}

Prepared Model::Merge(const yang::Tree& running, const std::string& text, yang::Format format,
                      const std::string& source) const {
  Prepared prepared;
  const std::optional<yang::Tree> edit = Parse(text, format, source, &prepared);
  if (!edit.has_value()) return prepared;
  yang::Tree tree = running.Duplicate();
  if (const absl::Status status = tree.Merge(*edit); !status.ok()) {
    prepared.problems.push_back(
        {.source = source, .rule = "internal", .message = std::string(status.message())});
    return prepared;
  }
  Finish(std::move(tree), source, &prepared);
  return prepared;
}

Prepared Model::Delete(const yang::Tree& running, const std::string& path) const {
  Prepared prepared;
  yang::Tree tree = running.Duplicate();
  Report(tree.Delete(path), "", &prepared.problems);
  if (prepared.problems.empty()) Finish(std::move(tree), "", &prepared);
  return prepared;
}

Edited Model::Parse(const std::string& text, yang::Format format) const {
  Edited parsed;
  std::vector<yang::Finding> findings;
  parsed.tree = yang::Tree::Parse(context_, text, format, &findings);
  Report(findings, "", &parsed.problems);
  return parsed;
}

Edited Model::ApplyOperations(const yang::Tree& base, const std::string& text, yang::Format format,
                              yang::Operation default_operation) const {
  Edited edited;
  std::vector<yang::Finding> findings;
  const std::optional<yang::Tree> edit = yang::ParseEdit(context_, text, format, &findings);
  if (edit.has_value()) {
    edited.tree = base.Duplicate();
    std::optional<yang::Finding> failed = yang::ApplyEdit(*edit, default_operation, &*edited.tree);
    if (failed.has_value()) {
      edited.tree.reset();
      findings.push_back(*std::move(failed));
    }
  }
  Report(findings, "", &edited.problems);
  return edited;
}

}  // namespace portolan::config
