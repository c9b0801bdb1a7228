// Single packets as they pass, one line each, until it is interrupted.
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "api/proto/datapath/v1alpha1/control.grpc.pb.h"
#include "services/base/wire/grpc_status.h"
#include "tools/portolan/client.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/flow_text.h"

namespace portolan::cli {
namespace {

using datapath::v1alpha1::DatapathControl;
using datapath::v1alpha1::Event;
using datapath::v1alpha1::WatchEventsRequest;
using datapath::v1alpha1::WatchEventsResponse;

std::string TimeOf(const Event& event) {
  return absl::FormatTime("%H:%M:%E6S", absl::FromUnixNanos(event.time_unix_ns()),
                          absl::LocalTimeZone());
}

std::string Line(const Event& event) {
  std::string line = absl::StrCat(
      TimeOf(event), " ", event.kind(), event.service().empty() ? "" : " ", event.service(), " ",
      event.protocol(), " ", Endpoint(event.source_address(), event.source_port()), " > ",
      Endpoint(event.destination_address(), event.destination_port()));
  if (!event.backend().empty()) absl::StrAppend(&line, " backend ", event.backend());
  if (!event.interface().empty()) absl::StrAppend(&line, " on ", event.interface());
  absl::StrAppend(&line, " ", event.length(), " bytes");
  if (!event.drop().empty()) {
    absl::StrAppend(&line, ": ", event.drop_message(), " [", event.drop(), "]");
  }
  return line;
}

std::string Json(const Event& event) {
  const nlohmann::ordered_json object = {
      {"time", absl::FormatTime(absl::RFC3339_full, absl::FromUnixNanos(event.time_unix_ns()),
                                absl::UTCTimeZone())},
      {"kind", event.kind()},
      {"service", event.service()},
      {"protocol", event.protocol()},
      {"source", Endpoint(event.source_address(), event.source_port())},
      {"destination", Endpoint(event.destination_address(), event.destination_port())},
      {"backend", event.backend()},
      {"interface", event.interface()},
      {"length", event.length()},
      {"drop", event.drop()}};
  return object.dump();
}

}  // namespace

int Trace(const Places& places, const TraceOptions& options, Output output) {
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const auto channel = client->DatapathChannel();
  if (!channel.ok()) return Fail(channel.status());
  const auto stub = DatapathControl::NewStub(*channel);
  grpc::ClientContext context;  // no deadline: until it is interrupted
  WatchEventsRequest request;
  request.set_service(options.service);
  request.set_drop_sample(options.drop_sample);
  const auto stream = stub->WatchEvents(&context, request);
  WatchEventsResponse response;
  uint64_t printed = 0;
  while (stream->Read(&response)) {
    for (const Event& event : response.events()) {
      std::cout << (output == Output::kJson ? Json(event) : Line(event)) << "\n";
      if (++printed == options.count) break;
    }
    std::cout.flush();
    if (response.lost() > 0) {
      std::cerr << response.lost() << " events were lost: they come faster than they are read"
                << std::endl;
    }
    if (options.count != 0 && printed >= options.count) {
      context.TryCancel();
      return kOk;
    }
  }
  return Fail(wire::FromGrpc(stream->Finish()));
}

}  // namespace portolan::cli
