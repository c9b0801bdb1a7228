#include "services/base/netconf/protocol.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace portolan::netconf {
namespace {

bool IsBase(const lyd_node_opaq* node, absl::string_view name) {
  return node->name.module_ns != nullptr && node->name.module_ns == kBaseNamespace &&
         node->name.name == name;
}

// hello has no schema.
const lyd_node_opaq* Opaque(const lyd_node* node) {
  return node->schema == nullptr ? reinterpret_cast<const lyd_node_opaq*>(node) : nullptr;
}

std::optional<Version> HighestOf(const lyd_node_opaq* capabilities) {
  std::optional<Version> version;
  const lyd_node* node = capabilities->child;
  for (; node != nullptr; node = node->next) {
    const lyd_node_opaq* const capability = Opaque(node);
    if (capability == nullptr || !IsBase(capability, "capability")) return std::nullopt;
    const absl::string_view uri = absl::StripAsciiWhitespace(capability->value);
    if (uri == "urn:ietf:params:netconf:base:1.1") version = Version::k11;
    if (uri == "urn:ietf:params:netconf:base:1.0" && !version.has_value()) version = Version::k10;
  }
  return version;
}

}  // namespace

std::optional<Version> VersionOf(const ly_ctx* context, const std::string& hello) {
  lyd_node* tree = nullptr;
  std::optional<Version> version;
  if (lyd_parse_data_mem(context, hello.c_str(), LYD_XML, LYD_PARSE_ONLY | LYD_PARSE_OPAQ, 0,
                         &tree) == LY_SUCCESS &&
      tree != nullptr && tree->next == nullptr) {
    const lyd_node_opaq* const root = Opaque(tree);
    const lyd_node* const child = root == nullptr ? nullptr : root->child;
    // A session-id is the server's to say.
    if (child != nullptr && child->next == nullptr && IsBase(root, "hello")) {
      const lyd_node_opaq* const capabilities = Opaque(child);
      if (capabilities != nullptr && IsBase(capabilities, "capabilities")) {
        version = HighestOf(capabilities);
      }
    }
  }
  lyd_free_all(tree);
  return version;
}

std::optional<Error> CheckOperation(const ly_ctx* context, const ElementName& operation) {
  // RFC 7950, section 7.15.2.
  if (operation.xml_namespace == "urn:ietf:params:xml:ns:yang:1" && operation.name == "action") {
    return std::nullopt;
  }
  const lys_module* const module =
      ly_ctx_get_module_implemented_ns(context, operation.xml_namespace.c_str());
  if (module == nullptr) {
    return Error{
        .type = "protocol",
        .tag = "unknown-namespace",
        .message = absl::StrCat("no module here has the namespace ", operation.xml_namespace),
        .info = {{"bad-element", operation.name}, {"bad-namespace", operation.xml_namespace}}};
  }
  if (lys_find_child(nullptr, module, operation.name.c_str(), operation.name.size(), LYS_RPC, 0) !=
      nullptr) {
    return std::nullopt;
  }
  return Error{.type = "protocol",
               .tag = "operation-not-supported",
               .message = absl::StrCat(module->name, " has no operation ", operation.name)};
}

}  // namespace portolan::netconf
