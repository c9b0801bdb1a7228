#include "plugins/health_checks/tcp/tcp.h"

#include <sys/socket.h>

#include <utility>

#include "plugins/sdk/exchange.h"
#include "plugins/sdk/health_check.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

class TcpCheck : public HealthCheck {
 public:
  std::unique_ptr<Attempt> Begin(Loop* loop, const HealthTarget& target, Done done) const override {
    return Exchange::Begin(loop, target, {.socket_type = SOCK_STREAM, .text = "", .judge = nullptr},
                           std::move(done));
  }
};

}  // namespace

std::unique_ptr<Factory> NewTcpCheckFactory() {
  return std::make_unique<FunctionFactory<HealthCheck>>(
      "tcp", [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<HealthCheck>> {
        RETURN_IF_ERROR(ExpectNoSettings("tcp", settings));
        return std::make_unique<TcpCheck>();
      });
}

}  // namespace portolan::plugin
