#include "services/config-service/shell/planner.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/config-service/shell/convert.h"

namespace portolan::config {

struct Planner::Call {
  size_t next = 0;  // whom to ask
  absl::Time deadline;
  std::unique_ptr<grpc::ClientContext> context;
  ipam::v1alpha1::PlanRequest request;
  ipam::v1alpha1::PlanResponse response;
  grpc::Status status;
  Callback callback;
};

Planner::Planner(const wire::Channels& ipam, absl::Duration deadline) : deadline_(deadline) {
  for (const std::shared_ptr<grpc::Channel>& channel : ipam.all()) {
    stubs_.push_back(ipam::v1alpha1::Ipam::NewStub(channel));
  }
}

Planner::~Planner() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  for (const std::unique_ptr<Call>& call : calls_) call->context->TryCancel();
  mutex_.Await(absl::Condition(
      +[](int* unfinished) { return *unfinished == 0; }, &unfinished_));
}

void Planner::Ask(ipam::v1alpha1::PlanRequest request, Callback callback) {
  auto call = std::make_unique<Call>();
  call->request = std::move(request);
  call->callback = std::move(callback);
  call->deadline = absl::Now() + deadline_;
  call->context = std::make_unique<grpc::ClientContext>();
  Call* started = call.get();
  {
    absl::MutexLock lock(&mutex_);
    calls_.push_back(std::move(call));
    ++unfinished_;
  }
  Begin(started);
}

void Planner::Begin(Call* call) {
  call->context->set_deadline(absl::ToChronoTime(call->deadline));
  stubs_[call->next++]->async()->Plan(call->context.get(), &call->request, &call->response,
                                      [this, call](grpc::Status status) {
                                        call->status = std::move(status);
                                        Finish(call);
                                      });
}

// On a thread that gRPC joins when the last reference to the channel goes. A call holds one, so it
// must be gone before the destructor, on a thread of ours, lets the last one go.
void Planner::Finish(Call* call) {
  if (call->status.error_code() == grpc::StatusCode::UNAVAILABLE && call->next < stubs_.size()) {
    auto context = std::make_unique<grpc::ClientContext>();
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) context->TryCancel();
      call->context.swap(context);
    }
    context.reset();
    return Begin(call);
  }
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
  if (call.status.ok()) return FromProto(call.response);
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
