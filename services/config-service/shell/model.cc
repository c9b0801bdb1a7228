#include "services/config-service/shell/model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/yang/modules.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {
namespace {

std::vector<yang::ModuleText> OwnModules() {
  std::vector<yang::ModuleText> modules;
  for (size_t i = 0; i < api::kYangModuleCount; ++i) {
    yang::ModuleText module{api::kYangModules[i].name, api::kYangModules[i].text};
    module.imported_only = module.name == "ietf-origin" || module.name == "yuma-ncx";
    if (module.name == "ietf-netconf") {
      module.features = {"candidate",         "confirmed-commit", "startup",
                         "rollback-on-error", "validate",         "xpath"};
    }
    if (module.name == "ietf-netconf-nmda") module.features = {"with-defaults"};
    modules.push_back(std::move(module));
  }
  return modules;
}

// Why it cannot stand beside `modules`; empty: nothing is known against it.
std::string WhyNot(const std::string& name, const std::vector<yang::ModuleText>& modules) {
  if (name.empty()) return "it is not a YANG module";
  const bool taken =
      std::any_of(modules.begin(), modules.end(),
                  [&](const yang::ModuleText& module) { return module.name == name; });
  return taken ? absl::StrCat("there is a module ", name, " already") : "";
}

std::string LeftOut(const PluginModule& plugin, absl::string_view why) {
  return absl::StrCat("the module of a plugin is left out: ", plugin.source, ": ", why);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Model>> Model::Create(const std::vector<PluginModule>& plugins,
                                                           std::vector<std::string>* refused) {
  const std::vector<yang::ModuleText> ours = OwnModules();
  std::vector<yang::ModuleText> modules = ours;
  std::vector<const PluginModule*> beside;
  for (const PluginModule& plugin : plugins) {
    const std::string name = ModuleNameOf(plugin.text);
    const std::string why = WhyNot(name, modules);
    if (why.empty()) {
      modules.push_back({name, plugin.text});
      beside.push_back(&plugin);
    } else {
      refused->push_back(LeftOut(plugin, why));
    }
  }
  absl::StatusOr<std::shared_ptr<const yang::Context>> context = yang::Context::FromTexts(modules);
  if (!context.ok() && !beside.empty()) {
    // Which of them it is shows when each is added to those that are good.
    modules = ours;
    for (const PluginModule* plugin : beside) {
      modules.push_back({ModuleNameOf(plugin->text), plugin->text});
      context = yang::Context::FromTexts(modules);
      if (context.ok()) continue;
      modules.pop_back();
      refused->push_back(LeftOut(*plugin, context.status().message()));
    }
    context = yang::Context::FromTexts(modules);
  }
  RETURN_IF_ERROR(context.status());
  return std::shared_ptr<const Model>(new Model(*std::move(context)));
}

Configuration Model::Empty() const {
  yang::Tree tree(context_);
  tree.Validate();  // fills the defaults in; nothing can be wrong with nothing
  return Configuration::Of(std::move(tree));
}

void Model::Report(const std::vector<yang::Finding>& findings, const std::string& source,
                   std::vector<Problem>* problems) const {
  for (const yang::Finding& finding : findings) {
    problems->push_back(ToProblem(finding, source, *context_));
  }
}

std::optional<yang::Tree> Model::Parse(const std::string& text, yang::Format format,
                                       const std::string& source,
                                       std::vector<Problem>* problems) const {
  std::vector<yang::Finding> findings;
  std::optional<yang::Tree> tree = yang::Tree::Parse(context_, text, format, &findings);
  Report(findings, source, problems);
  return tree;
}

Prepared Model::Validate(const Draft& draft) const { return Validate(draft, ""); }

// Services that did not change can only have lost what they refer to: of each such reference, one
// service is validated with the others.
Prepared Model::Validate(const Draft& draft, const std::string& source) const {
  const bool rest_changed = draft.rest != nullptr;
  yang::Tree part = (rest_changed ? *draft.rest : draft.base.rest()).Duplicate();
  std::vector<const yang::Tree*> entries;
  std::vector<std::string> removed;
  for (const auto& [key, tree] : draft.services) {
    if (tree == nullptr) {
      removed.push_back(key);
    } else {
      entries.push_back(tree.get());
    }
  }
  if (rest_changed) {
    for (const yang::Tree* tree : draft.base.Referrers(draft.services)) entries.push_back(tree);
  }
  yang::AddEntries(entries, ServiceList(), &part);
  Prepared prepared;
  Report(part.Validate(), source, &prepared.problems);
  if (!prepared.problems.empty()) return prepared;
  std::vector<yang::Tree> changed;
  for (yang::Tree& service : yang::TakeEntries(ServiceList(), &part)) {
    if (draft.services.count(yang::KeyOf(service, ServiceList())) > 0) {
      changed.push_back(std::move(service));
    }
  }
  std::optional<yang::Tree> rest;
  if (rest_changed) rest = std::move(part);
  prepared.candidate = draft.base.With(std::move(changed), removed, std::move(rest));
  return prepared;
}

Prepared Model::Replace(const std::string& text, yang::Format format,
                        const std::string& source) const {
  Prepared prepared;
  std::optional<yang::Tree> tree = Parse(text, format, source, &prepared.problems);
  if (!tree.has_value()) return prepared;
  Report(tree->Validate(), source, &prepared.problems);
  if (prepared.problems.empty()) prepared.candidate = Configuration::Of(*std::move(tree));
  return prepared;
}

Prepared Model::Merge(const Configuration& running, const std::string& text, yang::Format format,
                      const std::string& source) const {
  Prepared prepared;
  const std::optional<yang::Tree> edit = Parse(text, format, source, &prepared.problems);
  if (!edit.has_value()) return prepared;
  const Draft before{running};
  const yang::Touched touched = yang::TouchedBy(*edit, ServiceList());
  yang::Tree part = before.Part(touched);
  if (const absl::Status status = part.Merge(*edit); !status.ok()) {
    prepared.problems.push_back(
        {.source = source, .rule = "internal", .message = std::string(status.message())});
    return prepared;
  }
  return Validate(before.With(touched, std::move(part)), source);
}

Prepared Model::Delete(const Configuration& running, const std::string& path) const {
  Prepared prepared;
  const yang::Touched touched = ScopeOf(path);
  const Draft before{running};
  yang::Tree part = before.Part(touched);
  Report(part.Delete(path), "", &prepared.problems);
  if (!prepared.problems.empty()) return prepared;
  return Validate(before.With(touched, std::move(part)));
}

Edited Model::Parse(const std::string& text, yang::Format format) const {
  Edited parsed;
  std::optional<yang::Tree> tree = Parse(text, format, "", &parsed.problems);
  if (tree.has_value()) {
    parsed.draft = Draft{Empty()}.With({.everything = true}, *std::move(tree));
  }
  return parsed;
}

Edited Model::ApplyOperations(const Draft& base, const std::string& text, yang::Format format,
                              yang::Operation default_operation) const {
  Edited edited;
  std::vector<yang::Finding> findings;
  const std::optional<yang::Tree> edit = yang::ParseEdit(context_, text, format, &findings);
  if (edit.has_value()) {
    yang::Touched touched = yang::TouchedBy(*edit, ServiceList());
    if (default_operation == yang::Operation::kReplace) touched.everything = true;
    yang::Tree part = base.Part(touched);
    std::optional<yang::Finding> failed = yang::ApplyEdit(*edit, default_operation, &part);
    if (failed.has_value()) {
      findings.push_back(*std::move(failed));
    } else {
      edited.draft = base.With(touched, std::move(part));
    }
  }
  Report(findings, "", &edited.problems);
  return edited;
}

}  // namespace portolan::config
