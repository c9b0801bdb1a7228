#include "services/config-service/shell/rpc_error.h"

#include "absl/strings/str_cat.h"

namespace portolan::config {
namespace {

struct Tag {
  const char* rule;
  const char* tag;
  const char* type;
};

// RFC 6241, appendix A, and RFC 7950, section 15. What is not here is operation-failed.
constexpr Tag kTags[] = {
    {"data-exists", "data-exists", "application"},
    {"data-missing", "data-missing", "application"},
    {"instance-required", "data-missing", "application"},
    {"missing-choice", "data-missing", "application"},
    {"mandatory", "data-missing", "application"},
    {"bad-attribute", "bad-attribute", "application"},
    {"attribute", "unknown-attribute", "application"},
    {"unknown-node", "unknown-element", "application"},
    {"missing-key", "missing-element", "application"},
    {"syntax", "invalid-value", "protocol"},
    {"type", "invalid-value", "application"},
    {"persist-id", "invalid-value", "protocol"},
    {"locked", "in-use", "protocol"},
    {"confirm-pending", "in-use", "protocol"},
    {"busy", "in-use", "protocol"},
    {"journal", "resource-denied", "application"},
};

}  // namespace

RpcError ToRpcError(const Problem& problem) {
  RpcError error{.tag = "operation-failed", .app_tag = problem.rule, .path = problem.path};
  for (const Tag& tag : kTags) {
    if (problem.rule != tag.rule) continue;
    error.tag = tag.tag;
    error.type = tag.type;
  }
  if (error.app_tag == error.tag) error.app_tag.clear();
  error.message =
      absl::StrCat(problem.message, problem.remedy.empty() ? "" : "; remedy: ", problem.remedy);
  return error;
}

RpcErrors ToRpcErrors(const std::vector<Problem>& problems) {
  RpcErrors errors;
  for (const Problem& problem : problems) errors.push_back(ToRpcError(problem));
  return errors;
}

}  // namespace portolan::config
