#include "services/datapath-loader/core/desired_states.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace portolan::datapath {
namespace {

absl::Status CheckWords(const Submission& submission) {
  if (!IsOwnerName(submission.owner)) {
    return absl::InvalidArgumentError(
        absl::StrCat("owner: \"", submission.owner,
                     "\" is no name; 1 to 63 letters, digits, \"-\", \"_\" or \".\""));
  }
  if (submission.generation == 0) {
    return absl::InvalidArgumentError(
        "generation: it is missing; begin with 1, and let it grow with every change");
  }
  return absl::OkStatus();
}

ServiceInForce InForce(const SubmittedService& service, const ServiceInForce* before,
                       absl::Time now) {
  ServiceInForce next{.content = service.content, .since_unix_ms = {}};
  for (const std::string& address : service.addresses) {
    int64_t since = absl::ToUnixMillis(now);
    if (before != nullptr) {
      const auto held = before->since_unix_ms.find(address);
      if (held != before->since_unix_ms.end()) since = held->second;
    }
    next.since_unix_ms[address] = since;
  }
  return next;
}

constexpr char kApplied[] = "apply/";

}  // namespace

std::string AppliedKey(const std::string& owner, const std::string& name) {
  return absl::StrCat(kApplied, owner, "/", name);
}

bool IsApplied(const std::string& key) {
  return absl::StartsWith(key, kApplied) && absl::StrContains(key.substr(strlen(kApplied)), '/');
}

std::string DescribeService(const std::string& key) {
  if (!IsApplied(key)) return absl::StrCat("service ", key);
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(absl::StripPrefix(key, kApplied), absl::MaxSplits('/', 1));
  return absl::StrCat("service ", parts.second, " of owner ", parts.first,
                      " (portolan datapath apply)");
}

bool IsOwnerName(const std::string& name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

absl::StatusOr<SubmissionPlan> DesiredStates::Plan(const Submission& submission,
                                                   absl::Time now) const {
  if (absl::Status status = CheckWords(submission); !status.ok()) return status;
  SubmissionPlan plan;
  plan.next.generation = submission.generation;
  for (const auto& [name, service] : submission.services) plan.next.sent[name] = service.content;
  const auto found = owners_.find(submission.owner);
  const OwnerState before = found == owners_.end() ? OwnerState() : found->second;
  if (submission.generation <= before.generation) {
    if (submission.generation == before.generation && plan.next.sent == before.sent) {
      plan.next = before;
      return plan;
    }
    return absl::AbortedError(absl::StrCat(
        "generation: ", submission.generation, " is not higher than ", before.generation,
        ", which owner ", submission.owner,
        " has applied with other content; ask what is in force, and apply with a higher one"));
  }
  plan.changed = true;
  for (const auto& [name, service] : submission.services) {
    const auto was = before.in_force.find(name);
    const ServiceInForce* const old = was == before.in_force.end() ? nullptr : &was->second;
    if (!service.refused) {
      plan.next.in_force[name] = InForce(service, old, now);
    } else if (old != nullptr) {
      plan.next.in_force[name] = *old;
    }
  }
  for (const auto& [name, service] : before.in_force) {
    if (!plan.next.in_force.contains(name)) plan.removed.insert(name);
  }
  return plan;
}

}  // namespace portolan::datapath
