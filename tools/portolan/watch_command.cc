// Commits as they are made, until it is interrupted.
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/base/wire/grpc_status.h"
#include "tools/portolan/client.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/differences.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/time_text.h"

namespace portolan::cli {
namespace {

using config::v1alpha1::Config;
using config::v1alpha1::Difference;
using config::v1alpha1::DifferenceKind_Name;
using config::v1alpha1::WatchRequest;
using config::v1alpha1::WatchResponse;

std::string Json(const WatchResponse& response) {
  nlohmann::ordered_json object = {{"revision", response.revision()}};
  if (response.snapshot()) {
    object["data"] = nlohmann::ordered_json::parse(response.data(), nullptr, false);
    return object.dump();
  }
  const config::v1alpha1::Commit& commit = response.commit();
  object["from-revision"] = response.from_revision();
  object["time"] = PointInTime(commit.time_ms());
  object["user"] = commit.author().user();
  object["from"] = commit.author().origin();
  object["operation"] = commit.operation();
  object["comment"] = commit.author().comment();
  object["differences"] = nlohmann::ordered_json::array();
  for (const Difference& difference : commit.differences()) {
    const std::string kind = DifferenceKind_Name(difference.kind());
    object["differences"].push_back(
        {{"kind", absl::AsciiStrToLower(absl::StripPrefix(kind, "DIFFERENCE_KIND_"))},
         {"path", difference.path()},
         {"before", difference.before()},
         {"after", difference.after()}});
  }
  object["more-differences"] = commit.more_differences();
  return object.dump();
}

void Print(const WatchResponse& response) {
  if (response.snapshot()) {
    std::cout << "revision " << response.revision() << " runs" << std::endl;
    return;
  }
  const config::v1alpha1::Commit& commit = response.commit();
  std::cout << "revision " << response.revision() << ", " << PointInTime(commit.time_ms()) << ", "
            << commit.operation();
  if (!commit.author().user().empty()) std::cout << " by " << commit.author().user();
  if (!commit.author().comment().empty()) std::cout << ": " << commit.author().comment();
  std::cout << '\n';
  if (response.revision() > response.from_revision() + 1) {
    std::cout << "with all since revision " << response.from_revision() << '\n';
  }
  PrintDifferences(commit);
  std::cout.flush();
}

}  // namespace

int ConfigWatch(const Places& places, const std::string& path, uint64_t count, Output output) {
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const auto channel = client->ConfigChannel();
  if (!channel.ok()) return Fail(channel.status());
  const auto stub = Config::NewStub(*channel);
  grpc::ClientContext context;  // no deadline: until it is interrupted
  WatchRequest request;
  request.set_path(path);
  request.set_format(config::v1alpha1::FORMAT_JSON);
  const auto stream = stub->Watch(&context, request);
  WatchResponse response;
  uint64_t printed = 0;
  while (stream->Read(&response)) {
    if (output == Output::kJson) {
      std::cout << Json(response) << std::endl;
    } else {
      Print(response);
    }
    if (!response.snapshot() && ++printed == count) {
      context.TryCancel();
      return kOk;
    }
  }
  return Fail(wire::FromGrpc(stream->Finish()));
}

}  // namespace portolan::cli
