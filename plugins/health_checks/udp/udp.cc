#include "plugins/health_checks/udp/udp.h"

#include <sys/socket.h>

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "plugins/sdk/exchange.h"
#include "plugins/sdk/health_check.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

class UdpCheck : public HealthCheck {
 public:
  std::unique_ptr<Attempt> Begin(Loop* loop, const HealthTarget& target, Done done) const override {
    const auto judge = [expect = target.expect](absl::string_view answer,
                                                bool) -> std::optional<absl::Status> {
      if (absl::StartsWith(answer, expect)) return absl::OkStatus();
      return absl::UnavailableError("the answer does not begin as expected");
    };
    return Exchange::Begin(loop, target,
                           {.socket_type = SOCK_DGRAM, .text = target.send, .judge = judge},
                           std::move(done));
  }
};

}  // namespace

std::unique_ptr<Factory> NewUdpCheckFactory() {
  return std::make_unique<FunctionFactory<HealthCheck>>(
      "udp", [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<HealthCheck>> {
        RETURN_IF_ERROR(ExpectNoSettings("udp", settings));
        return std::make_unique<UdpCheck>();
      });
}

}  // namespace portolan::plugin
