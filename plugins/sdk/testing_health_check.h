// Asks a health check once and waits for what it says, at most ten seconds. For tests: each call
// has a loop of its own, on the caller's thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "plugins/sdk/factory.h"
#include "plugins/sdk/health_check.h"
#include "services/base/loop/loop.h"

namespace portolan::plugin {

// DEADLINE_EXCEEDED: it says nothing.
inline absl::Status AskOnce(const Factory& factory, const HealthTarget& target,
                            absl::Duration patience = absl::Seconds(10)) {
  auto stage = factory.Create("");
  if (!stage.ok()) return stage.status();
  const auto* check = dynamic_cast<const HealthCheck*>(stage->get());
  if (check == nullptr) return absl::InternalError("is no health check");
  const std::unique_ptr<Loop> loop = NewLoop();
  absl::Status said = absl::DeadlineExceededError("says nothing");
  bool begun = false;
  const std::unique_ptr<HealthCheck::Attempt> attempt =
      check->Begin(loop.get(), target, [&](absl::Status status) {
        EXPECT_TRUE(begun) << "said within Begin()";
        said = std::move(status);
        loop->Stop();
      });
  begun = true;
  loop->RunAfter(patience, [&] { loop->Stop(); });
  loop->Run();
  return said;
}

inline HealthTarget Loopback(uint16_t port, const char* address = "127.0.0.1") {
  return {.address = *net::IpAddress::Parse(address), .port = port};
}

}  // namespace portolan::plugin
