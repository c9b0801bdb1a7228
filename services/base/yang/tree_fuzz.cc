// Fuzz target: any text as configuration. What is accepted prints in both formats to texts that are
// accepted again and print the same; what is refused says why.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/yang/modules.h"
#include "services/base/yang/place.h"
#include "services/base/yang/tree.h"

namespace {

using portolan::yang::Context;
using portolan::yang::Defaults;
using portolan::yang::Finding;
using portolan::yang::Format;
using portolan::yang::LineOf;
using portolan::yang::ModuleText;
using portolan::yang::Tree;

std::shared_ptr<const Context> Modules() {
  std::vector<ModuleText> modules;
  for (size_t i = 0; i < portolan::api::kYangModuleCount; ++i) {
    modules.push_back({portolan::api::kYangModules[i].name, portolan::api::kYangModules[i].text});
  }
  return Context::FromTexts(std::move(modules)).value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const Context> context = Modules();
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<Finding> findings;
  std::optional<Tree> tree = Tree::Parse(context, text, Format::kGuess, &findings);
  if (tree.has_value()) findings = tree->Validate();
  for (const Finding& finding : findings) {
    if (finding.rule.empty() || finding.message.empty()) abort();
    LineOf(text, finding.path);
  }
  if (!tree.has_value()) {
    if (findings.empty()) abort();
    return 0;
  }
  if (!findings.empty()) return 0;
  const std::string json = tree->Print(Format::kJson, Defaults::kExplicit);
  for (const Format format : {Format::kJson, Format::kXml}) {
    const std::string printed = tree->Print(format, Defaults::kExplicit);
    if (printed.empty()) continue;
    std::optional<Tree> again = Tree::Parse(context, printed, format, &findings);
    if (!again.has_value() || !again->Validate().empty()) abort();
    if (again->Print(Format::kJson, Defaults::kExplicit) != json) abort();
  }
  return 0;
}
