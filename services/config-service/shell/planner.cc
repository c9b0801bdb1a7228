#include "services/config-service/shell/planner.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/config-service/shell/convert.h"

namespace portolan::config {

struct Planner::Call {
  grpc::ClientContext context;
  ipam::v1alpha1::PlanRequest request;
  ipam::v1alpha1::PlanResponse response;
  grpc::Status status;
  Callback callback;
};

Planner::Planner(const std::shared_ptr<grpc::Channel>& ipam, absl::Duration deadline)
    : stub_(ipam::v1alpha1::Ipam::NewStub(ipam)), deadline_(deadline) {}

Planner::~Planner() {
  absl::MutexLock lock(&mutex_);
  for (const std::unique_ptr<Call>& call : calls_) call->context.TryCancel();
  mutex_.Await(absl::Condition(
      +[](int* unfinished) { return *unfinished == 0; }, &unfinished_));
}

void Planner::Ask(ipam::v1alpha1::PlanRequest request, Callback callback) {
  auto call = std::make_unique<Call>();
  call->request = std::move(request);
  call->callback = std::move(callback);
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + deadline_));
  Call* started = call.get();
  {
    absl::MutexLock lock(&mutex_);
    calls_.push_back(std::move(call));
    ++unfinished_;
  }
  stub_->async()->Plan(&started->context, &started->request, &started->response,
                       [this, started](grpc::Status status) {
                         started->status = std::move(status);
                         Finish(started);
                       });
}

// On a thread that gRPC joins when the last reference to the channel goes. A call holds one, so it
// must be gone before the destructor, on a thread of ours, lets the last one go.
void Planner::Finish(Call* call) {
  call->callback(AnswerOf(*call));
  std::unique_ptr<Call> finished;
  {
    absl::MutexLock lock(&mutex_);
    const auto it = std::find_if(calls_.begin(), calls_.end(),
                                 [call](const auto& other) { return other.get() == call; });
    finished = std::move(*it);
    calls_.erase(it);
  }
  finished.reset();
  absl::MutexLock lock(&mutex_);
  --unfinished_;
}

Planner::Answer Planner::AnswerOf(const Call& call) const {
  if (call.status.ok()) {
    std::vector<AddressMove> moves;
    for (const v1alpha1::AddressMove& move : call.response.moves()) {
      moves.push_back(FromProto(move));
    }
    return moves;
  }
  const auto code = static_cast<absl::StatusCode>(call.status.error_code());
  switch (code) {
    case absl::StatusCode::kDeadlineExceeded:
      return absl::Status(code,
                          absl::StrCat("it did not answer in ", absl::FormatDuration(deadline_)));
    case absl::StatusCode::kUnimplemented:
      return absl::UnimplementedError("it does not run there, or is of an older version");
    default:
      return absl::Status(code, call.status.error_message().empty() ? absl::StatusCodeToString(code)
                                                                    : call.status.error_message());
  }
}

}  // namespace portolan::config
