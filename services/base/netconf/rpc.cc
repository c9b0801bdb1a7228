#include "services/base/netconf/rpc.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "services/base/netconf/output.h"

namespace portolan::netconf {
namespace {

lyd_node* NewElement(const ly_ctx* context, const char* name, const std::string& text) {
  lyd_node* node = nullptr;
  lyd_new_opaq2(nullptr, context, name, text.c_str(), nullptr, NC_NS_BASE, &node);
  return node;
}

void Add(lyd_node* parent, const char* name, const std::string& text) {
  lyd_node* node = NewElement(LYD_CTX(parent), name, text);
  if (node != nullptr) lyd_insert_child(parent, node);
}

struct Tag {
  const char* rule;
  const char* tag;
};

// RFC 6241, appendix A. What has no tag here is a wrong value, and its rule the model's own.
constexpr Tag kTags[] = {
    {"type", "invalid-value"},          {"syntax", "invalid-value"},
    {"xpath", "invalid-value"},         {"choice", "bad-element"},
    {"duplicate", "bad-element"},       {"unknown-node", "unknown-element"},
    {"missing-key", "missing-element"}, {"internal", "operation-failed"},
};

// The first word in quotes: libyang's way to name a node.
std::string Quoted(const std::string& message) {
  const size_t begin = message.find('"');
  const size_t end = message.find('"', begin + 1);
  if (begin == std::string::npos || end == std::string::npos) return "";
  return message.substr(begin + 1, end - begin - 1);
}

nc_server_reply* OutputReply(const lyd_node* operation, const std::vector<Element>& elements) {
  std::string why;
  if (lyd_node* const output = ToOutput(operation, elements, &why); output != nullptr) {
    return nc_server_reply_data(output, NC_WD_EXPLICIT, NC_PARAMTYPE_FREE);
  }
  return nc_server_reply_err(ToNode(
      LYD_CTX(operation),
      {.tag = "operation-failed",
       .message = "the operation was carried out, but the answer of a service does not fit the "
                  "model (is it of another version?): " +
                  why}));
}

}  // namespace

Error ToError(const yang::Finding& finding) {
  Error error{.tag = "", .path = finding.path, .message = finding.message};
  for (const Tag& tag : kTags) {
    if (finding.rule == tag.rule) error.tag = tag.tag;
  }
  if (error.tag.empty()) {
    error.tag = "invalid-value";
    error.app_tag = finding.rule;
  }
  const std::string name = Quoted(finding.message);
  const bool names_element = error.tag.find("-element") != std::string::npos;
  if (names_element && !name.empty()) error.info = {{"bad-element", name}};
  return error;
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
