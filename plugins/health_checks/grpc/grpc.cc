#include "plugins/health_checks/grpc/grpc.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "api/proto/health/v1/health.grpc.pb.h"
#include "plugins/sdk/health_check.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

namespace pb = ::grpc::health::v1;

std::string EndpointOf(const HealthTarget& target) {
  const std::string address = target.address.ToString();
  return target.address.is_ipv4() ? absl::StrCat("ipv4:", address, ":", target.port)
                                  : absl::StrCat("ipv6:[", address, "]:", target.port);
}

// Outlives its attempt for as long as gRPC has it.
struct Call {
  std::unique_ptr<pb::Health::Stub> stub;
  ::grpc::ClientContext context;
  pb::HealthCheckRequest request;
  pb::HealthCheckResponse response;
  ::grpc::Status status;
  std::unique_ptr<::grpc::ClientAsyncResponseReader<pb::HealthCheckResponse>> reader;
  absl::Mutex mutex;
  Loop* loop ABSL_GUARDED_BY(mutex) = nullptr;                  // null: nobody waits for it
  absl::AnyInvocable<void()> on_answer ABSL_GUARDED_BY(mutex);  // on that loop
};

// The thread on which answers come, one for all checks. Its last user ends it, when every call has
// been given up. Begins with the first call: registries are built before a process has blocked the
// signals that it waits for, which gRPC's threads would else be killed by.
class Answers {
 public:
  ~Answers() {
    if (!queue_.has_value()) return;
    queue_->Shutdown();
    thread_.join();
  }
  void Start(const std::shared_ptr<Call>& call) {
    std::call_once(started_, [this] {
      queue_.emplace();
      thread_ = std::thread([this] { Receive(); });
    });
    call->reader = call->stub->AsyncCheck(&call->context, call->request, &*queue_);
    call->reader->Finish(&call->response, &call->status, new std::shared_ptr<Call>(call));
  }

 private:
  void Receive() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) {
      const std::unique_ptr<std::shared_ptr<Call>> call(static_cast<std::shared_ptr<Call>*>(tag));
      const absl::MutexLock lock(&(*call)->mutex);
      if ((*call)->loop != nullptr) (*call)->loop->Post(std::move((*call)->on_answer));
    }
  }

  std::optional<::grpc::CompletionQueue> queue_;
  std::once_flag started_;
  std::thread thread_;
};

absl::Status VerdictOf(const ::grpc::Status& status, const pb::HealthCheckResponse& response) {
  if (!status.ok()) return absl::UnavailableError(status.error_message());
  if (response.status() == pb::HealthCheckResponse::SERVING) return absl::OkStatus();
  return absl::UnavailableError("the server says that it does not serve");
}

class GrpcAttempt : public HealthCheck::Attempt {
 public:
  GrpcAttempt(Answers& answers, Loop* loop, const HealthTarget& target, HealthCheck::Done done)
      : done_(std::move(done)) {
    {
      const absl::MutexLock lock(&call_->mutex);
      call_->loop = loop;
      call_->on_answer = [this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) OnAnswer();
      };
    }
    // Its own connection, so that a server that is gone is not hidden by the back-off of an old
    // one.
    ::grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    call_->stub = pb::Health::NewStub(::grpc::CreateCustomChannel(
        EndpointOf(target), ::grpc::InsecureChannelCredentials(), arguments));
    call_->request.set_service(target.service_name);
    answers.Start(call_);
  }
  ~GrpcAttempt() override {
    call_->context.TryCancel();
    const absl::MutexLock lock(&call_->mutex);
    call_->loop = nullptr;
  }

 private:
  void OnAnswer() {
    HealthCheck::Done done = std::move(done_);
    done(VerdictOf(call_->status, call_->response));
  }

  HealthCheck::Done done_;
  const std::shared_ptr<Call> call_ = std::make_shared<Call>();
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is posted
};

class GrpcCheck : public HealthCheck {
 public:
  explicit GrpcCheck(std::shared_ptr<Answers> answers) : answers_(std::move(answers)) {}
  std::unique_ptr<Attempt> Begin(Loop* loop, const HealthTarget& target, Done done) const override {
    return std::make_unique<GrpcAttempt>(*answers_, loop, target, std::move(done));
  }

 private:
  const std::shared_ptr<Answers> answers_;
};

}  // namespace

std::unique_ptr<Factory> NewGrpcCheckFactory() {
  return std::make_unique<FunctionFactory<HealthCheck>>(
      "grpc",
      [answers = std::make_shared<Answers>()](
          absl::string_view settings) -> absl::StatusOr<std::unique_ptr<HealthCheck>> {
        RETURN_IF_ERROR(ExpectNoSettings("grpc", settings));
        return std::make_unique<GrpcCheck>(answers);
      });
}

}  // namespace portolan::plugin
