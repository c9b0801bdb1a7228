// Asks backends whether they serve, and says so when the answer has been the same often enough.
//
// Each backend of a service that has a plan is asked once per interval, first within a second or
// an interval of when it became known, spread so that not all are asked at once. A check that takes
// longer than its time-out has failed. A backend counts as well until it has failed; with another
// address or port it is another backend.
//
// Lives on the loop's thread; nothing blocks. The registry must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "plugins/sdk/health_check.h"
#include "plugins/sdk/registry.h"
#include "services/base/loop/loop.h"
#include "services/datapath-loader/core/engine.h"

namespace portolan::datapath {

struct HealthPlan {
  std::string type;
  plugin::HealthTarget target;  // port 0: where the backend listens; without an address
  absl::Duration interval = absl::Seconds(5);
  absl::Duration timeout = absl::Seconds(2);
  uint32_t failures = 3;   // in a row, until the backend has failed
  uint32_t successes = 1;  // in a row, until it is well again
  friend bool operator==(const HealthPlan&, const HealthPlan&) = default;
};

class HealthChecker {
 public:
  // Is called whenever the verdict on a backend changes; not while a setter runs.
  using Report = std::function<void(const HealthChanged&)>;

  HealthChecker(Loop* loop, const plugin::Registry& registry, Report report);
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  // Absent: nobody is asked, and who had failed is well. An equal one changes nothing. NOT_FOUND
  // names the types that there are.
  absl::Status SetPlan(const std::string& service, const std::optional<HealthPlan>& plan);
  // All backends of the service; those that are down or cannot be used are not asked.
  void SetBackends(const std::string& service, const std::vector<BackendView>& views);

 private:
  struct Subject {
    plugin::HealthTarget target;
    std::unique_ptr<plugin::HealthCheck::Attempt> attempt;
    Loop::TimerId next = 0;
    Loop::TimerId timeout = 0;
    uint32_t streak = 0;  // answers in a row that speak against `failed`
    bool failed = false;
  };
  struct Checked {
    std::optional<HealthPlan> plan;
    std::unique_ptr<plugin::HealthCheck> check;
    std::vector<BackendView> views;
    std::map<std::string, Subject> subjects;  // by backend
  };

  // Makes the subjects those of the plan and the views.
  void Adjust(const std::string& service, Checked& checked);
  void Drop(const std::string& service, const std::string& backend, const Subject& subject);
  void Schedule(const std::string& service, const std::string& backend, absl::Duration delay);
  void Ask(const std::string& service, const std::string& backend);
  void OnAnswer(const std::string& service, const std::string& backend, const absl::Status& answer);
  void Tell(HealthChanged change);

  Loop* const loop_;
  const plugin::Registry& registry_;
  const Report report_;
  std::map<std::string, Checked> services_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is posted
};

}  // namespace portolan::datapath
