#include "services/config-service/shell/operational.h"

#include <grpcpp/grpcpp.h>

#include <future>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"
#include "services/base/wire/grpc_status.h"
#include "services/base/yang/filter.h"
#include "services/config-service/shell/state_text.h"

namespace portolan::config {
namespace {

struct Answer {
  Component component;
  std::vector<std::string> texts;  // JSON, one for each type
};

// NOT_FOUND: the service does not publish the type.
absl::Status ReadTable(const std::shared_ptr<grpc::Channel>& channel, const std::string& type,
                       absl::Time deadline, StateTable* table) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(deadline));
  stream::v1alpha1::WatchRequest request;
  request.set_type(type);
  request.set_snapshot_only(true);
  const auto stub = stream::v1alpha1::Stream::NewStub(channel);
  const auto stream = stub->Watch(&context, request);
  stream::v1alpha1::WatchResponse response;
  while (stream->Read(&response)) {
    for (const auto& change : response.changes()) {
      if (change.has_value()) (*table)[change.key()] = change.value();
    }
  }
  return wire::FromGrpc(stream->Finish());
}

Answer Ask(const process::Peer& service, absl::Time deadline) {
  Answer answer{.component = {.name = service.name}};
  for (const StateType& type : StateTypes()) {
    StateTable table;
    const absl::Status status = ReadTable(service.channel, type.name, deadline, &table);
    if (absl::IsNotFound(status)) continue;
    if (!status.ok()) {
      answer.component.answering = false;
      answer.component.message = std::string(status.message());
      return answer;
    }
    if (std::string text = type.to_json(table); !text.empty()) {
      answer.texts.push_back(std::move(text));
    }
  }
  return answer;
}

}  // namespace

Operational::Operational(std::shared_ptr<const yang::Context> context,
                         std::vector<process::Peer> services, absl::Duration deadline)
    : context_(std::move(context)), services_(std::move(services)), deadline_(deadline) {}

yang::Tree Operational::Read() const {
  const absl::Time deadline = absl::Now() + deadline_;
  std::vector<std::future<Answer>> asked;
  for (const process::Peer& service : services_) {
    asked.push_back(std::async(std::launch::async, Ask, service, deadline));
  }
  yang::Tree state(context_);
  std::vector<Component> components;
  for (std::future<Answer>& future : asked) {
    Answer answer = future.get();
    for (const std::string& text : answer.texts) {
      const absl::StatusOr<yang::Tree> part = yang::ParseState(context_, text, yang::Format::kJson);
      if (!part.ok()) {
        // A service of another version: the rest of what it says counts.
        answer.component.message =
            absl::StrCat("it reports what the model does not know: ", part.status().message());
        continue;
      }
      state.Merge(*part).IgnoreError();
    }
    components.push_back(std::move(answer.component));
  }
  if (components.empty()) return state;
  if (const auto part = yang::ParseState(context_, ToJson(components), yang::Format::kJson);
      part.ok()) {
    state.Merge(*part).IgnoreError();
  }
  return state;
}

}  // namespace portolan::config
