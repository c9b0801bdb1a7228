// What an owner applies <-> what the streams would say of it. Pure.
//
// So a service that was applied goes the way of any other: the same conversions, checks and engine.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/datapath/v1alpha1/control.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "services/datapath-loader/core/desired_states.h"

namespace portolan::datapath {

struct AppliedService {
  intent::v1alpha1::BackendSet backends;
  allocation::v1alpha1::Allocation allocation;
  intent::v1alpha1::ServiceIntent intent;  // last: with it the status gets its generation
};

struct ReadRequest {
  Submission submission;
  std::vector<std::string> names;               // in the order of the request
  std::map<std::string, std::string> problems;  // of refused ones, by name: field and remedy
};

// What has a name twice is refused, both of it.
ReadRequest ReadApply(const v1alpha1::ApplyRequest& request);

// Everything of an owner that is in force.
std::vector<AppliedService> MessagesOf(const std::string& owner, const OwnerState& state);

}  // namespace portolan::datapath
