#include "services/base/netconf/rpc.h"

#include <cstdlib>
#include <string>
#include <vector>

namespace portolan::netconf {
namespace {

constexpr size_t kMaxKeys = 3;  // of lists in answers

lyd_node* NewElement(const ly_ctx* context, const char* name, const std::string& text) {
  lyd_node* node = nullptr;
  lyd_new_opaq2(nullptr, context, name, text.c_str(), nullptr, NC_NS_BASE, &node);
  return node;
}

void Add(lyd_node* parent, const char* name, const std::string& text) {
  lyd_node* node = NewElement(LYD_CTX(parent), name, text);
  if (node != nullptr) lyd_insert_child(parent, node);
}

// In the order of RFC 6241, section 4.3.
lyd_node* ToNode(const ly_ctx* context, const Error& error) {
  lyd_node* node = NewElement(context, "rpc-error", "");
  if (node == nullptr) return nullptr;
  Add(node, "error-type", error.type);
  Add(node, "error-tag", error.tag);
  Add(node, "error-severity", "error");
  if (!error.app_tag.empty()) Add(node, "error-app-tag", error.app_tag);
  if (!error.path.empty()) Add(node, "error-path", error.path);
  if (!error.message.empty()) nc_err_set_msg(node, error.message.c_str(), "en");
  if (error.info.empty()) return node;
  lyd_node* info = NewElement(context, "error-info", "");
  for (const auto& [name, text] : error.info) Add(info, name.c_str(), text);
  lyd_insert_child(node, info);
  return node;
}

bool AddOutput(lyd_node* parent, const Element& element);

bool AddAll(lyd_node* parent, const std::vector<Element>& elements) {
  for (const Element& element : elements) {
    if (!AddOutput(parent, element)) return false;
  }
  return true;
}

// With its keys, which come first in `element`.
bool AddEntry(lyd_node* parent, const lysc_node* schema, const Element& element) {
  std::vector<const char*> keys;
  for (const lysc_node* key = lysc_node_child(schema); key != nullptr && lysc_is_key(key);
       key = key->next) {
    const size_t at = keys.size();
    if (at == element.children.size() || element.children[at].name != key->name) return false;
    keys.push_back(element.children[at].value.c_str());
  }
  const size_t count = keys.size();
  if (count > kMaxKeys) return false;
  keys.resize(kMaxKeys, nullptr);
  lyd_node* entry = nullptr;
  if (lyd_new_list(parent, schema->module, schema->name, 1, &entry, keys[0], keys[1], keys[2]) !=
      LY_SUCCESS) {
    return false;
  }
  return AddAll(entry, {element.children.begin() + count, element.children.end()});
}

bool AddOutput(lyd_node* parent, const Element& element) {
  const lysc_node* schema = lys_find_child(parent->schema, parent->schema->module,
                                           element.name.c_str(), 0, 0, LYS_GETNEXT_OUTPUT);
  if (schema == nullptr) return false;
  if (schema->nodetype == LYS_LIST) return AddEntry(parent, schema, element);
  if (schema->nodetype == LYS_CONTAINER) {
    lyd_node* inner = nullptr;
    return lyd_new_inner(parent, schema->module, schema->name, 1, &inner) == LY_SUCCESS &&
           AddAll(inner, element.children);
  }
  return lyd_new_term(parent, schema->module, schema->name, element.value.c_str(), 1, nullptr) ==
         LY_SUCCESS;
}

nc_server_reply* OutputReply(const lyd_node* operation, const std::vector<Element>& elements) {
  lyd_node* output = nullptr;
  if (lyd_dup_single(operation, nullptr, 0, &output) != LY_SUCCESS) return nullptr;
  if (AddAll(output, elements)) {
    return nc_server_reply_data(output, NC_WD_EXPLICIT, NC_PARAMTYPE_FREE);
  }
  const std::string why = ly_errmsg(LYD_CTX(output)) == nullptr ? "" : ly_errmsg(LYD_CTX(output));
  ly_err_clean(const_cast<ly_ctx*>(LYD_CTX(output)), nullptr);
  lyd_free_all(output);
  return nc_server_reply_err(
      ToNode(LYD_CTX(operation),
             {.tag = "operation-failed",
              .message = "the operation was carried out, but its answer does not fit the model: a "
                         "service of another version? " +
                         why}));
}

}  // namespace

Request ToRequest(const lyd_node* rpc) {
  Request request;
  request.module = rpc->schema->module->name;
  request.operation = rpc->schema->name;
  request.input = yang::Node::Of(rpc);
  if (const lyd_node* parent = lyd_parent(rpc); parent != nullptr) {
    request.parent = yang::Node::Of(parent).path();
  }
  return request;
}

nc_server_reply* ToReply(const lyd_node* rpc, const Reply& reply) {
  if (!reply.errors.empty()) {
    nc_server_reply* result = nullptr;
    for (const Error& error : reply.errors) {
      lyd_node* node = ToNode(LYD_CTX(rpc), error);
      if (result == nullptr) {
        result = nc_server_reply_err(node);
      } else {
        nc_server_reply_add_err(result, node);
      }
    }
    return result;
  }
  if (reply.kind == Reply::Kind::kOk || reply.kind == Reply::Kind::kClose) {
    return nc_server_reply_ok();
  }
  if (reply.kind == Reply::Kind::kOutput) return OutputReply(rpc, reply.output);
  lyd_node* output = nullptr;
  if (lyd_dup_single(rpc, nullptr, 0, &output) != LY_SUCCESS) return nullptr;
  const bool xml = reply.kind == Reply::Kind::kXml;
  if (lyd_new_any(output, nullptr, "data", reply.data.c_str(), 0,
                  xml ? LYD_ANYDATA_XML : LYD_ANYDATA_STRING, 1, nullptr) != LY_SUCCESS) {
    lyd_free_all(output);
    return nullptr;
  }
  return nc_server_reply_data(output, NC_WD_EXPLICIT, NC_PARAMTYPE_FREE);
}

}  // namespace portolan::netconf
