#include "services/base/netconf/malformed.h"

#include <dlfcn.h>

#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "services/base/netconf/libnetconf2.h"
#include "services/base/netconf/rpc.h"
#include "services/base/yang/operation.h"

namespace portolan::netconf {
namespace {

constexpr char kWithoutOperation[] = "<rpc xmlns=\"" NC_NS_BASE "\"/>";

enum class Stage { kNone, kReading, kParsed, kMalformed };
thread_local Stage stage = Stage::kNone;
thread_local std::optional<Error> refusal;  // of the request that was parsed last

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool IsBlank(ly_in* in) {
  const char* const text = ly_in_memory(in, nullptr);
  return text != nullptr && text[std::strspn(text, " \t\r\n")] == '\0';
}

void Refuse(const ly_ctx* context) {
  const std::vector<yang::Finding> findings = yang::TakeParseErrors(context);
  if (!findings.empty()) refusal = ToError(findings.front());
}

}  // namespace

void BeginMessage() {
  stage = Stage::kReading;
  refusal.reset();
}
bool WasMalformed() { return stage == Stage::kMalformed; }

}  // namespace portolan::netconf

// The library refuses an <rpc> without an operation as it should refuse a blank message.
extern "C" __attribute__((visibility("default"))) LY_ERR lyd_parse_op(
    const ly_ctx* context, lyd_node* parent, ly_in* in, LYD_FORMAT format, lyd_type data_type,
    lyd_node** tree, lyd_node** op) {
  using portolan::netconf::Stage;
  static const auto parse = portolan::netconf::Next<decltype(&lyd_parse_op)>("lyd_parse_op");
  if (data_type == LYD_TYPE_RPC_NETCONF) portolan::netconf::stage = Stage::kParsed;
  if (data_type != LYD_TYPE_RPC_NETCONF) {
    return parse(context, parent, in, format, data_type, tree, op);
  }
  if (!portolan::netconf::IsBlank(in)) {
    const LY_ERR error = parse(context, parent, in, format, data_type, tree, op);
    // With its envelope, it is a request, and the library will answer it.
    if (error != LY_SUCCESS && *tree != nullptr) portolan::netconf::Refuse(context);
    return error;
  }
  ly_in* instead = nullptr;
  ly_in_new_memory(portolan::netconf::kWithoutOperation, &instead);
  const LY_ERR error = parse(context, parent, instead, format, data_type, tree, op);
  ly_in_free(instead, 0);
  return error;
}

// Called before there was anything to parse, it is for bad chunks; with a reply, the library would
// look for the request that it answers.
extern "C" __attribute__((visibility("default"))) nc_server_reply* nc_server_reply_err(
    lyd_node* error) {
  using portolan::netconf::Stage;
  static const auto make =
      portolan::netconf::Next<decltype(&nc_server_reply_err)>("nc_server_reply_err");
  if (portolan::netconf::stage != Stage::kReading) {
    std::optional<portolan::netconf::Error>& refusal = portolan::netconf::refusal;
    if (!refusal.has_value()) return make(error);
    nc_server_reply* const reply =
        make(portolan::netconf::ToNode(LYD_CTX(error), *std::exchange(refusal, std::nullopt)));
    lyd_free_all(error);
    return reply;
  }
  portolan::netconf::stage = Stage::kMalformed;
  lyd_free_all(error);
  return nullptr;
}
