// Unary RPCs that are answered later and from any thread: what a service with a loop needs.
//
//   grpc::ServerUnaryReactor* Get(context, request, response) override {
//     return wire::Begin(response, "x-service is stopping",
//                        [&](std::shared_ptr<wire::Reply<GetResponse>> reply) {...});
//   }
//
// A call whose Reply is dropped ends with UNAVAILABLE; one that the client or a shutdown cancels
// ends at once, and what is sent afterwards is dropped.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "services/base/wire/grpc_status.h"

namespace portolan::wire {

// The way to answer one call, once. Thread-safe.
template <typename Response>
class Reply {
 public:
  virtual ~Reply() = default;
  virtual void Send(const absl::Status& status, Response response) = 0;
};

namespace internal {

// What the reactor (gRPC's) and the reply (ours) share: who finishes the call first.
template <typename Response>
class UnaryCall {
 public:
  UnaryCall(grpc::ServerUnaryReactor* reactor, Response* out) : reactor_(reactor), out_(out) {}

  void Finish(const grpc::Status& status, Response response) {
    grpc::ServerUnaryReactor* reactor = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      reactor = std::exchange(reactor_, nullptr);
      if (reactor == nullptr) return;
      *out_ = std::move(response);
    }
    reactor->Finish(status);
  }

 private:
  absl::Mutex mutex_;
  grpc::ServerUnaryReactor* reactor_ ABSL_GUARDED_BY(mutex_);  // null once finished
  Response* const out_;
};

template <typename Response>
class UnaryReactor : public grpc::ServerUnaryReactor {
 public:
  explicit UnaryReactor(Response* out) : call_(std::make_shared<UnaryCall<Response>>(this, out)) {}
  std::shared_ptr<UnaryCall<Response>> call() const { return call_; }
  void OnCancel() override {
    // A local reference: finishing may end in OnDone() before it returns.
    const std::shared_ptr<UnaryCall<Response>> call = call_;
    call->Finish(grpc::Status::CANCELLED, {});
  }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<UnaryCall<Response>> call_;
};

template <typename Response>
class UnaryReply : public Reply<Response> {
 public:
  UnaryReply(std::shared_ptr<UnaryCall<Response>> call, std::string dropped)
      : call_(std::move(call)), dropped_(std::move(dropped)) {}
  ~UnaryReply() override {
    call_->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, dropped_), {});
  }
  void Send(const absl::Status& status, Response response) override {
    call_->Finish(ToGrpc(status), std::move(response));
  }

 private:
  const std::shared_ptr<UnaryCall<Response>> call_;
  const std::string dropped_;
};

}  // namespace internal

// `dropped`: the message of a call whose reply was dropped. `handle` is called before it returns.
template <typename Response, typename Handle>
grpc::ServerUnaryReactor* Begin(Response* response, std::string dropped, Handle handle) {
  auto* reactor = new internal::UnaryReactor<Response>(response);
  std::shared_ptr<Reply<Response>> reply =
      std::make_shared<internal::UnaryReply<Response>>(reactor->call(), std::move(dropped));
  handle(std::move(reply));
  return reactor;
}

}  // namespace portolan::wire
