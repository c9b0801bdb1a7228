// Where the services of a process say what they would make of an edit (review.v1alpha1.Reviewer):
// one face for all of them, since a server has each RPC once and a stage may come and go.
//
// A question for a component that is not here is NOT_FOUND. Owned by the process; outlives the
// seats. Thread-safe. Reviewers are called on the loop of their service and do not block.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "api/proto/review/v1alpha1/review.grpc.pb.h"
#include "services/base/loop/loop.h"
#include "services/base/wire/unary.h"

namespace portolan::process {

class ReviewBoard : public review::v1alpha1::Reviewer::CallbackService {
 public:
  using Judge = std::function<absl::StatusOr<review::v1alpha1::ReviewResponse>(
      const review::v1alpha1::ReviewRequest&)>;

  // As long as it lives the component is asked. Destroyed on the loop's thread, or while the loop
  // does not run.
  class Seat {
   public:
    ~Seat();
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;

   private:
    friend class ReviewBoard;
    Seat(ReviewBoard* board, std::string component)
        : board_(board), component_(std::move(component)) {}
    ReviewBoard* const board_;
    const std::string component_;
  };

  // `component` as in ReviewRequest; has no seat yet.
  [[nodiscard]] std::unique_ptr<Seat> Take(std::string component, Loop* loop, Judge judge);

  grpc::ServerUnaryReactor* Review(grpc::CallbackServerContext* context,
                                   const review::v1alpha1::ReviewRequest* request,
                                   review::v1alpha1::ReviewResponse* response) override;

 private:
  struct Member {
    Loop* loop;
    std::shared_ptr<const Judge> judge;  // posted questions hold it weakly
  };

  absl::Mutex mutex_;
  std::map<std::string, Member> members_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::process
