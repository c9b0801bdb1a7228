#include "services/datapath-loader/shell/applied.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "services/datapath-loader/shell/convert.h"

namespace portolan::datapath {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

}  // namespace

Applied::~Applied() {
  for (const Pending& pending : pending_) {
    if (pending.timer != 0) loop_->Cancel(pending.timer);
  }
}

void Applied::Begin(const std::map<std::string, OwnerState>& owners) {
  for (const auto& [owner, state] : owners) states_.Set(owner, state);
}

void Applied::Apply(const v1alpha1::ApplyRequest& request, ReplyTo<v1alpha1::ApplyResponse> reply) {
  Pending pending{.owner = request.owner(), .request = ReadApply(request)};
  const Submission& submission = pending.request.submission;
  absl::StatusOr<SubmissionPlan> plan = states_.Plan(submission, clock_->Now());
  absl::Status status = plan.status();
  if (status.ok() && plan->changed) status = journal_->PutOwner(submission.owner, plan->next);
  if (!status.ok()) return reply->Send(status, {});
  pending.changed = plan->changed;
  pending.reply = std::move(reply);
  for (const auto& [name, service] : plan->next.in_force) {
    const std::string key = AppliedKey(submission.owner, name);
    if (!IsSettled(key, submission.generation)) pending.awaited.insert(key);
  }
  if (plan->changed) {
    AppliedChange change{.services = MessagesOf(submission.owner, plan->next), .removed = {}};
    for (const std::string& name : plan->removed) {
      change.removed.push_back(AppliedKey(submission.owner, name));
      said_.erase(change.removed.back());
    }
    states_.Set(submission.owner, std::move(plan->next));
    on_change_(std::move(change));
  }
  Wait(std::move(pending));
}

bool Applied::IsSettled(const std::string& key, uint64_t generation) const {
  const auto said = said_.find(key);
  return said != said_.end() && said->second.generation == generation;
}

void Applied::Wait(Pending pending) {
  if (pending.awaited.empty()) return Answer(pending);
  const auto waiting = pending_.insert(pending_.end(), std::move(pending));
  waiting->timer = loop_->RunAfter(kPatience, [this, waiting] {
    waiting->timer = 0;
    Answer(*waiting);
    pending_.erase(waiting);
  });
}

void Applied::Said(const ServiceStatus& status) {
  said_[status.key] = status;
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->request.submission.generation <= status.generation) it->awaited.erase(status.key);
    if (!it->awaited.empty()) {
      ++it;
      continue;
    }
    loop_->Cancel(it->timer);
    Answer(*it);
    it = pending_.erase(it);
  }
}

void Applied::Answer(const Pending& pending) {
  v1alpha1::ApplyResponse response;
  response.set_changed(pending.changed);
  for (const std::string& name : pending.request.names) {
    *response.add_services() = StatusOf(pending, name);
  }
  pending.reply->Send(absl::OkStatus(), std::move(response));
}

status::v1alpha1::ObjectStatus Applied::StatusOf(const Pending& pending,
                                                 const std::string& name) const {
  const std::string key = AppliedKey(pending.owner, name);
  const uint64_t generation = pending.request.submission.generation;
  ServiceStatus status{.key = key, .generation = generation};
  const auto problem = pending.request.problems.find(name);
  if (problem != pending.request.problems.end()) {
    status.state = State::kRejected;
    status.reason = "not-usable";
    status.message = problem->second;
    status.remedy =
        "mend it and apply with a higher generation; what was in force under its name "
        "stays until then";
  } else if (IsSettled(key, generation)) {
    status = said_.at(key);
  } else {
    status.reason = "not-answered";
    status.message = "it is kept, and the kernel has not answered for it yet";
    status.remedy = "see the status of the node, portolan get problems";
  }
  return ToProto(status, node_);
}

}  // namespace portolan::datapath
