#include "plugins/health_checks/http/http.h"

#include <sys/socket.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "plugins/sdk/exchange.h"
#include "plugins/sdk/health_check.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

// "HTTP/1.1 200 OK" (RFC 9112, section 4).
absl::Status JudgeStatusLine(absl::string_view line) {
  constexpr size_t kStatus = sizeof("HTTP/1.1 ") - 1;
  int status = 0;
  if (!absl::StartsWith(line, "HTTP/1.") || line.size() < kStatus + 3 ||
      !absl::SimpleAtoi(line.substr(kStatus, 3), &status)) {
    return absl::UnavailableError("the answer is not HTTP/1.x");
  }
  if (status >= 200 && status <= 399) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("answered with status ", status));
}

std::optional<absl::Status> Judge(absl::string_view answer, bool ended) {
  const size_t end = answer.find("\r\n");
  if (end != absl::string_view::npos) return JudgeStatusLine(answer.substr(0, end));
  if (ended) return absl::UnavailableError("the answer is not HTTP/1.x");
  return std::nullopt;
}

std::string HostOf(const HealthTarget& target) {
  if (!target.host.empty()) return target.host;
  const std::string address = target.address.ToString();
  return absl::StrCat(target.address.is_ipv4() ? address : absl::StrCat("[", address, "]"), ":",
                      target.port);
}

class HttpCheck : public HealthCheck {
 public:
  std::unique_ptr<Attempt> Begin(Loop* loop, const HealthTarget& target, Done done) const override {
    std::string text = absl::StrCat("GET ", target.path.empty() ? "/" : target.path,
                                    " HTTP/1.1\r\nHost: ", HostOf(target),
                                    "\r\nUser-Agent: portolan\r\nConnection: close\r\n\r\n");
    return Exchange::Begin(loop, target,
                           {.socket_type = SOCK_STREAM, .text = std::move(text), .judge = Judge},
                           std::move(done));
  }
};

}  // namespace

std::unique_ptr<Factory> NewHttpCheckFactory() {
  return std::make_unique<FunctionFactory<HealthCheck>>(
      "http", [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<HealthCheck>> {
        RETURN_IF_ERROR(ExpectNoSettings("http", settings));
        return std::make_unique<HttpCheck>();
      });
}

}  // namespace portolan::plugin
