#include "plugins/sdk/remote_picker.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/proto/plugin/v1alpha1/address_picker.grpc.pb.h"
#include "services/base/wire/server.h"

namespace portolan::plugin {

namespace proto = v1alpha1;

struct RemotePicker::Call {
  grpc::ClientContext context;
  proto::PickRequest request;
  proto::PickResponse response;
  grpc::Status status;
  Callback callback;
};

class RemotePicker::Stub {
 public:
  explicit Stub(const std::string& endpoint)
      : stub_(proto::AddressPicker::NewStub(wire::Connect(endpoint))) {}
  proto::AddressPicker::Stub& operator*() const { return *stub_; }

 private:
  const std::unique_ptr<proto::AddressPicker::Stub> stub_;
};

RemotePicker::RemotePicker(std::string endpoint, absl::Duration deadline)
    : endpoint_(std::move(endpoint)),
      deadline_(deadline),
      stub_(std::make_unique<Stub>(endpoint_)) {}

RemotePicker::~RemotePicker() {
  std::deque<std::unique_ptr<Call>> never_sent;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    never_sent.swap(waiting_);
    for (const std::unique_ptr<Call>& call : in_flight_) call->context.TryCancel();
    mutex_.Await(absl::Condition(
        +[](std::vector<std::unique_ptr<Call>>* calls) { return calls->empty(); }, &in_flight_));
  }
  for (const std::unique_ptr<Call>& call : never_sent) {
    call->callback({absl::CancelledError(absl::StrCat(endpoint_, " is no longer asked")), ""});
  }
}

void RemotePicker::Pick(Question question, Callback callback) {
  auto call = std::make_unique<Call>();
  call->callback = std::move(callback);
  call->request.set_service(std::move(question.service));
  call->request.set_pool(std::move(question.pool));
  for (const net::Range& range : question.free) {
    proto::FreeRange* free = call->request.add_free();
    free->set_first(range.first().ToBytes());
    free->set_last(range.last().ToBytes());
  }
  Call* started = call.get();
  {
    absl::MutexLock lock(&mutex_);
    if (in_flight_.size() >= kMaxInFlight) {
      waiting_.push_back(std::move(call));
      return;
    }
    in_flight_.push_back(std::move(call));
  }
  Start(started);
}

// The call is in in_flight_, so this object waits for it.
void RemotePicker::Start(Call* call) {
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + deadline_));
  (**stub_).async()->Pick(&call->context, &call->request, &call->response,
                          [this, call](grpc::Status status) {
                            call->status = std::move(status);
                            Finish(call);
                          });
}

void RemotePicker::Finish(Call* call) {
  call->callback(AnswerOf(*call));
  std::unique_ptr<Call> finished;
  Call* next = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    auto it = std::find_if(in_flight_.begin(), in_flight_.end(),
                           [call](const auto& other) { return other.get() == call; });
    finished = std::move(*it);
    in_flight_.erase(it);
    if (!stopping_ && !waiting_.empty()) {
      next = waiting_.front().get();
      in_flight_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
  }
  // Without a next call nobody keeps this object alive from here on.
  if (next != nullptr) Start(next);
}

RemotePicker::Answer RemotePicker::AnswerOf(const Call& call) const {
  if (call.status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return {absl::DeadlineExceededError(
                absl::StrCat(endpoint_, " did not answer in ", absl::FormatDuration(deadline_))),
            ""};
  }
  if (!call.status.ok()) {
    return {
        absl::UnavailableError(absl::StrCat(endpoint_, " answers: ", call.status.error_message())),
        ""};
  }
  const std::string& bytes = call.response.address();
  if (bytes.empty()) return {std::optional<net::IpAddress>(), call.response.message()};
  absl::StatusOr<net::IpAddress> address = net::IpAddress::FromBytes(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  if (!address.ok()) {
    return {absl::InvalidArgumentError(
                absl::StrCat(endpoint_, " answers with an address of ", bytes.size(), " octets")),
            ""};
  }
  return {*address, ""};
}

}  // namespace portolan::plugin
