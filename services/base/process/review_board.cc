#include "services/base/process/review_board.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace portolan::process {

using review::v1alpha1::ReviewRequest;
using review::v1alpha1::ReviewResponse;

ReviewBoard::Seat::~Seat() {
  absl::MutexLock lock(&board_->mutex_);
  board_->members_.erase(component_);
}

std::unique_ptr<ReviewBoard::Seat> ReviewBoard::Take(std::string component, Loop* loop,
                                                     Judge judge) {
  {
    absl::MutexLock lock(&mutex_);
    members_[component] = {loop, std::make_shared<const Judge>(std::move(judge))};
  }
  return std::unique_ptr<Seat>(new Seat(this, std::move(component)));
}

grpc::ServerUnaryReactor* ReviewBoard::Review(grpc::CallbackServerContext*,
                                              const ReviewRequest* request,
                                              ReviewResponse* response) {
  using Reply = std::shared_ptr<wire::Reply<ReviewResponse>>;
  const std::string& component = request->component();
  return wire::Begin(response, absl::StrCat(component, " is stopping"), [&](Reply reply) {
    absl::MutexLock lock(&mutex_);
    const auto member = members_.find(component);
    if (member == members_.end()) {
      return reply->Send(
          absl::NotFoundError(absl::StrCat(component, " does not run in this process")), {});
    }
    // Under the lock the loop is there; the question may come too late on it.
    member->second.loop->Post(
        [judge = std::weak_ptr<const Judge>(member->second.judge), request = *request, reply] {
          const std::shared_ptr<const Judge> held = judge.lock();
          if (held == nullptr) return;
          absl::StatusOr<ReviewResponse> answer = (*held)(request);
          reply->Send(answer.status(), answer.ok() ? *std::move(answer) : ReviewResponse());
        });
  });
}

}  // namespace portolan::process
