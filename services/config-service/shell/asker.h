// Asks one question after another of one of several services, without waiting for the answers.
//
// Ask() returns at once; the answer comes through the callback on a thread of gRPC, within the
// deadline. Nobody waits for a service that is away: the next one is asked. Thread-safe. The
// destructor cancels what is out, and every question is answered before it returns.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace portolan::config {

template <typename Request, typename Response>
class Asker {
 public:
  // Starts the call; `done` is called once, on a thread of gRPC.
  using Method = std::function<void(grpc::ClientContext* context, const Request* request,
                                    Response* response, std::function<void(grpc::Status)> done)>;
  // An error: there is no answer; its message says why in a few words.
  using Callback = std::function<void(absl::StatusOr<Response>)>;

  // Of several, the one that answers is the one that counts; `deadline` is for all together.
  Asker(std::vector<Method> whom, absl::Duration deadline)
      : whom_(std::move(whom)), deadline_(deadline) {}

  ~Asker() {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    for (const std::unique_ptr<Call>& call : calls_) call->context->TryCancel();
    mutex_.Await(absl::Condition(
        +[](int* unfinished) { return *unfinished == 0; }, &unfinished_));
  }

  void Ask(Request request, Callback callback) {
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

 private:
  struct Call {
    size_t next = 0;  // whom to ask
    absl::Time deadline;
    std::unique_ptr<grpc::ClientContext> context;
    Request request;
    Response response;
    grpc::Status status;
    Callback callback;
  };

  void Begin(Call* call) {
    call->context->set_deadline(absl::ToChronoTime(call->deadline));
    whom_[call->next++](call->context.get(), &call->request, &call->response,
                        [this, call](grpc::Status status) {
                          call->status = std::move(status);
                          Finish(call);
                        });
  }

  // On a thread that gRPC joins when the last reference to the channel goes. A call holds one, so
  // it must be gone before the destructor, on a thread of ours, lets the last one go.
  void Finish(Call* call) {
    if (call->status.error_code() == grpc::StatusCode::UNAVAILABLE && call->next < whom_.size()) {
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

  absl::StatusOr<Response> AnswerOf(const Call& call) const {
    if (call.status.ok()) return call.response;
    const auto code = static_cast<absl::StatusCode>(call.status.error_code());
    switch (code) {
      case absl::StatusCode::kDeadlineExceeded:
        return absl::Status(code,
                            absl::StrCat("it did not answer in ", absl::FormatDuration(deadline_)));
      case absl::StatusCode::kUnimplemented:
        return absl::UnimplementedError("it does not run there, or is of an older version");
      default:
        return absl::Status(code, call.status.error_message().empty()
                                      ? absl::StatusCodeToString(code)
                                      : call.status.error_message());
    }
  }

  const std::vector<Method> whom_;
  const absl::Duration deadline_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Call>> calls_ ABSL_GUARDED_BY(mutex_);  // that can be cancelled
  int unfinished_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace portolan::config
