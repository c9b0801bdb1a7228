// Asks the services of this node what they make of an edit (review.v1alpha1.Reviewer).
//
// A component is asked in the process of its program, or in the one that runs all of them. See
// asker.h for threads and ends; each question has its own deadline, which begins with it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "api/proto/review/v1alpha1/review.pb.h"
#include "services/base/process/service.h"
#include "services/config-service/core/engine.h"
#include "services/config-service/shell/asker.h"

namespace portolan::config {

class Reviewers {
 public:
  using Callback = std::function<void(Reviewed)>;

  // Those of the same node; nobody else is asked.
  Reviewers(const std::vector<process::Peer>& processes, absl::Duration deadline);

  // A component that no process of this node can run has nothing to say, at once.
  void Ask(const AskReview& ask, const Callback& callback);

 private:
  using ReviewAsker = Asker<review::v1alpha1::ReviewRequest, review::v1alpha1::ReviewResponse>;

  std::map<std::string, std::unique_ptr<ReviewAsker>> askers_;  // by process
};

// The question on the wire.
review::v1alpha1::ReviewRequest ToProto(const ReviewQuestion& question);

}  // namespace portolan::config
