// What owners outside the pipeline have applied to this node: whose it is, how new, and what a new
// one changes. What a service says is opaque here; it is compared, kept and handed back.
//
// An owner's generation grows with every change. A service that cannot be used (`refused`) changes
// nothing: what was in force under its name stays. An address counts from the moment when its
// service first had it, over restarts, too, so that a frontend that two services claim stays with
// the one that had it first (see frontend_owners.h).
//
// Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace portolan::datapath {

struct SubmittedService {
  std::string content;
  std::set<std::string> addresses;  // canonical text
  bool refused = false;
};

struct Submission {
  std::string owner;
  uint64_t generation = 0;
  std::map<std::string, SubmittedService> services;  // by name
};

struct ServiceInForce {
  std::string content;
  std::map<std::string, int64_t> since_unix_ms;  // of its addresses
  friend bool operator==(const ServiceInForce&, const ServiceInForce&) = default;
};

struct OwnerState {
  uint64_t generation = 0;
  std::map<std::string, std::string> sent;  // content by name
  std::map<std::string, ServiceInForce> in_force;
  friend bool operator==(const OwnerState&, const OwnerState&) = default;
};

// What a submission makes of its owner's state.
struct SubmissionPlan {
  bool changed = false;  // false: nothing is to be done
  OwnerState next;
  std::set<std::string> removed;  // names that were in force and go
};

// "apply/OWNER/NAME": no service of a stream has such a key.
std::string AppliedKey(const std::string& owner, const std::string& name);
bool IsApplied(const std::string& key);
// A service in words: by its key, or who has applied it.
std::string DescribeService(const std::string& key);

// Letters, digits, "-", "_" and ".", 1 to 63 of them.
bool IsOwnerName(const std::string& name);

class DesiredStates {
 public:
  // INVALID_ARGUMENT: the owner's name, or a generation of 0. ABORTED: the generation is not higher
  // than the one in force, and the content is not the same. Changes nothing.
  absl::StatusOr<SubmissionPlan> Plan(const Submission& submission, absl::Time now) const;
  void Set(const std::string& owner, OwnerState state) { owners_[owner] = std::move(state); }
  const std::map<std::string, OwnerState>& owners() const { return owners_; }

 private:
  std::map<std::string, OwnerState> owners_;
};

}  // namespace portolan::datapath
