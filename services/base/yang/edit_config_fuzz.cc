// Fuzz target: any text as the <config> of an edit-config, applied to a small configuration. What
// is refused says why; what is done leaves a tree that prints to a text that is accepted again.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/yang/modules.h"
#include "services/base/yang/edit_config.h"
#include "services/base/yang/list_entries.h"

namespace {

using portolan::yang::ApplyEdit;
using portolan::yang::Context;
using portolan::yang::Defaults;
using portolan::yang::Finding;
using portolan::yang::Format;
using portolan::yang::ModuleText;
using portolan::yang::Operation;
using portolan::yang::ParseEdit;
using portolan::yang::Tree;

constexpr char kData[] = R"({"portolan-ipam:ipam": {"pools": {"pool": [
    {"name": "a", "priority": 3}, {"name": "b"}]}}})";

std::shared_ptr<const Context> Modules() {
  std::vector<ModuleText> modules;
  for (size_t i = 0; i < portolan::api::kYangModuleCount; ++i) {
    modules.push_back({portolan::api::kYangModules[i].name, portolan::api::kYangModules[i].text});
  }
  return Context::FromTexts(std::move(modules)).value();
}

void CheckReads(const Tree& tree) {
  std::vector<Finding> findings;
  const std::string json = tree.Print(Format::kJson, Defaults::kExplicit);
  const std::optional<Tree> again = Tree::Parse(tree.context(), json, Format::kJson, &findings);
  if (!again.has_value() || again->Print(Format::kJson, Defaults::kExplicit) != json) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const Context> context = Modules();
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<Finding> findings;
  const std::optional<Tree> edit = ParseEdit(context, text, Format::kXml, &findings);
  if (!edit.has_value()) {
    if (findings.empty() || findings[0].rule.empty() || findings[0].message.empty()) abort();
    return 0;
  }
  TouchedBy(*edit, {"portolan-service", "services", "service", {"namespace", "name"}});
  constexpr Operation kDefaults[] = {Operation::kMerge, Operation::kReplace, Operation::kNone};
  std::optional<Tree> tree = Tree::Parse(context, kData, Format::kJson, &findings);
  if (!tree.has_value()) abort();
  const std::optional<Finding> failed = ApplyEdit(*edit, kDefaults[size % 3], &*tree);
  if (!failed.has_value()) {
    CheckReads(*tree);
  } else if (failed->rule.empty() || failed->message.empty()) {
    abort();
  }
  return 0;
}
