#include "services/base/netconf/malformed.h"

#include <dlfcn.h>

#include <optional>
#include <utility>
#include <vector>

#include "services/base/netconf/libnetconf2.h"
#include "services/base/netconf/rpc.h"
#include "services/base/yang/operation.h"

namespace portolan::netconf {
namespace {

thread_local std::optional<Error> refusal;  // of the request that was parsed last

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

void Refuse(const ly_ctx* context) {
  const std::vector<yang::Finding> findings = yang::TakeParseErrors(context);
  if (!findings.empty()) refusal = ToError(findings.front());
}

}  // namespace

void BeginMessage() { refusal.reset(); }

}  // namespace portolan::netconf

extern "C" __attribute__((visibility("default"))) LY_ERR lyd_parse_op(
    const ly_ctx* context, lyd_node* parent, ly_in* in, LYD_FORMAT format, lyd_type data_type,
    lyd_node** tree, lyd_node** op) {
  static const auto parse = portolan::netconf::Next<decltype(&lyd_parse_op)>("lyd_parse_op");
  const LY_ERR error = parse(context, parent, in, format, data_type, tree, op);
  // With its envelope, it is a request, and the library will answer it.
  if (data_type == LYD_TYPE_RPC_NETCONF && error != LY_SUCCESS && *tree != nullptr) {
    portolan::netconf::Refuse(context);
  }
  return error;
}

extern "C" __attribute__((visibility("default"))) nc_server_reply* nc_server_reply_err(
    lyd_node* error) {
  static const auto make =
      portolan::netconf::Next<decltype(&nc_server_reply_err)>("nc_server_reply_err");
  std::optional<portolan::netconf::Error>& refusal = portolan::netconf::refusal;
  if (!refusal.has_value()) return make(error);
  nc_server_reply* const reply =
      make(portolan::netconf::ToNode(LYD_CTX(error), *std::exchange(refusal, std::nullopt)));
  lyd_free_all(error);
  return reply;
}
