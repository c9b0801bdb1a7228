// Fuzz target: any text as the subtree filter of a get. What the scan lets pass, libyang survives.
// What such a filter selects of a small configuration is part of it: merged into it, it changes
// nothing; and selecting twice selects the same.
#include <libyang/libyang.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/yang/modules.h"
#include "services/base/netconf/elements.h"
#include "services/base/netconf/envelope.h"
#include "services/base/yang/filter.h"

namespace {

using portolan::netconf::ElementScan;
using portolan::netconf::kBaseNamespace;
using portolan::yang::Context;
using portolan::yang::Defaults;
using portolan::yang::Finding;
using portolan::yang::Format;
using portolan::yang::ModuleText;
using portolan::yang::Node;
using portolan::yang::SubtreeFilter;
using portolan::yang::Tree;

constexpr char kData[] = R"({
    "portolan-ipam:ipam": {"pools": {"pool": [{"name": "a", "priority": 3}, {"name": "b"}]}},
    "portolan-service:services": {"service": [
      {"namespace": "home", "name": "photos", "port": [{"name": "http", "port": 80}]}]}})";

std::shared_ptr<const Context> Modules() {
  std::vector<ModuleText> modules;
  for (size_t i = 0; i < portolan::api::kYangModuleCount; ++i) {
    modules.push_back({portolan::api::kYangModules[i].name, portolan::api::kYangModules[i].text});
  }
  return Context::FromTexts(std::move(modules)).value();
}

std::string Print(const Tree& tree) { return tree.Print(Format::kJson, Defaults::kExplicit); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const Context> context = Modules();
  const std::string text = absl::StrCat(
      "<rpc xmlns='", kBaseNamespace, "' message-id='1'><get><filter type='subtree'>",
      absl::string_view(reinterpret_cast<const char*>(data), size), "</filter></get></rpc>");
  ElementScan scan;
  scan.Feed(text);
  if (scan.finding().has_value()) return 0;
  ly_in* in = nullptr;
  lyd_node* envelope = nullptr;
  lyd_node* operation = nullptr;
  ly_in_new_memory(text.c_str(), &in);
  const LY_ERR error = lyd_parse_op(context->handle(), nullptr, in, LYD_XML, LYD_TYPE_RPC_NETCONF,
                                    &envelope, &operation);
  ly_in_free(in, 0);
  const Tree request = Tree::Adopt(context, operation);
  lyd_free_all(envelope);
  if (error != LY_SUCCESS) return 0;
  const Node filter = request.Top("ietf-netconf", "get").Child("filter");
  if (!filter) return 0;
  std::vector<Finding> findings;
  std::optional<Tree> tree = Tree::Parse(context, kData, Format::kJson, &findings);
  if (!tree.has_value()) abort();
  TouchedByFilter(filter, {"portolan-service", "services", "service", {"namespace", "name"}});
  const Tree selected = SubtreeFilter(*tree, filter);
  if (Print(SubtreeFilter(selected, filter)) != Print(selected)) abort();
  const std::string before = Print(*tree);
  if (!tree->Merge(selected).ok() || Print(*tree) != before) abort();
  return 0;
}
