#include "tools/portolan/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "services/base/wire/server.h"

namespace portolan::cli {
namespace {

using stream::v1alpha1::Stream;
using stream::v1alpha1::WatchRequest;
using stream::v1alpha1::WatchResponse;

// Adds the table of one socket to `table`. NOT_FOUND: it does not publish the type.
absl::Status ReadTable(const std::shared_ptr<grpc::Channel>& channel, const std::string& type,
                       std::map<std::string, google::protobuf::Any>& table) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + Client::kDeadline));
  WatchRequest request;
  request.set_type(type);
  request.set_snapshot_only(true);
  const auto stub = Stream::NewStub(channel);
  const auto stream = stub->Watch(&context, request);
  WatchResponse response;
  while (stream->Read(&response)) {
    for (const auto& change : response.changes()) {
      if (change.has_value()) {
        table[change.key()] = change.value();
      } else {
        table.erase(change.key());
      }
    }
  }
  const grpc::Status status = stream->Finish();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace

absl::StatusOr<Client> Client::Open(const std::vector<std::string>& places) {
  Client client;
  for (const std::string& place : places) {
    std::vector<std::string> paths;
    std::error_code error;
    if (std::filesystem::is_directory(place, error)) {
      for (const auto& entry : std::filesystem::directory_iterator(place, error)) {
        if (entry.path().extension() == ".sock") paths.push_back(entry.path());
      }
      std::sort(paths.begin(), paths.end());
    } else if (std::filesystem::exists(place, error)) {
      paths.push_back(place);
    }
    for (const std::string& path : paths) {
      client.sockets_.push_back({path, wire::Connect(absl::StrCat("unix:", path))});
    }
  }
  if (client.sockets_.empty()) {
    return absl::NotFoundError(absl::StrCat("no Portolan socket at ", absl::StrJoin(places, ", "),
                                            "; is portolan running? choose with --socket"));
  }
  return client;
}

absl::StatusOr<std::map<std::string, google::protobuf::Any>> Client::RawSnapshot(
    const std::string& type) const {
  std::map<std::string, google::protobuf::Any> table;
  for (const Socket& socket : sockets_) {
    const absl::Status status = ReadTable(socket.channel, type, table);
    if (!status.ok() && !absl::IsNotFound(status)) {
      return Annotate(status, absl::StrCat(socket.address, " does not answer for ", type));
    }
  }
  return table;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Client::PublisherOf(const std::string& type,
                                                                   const char* otherwise) const {
  for (const Socket& socket : sockets_) {
    std::map<std::string, google::protobuf::Any> table;
    const absl::Status status = ReadTable(socket.channel, type, table);
    if (status.ok()) return socket.channel;
    if (!absl::IsNotFound(status)) return Annotate(status, socket.address);
  }
  return absl::NotFoundError(otherwise);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Client::ConfigChannel() const {
  return PublisherOf(config::v1alpha1::Pool::descriptor()->full_name(),
                     "no running process serves the configuration; an agent (portolan run "
                     "--join) has none: ask the process that it joined, with --socket");
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Client::IpamChannel() const {
  return PublisherOf(allocation::v1alpha1::PoolState::descriptor()->full_name(),
                     "ipam-service does not run here; ask the process that has it, with --socket");
}

}  // namespace portolan::cli
