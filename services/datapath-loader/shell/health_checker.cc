#include "services/datapath-loader/shell/health_checker.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

bool IsAsked(const BackendView& view) {
  return view.state != BackendState::kDown && view.state != BackendState::kUnused;
}

}  // namespace

HealthChecker::HealthChecker(Loop* loop, const plugin::Registry& registry, Report report)
    : loop_(loop), registry_(registry), report_(std::move(report)) {}

HealthChecker::~HealthChecker() {
  for (auto& [service, checked] : services_) {
    for (auto& [backend, subject] : checked.subjects) {
      loop_->Cancel(subject.next);
      loop_->Cancel(subject.timeout);
    }
  }
}

absl::Status HealthChecker::SetPlan(const std::string& service,
                                    const std::optional<HealthPlan>& plan) {
  const auto known = services_.find(service);
  if (known == services_.end() ? !plan.has_value() : known->second.plan == plan) {
    return absl::OkStatus();
  }
  Checked& checked = services_[service];
  for (auto& [backend, subject] : checked.subjects) Drop(service, backend, subject);
  checked.subjects.clear();
  checked.plan.reset();
  checked.check.reset();
  if (!plan.has_value()) {
    if (checked.views.empty()) services_.erase(service);
    return absl::OkStatus();
  }
  auto check = registry_.Create<plugin::HealthCheck>(plan->type, "");
  if (!check.ok()) return check.status();
  checked.check = *std::move(check);
  checked.plan = plan;
  Adjust(service, checked);
  return absl::OkStatus();
}

void HealthChecker::SetBackends(const std::string& service, const std::vector<BackendView>& views) {
  if (views.empty() && !services_.contains(service)) return;
  Checked& checked = services_[service];
  checked.views = views;
  Adjust(service, checked);
  if (views.empty() && !checked.plan.has_value()) services_.erase(service);
}

void HealthChecker::Adjust(const std::string& service, Checked& checked) {
  if (!checked.plan.has_value()) return;
  std::map<std::string, plugin::HealthTarget> wanted;
  for (const BackendView& view : checked.views) {
    if (!IsAsked(view) || wanted.contains(view.backend)) continue;
    plugin::HealthTarget target = checked.plan->target;
    target.address = view.address;
    if (target.port == 0) target.port = view.target_port;
    wanted[view.backend] = std::move(target);
  }
  std::erase_if(checked.subjects, [&](auto& item) {
    const auto target = wanted.find(item.first);
    if (target != wanted.end() && target->second == item.second.target) return false;
    Drop(service, item.first, item.second);
    return true;
  });
  for (auto& [backend, target] : wanted) {
    if (checked.subjects.contains(backend)) continue;
    checked.subjects[backend].target = std::move(target);
    const absl::Duration spread = std::min(checked.plan->interval, absl::Seconds(1));
    const int64_t part = absl::HashOf(service, backend) % 1000;
    Schedule(service, backend, spread * part / 1000);
  }
}

// The subject is about to go.
void HealthChecker::Drop(const std::string& service, const std::string& backend,
                         const Subject& subject) {
  loop_->Cancel(subject.next);
  loop_->Cancel(subject.timeout);
  if (subject.failed) Tell({service, backend, std::nullopt});
}

void HealthChecker::Schedule(const std::string& service, const std::string& backend,
                             absl::Duration delay) {
  services_.at(service).subjects.at(backend).next =
      loop_->RunAfter(delay, [this, service, backend] { Ask(service, backend); });
}

void HealthChecker::Ask(const std::string& service, const std::string& backend) {
  Checked& checked = services_.at(service);
  Subject& subject = checked.subjects.at(backend);
  // One that is under way still has until its own time-out.
  Schedule(service, backend, checked.plan->interval);
  if (subject.attempt != nullptr) return;
  subject.attempt = checked.check->Begin(
      loop_, subject.target,
      [this, service, backend](absl::Status answer) { OnAnswer(service, backend, answer); });
  subject.timeout = loop_->RunAfter(checked.plan->timeout, [this, service, backend] {
    const absl::Duration timeout = services_.at(service).plan->timeout;
    OnAnswer(service, backend,
             absl::DeadlineExceededError(
                 absl::StrCat("no answer within ", absl::FormatDuration(timeout))));
  });
}

void HealthChecker::OnAnswer(const std::string& service, const std::string& backend,
                             const absl::Status& answer) {
  Checked& checked = services_.at(service);
  Subject& subject = checked.subjects.at(backend);
  loop_->Cancel(subject.timeout);
  subject.attempt.reset();
  if (answer.ok() != subject.failed) {
    subject.streak = 0;
    return;
  }
  const uint32_t enough = answer.ok() ? checked.plan->successes : checked.plan->failures;
  if (++subject.streak < enough) return;
  subject.streak = 0;
  subject.failed = !answer.ok();
  HealthChanged change{service, backend, std::nullopt};
  if (!answer.ok()) change.failure = std::string(answer.message());
  Tell(std::move(change));
}

// In a turn of its own: what it leads to may come back here.
void HealthChecker::Tell(HealthChanged change) {
  loop_->Post([this, alive = std::weak_ptr<bool>(alive_), change = std::move(change)] {
    if (!alive.expired()) report_(change);
  });
}

}  // namespace portolan::datapath
