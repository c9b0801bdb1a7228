// Prints the reference of the configuration: every node of our modules, in Markdown.
#include <iostream>
#include <string>
#include <vector>

#include "api/yang/modules.h"
#include "services/base/yang/context.h"
#include "services/base/yang/reference.h"

int main() {
  std::vector<portolan::yang::ModuleText> modules;
  for (size_t i = 0; i < portolan::api::kYangModuleCount; ++i) {
    const portolan::api::YangModule& module = portolan::api::kYangModules[i];
    modules.push_back({module.name, module.text});
  }
  const auto context = portolan::yang::Context::FromTexts(modules);
  if (!context.ok()) {
    std::cerr << context.status() << std::endl;
    return 1;
  }
  std::cout << "# Reference of the configuration\n\n"
            << "Made by the build from the YANG modules; paths as in JSON (RFC 7951).\n";
  for (const auto& module : modules) {
    if (module.name.rfind("portolan-", 0) != 0) continue;
    std::cout << portolan::yang::ReferenceOf(**context, module.name);
  }
  std::cout.flush();
  return std::cout ? 0 : 1;
}
