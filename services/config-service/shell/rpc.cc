#include "services/config-service/shell/rpc.h"

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace portolan::config {
namespace {

// What the reactor (gRPC's) and the reply (ours) share: who finishes the call first.
template <typename Response>
class Call {
 public:
  Call(grpc::ServerUnaryReactor* reactor, Response* out) : reactor_(reactor), out_(out) {}

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
class Reactor : public grpc::ServerUnaryReactor {
 public:
  explicit Reactor(Response* out) : call_(std::make_shared<Call<Response>>(this, out)) {}
  std::shared_ptr<Call<Response>> call() const { return call_; }
  void OnCancel() override {
    // A local reference: finishing may end in OnDone() before it returns.
    const std::shared_ptr<Call<Response>> call = call_;
    call->Finish(grpc::Status::CANCELLED, {});
  }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<Call<Response>> call_;
};

template <typename Response>
class CallReply : public Reply<Response> {
 public:
  explicit CallReply(std::shared_ptr<Call<Response>> call) : call_(std::move(call)) {}
  ~CallReply() override {
    call_->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "config-service is stopping"), {});
  }
  void Send(const absl::Status& status, Response response) override {
    call_->Finish(
        grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message())),
        std::move(response));
  }

 private:
  const std::shared_ptr<Call<Response>> call_;
};

template <typename Response, typename Handle>
grpc::ServerUnaryReactor* Begin(Response* response, Handle handle) {
  auto* reactor = new Reactor<Response>(response);
  handle(std::make_shared<CallReply<Response>>(reactor->call()));
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* ConfigRpc::Get(grpc::CallbackServerContext*,
                                         const v1alpha1::GetRequest* request,
                                         v1alpha1::GetResponse* response) {
  return Begin(response, [&](GetReply reply) { handlers_.on_get(*request, std::move(reply)); });
}

grpc::ServerUnaryReactor* ConfigRpc::Check(grpc::CallbackServerContext*,
                                           const v1alpha1::EditRequest* request,
                                           v1alpha1::EditResponse* response) {
  return Begin(response,
               [&](EditReply reply) { handlers_.on_edit(*request, true, std::move(reply)); });
}

grpc::ServerUnaryReactor* ConfigRpc::Apply(grpc::CallbackServerContext*,
                                           const v1alpha1::EditRequest* request,
                                           v1alpha1::EditResponse* response) {
  return Begin(response,
               [&](EditReply reply) { handlers_.on_edit(*request, false, std::move(reply)); });
}

}  // namespace portolan::config
