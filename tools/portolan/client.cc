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
#include "api/proto/bgp/v1alpha1/bgp.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "services/base/wire/grpc_status.h"
#include "services/base/wire/server.h"

namespace portolan::cli {
namespace {

using stream::v1alpha1::Stream;
using stream::v1alpha1::WatchRequest;
using stream::v1alpha1::WatchResponse;

// The table of one socket. NOT_FOUND: it does not publish the type.
absl::Status ReadTable(const std::shared_ptr<grpc::Channel>& channel, const std::string& type,
                       std::map<std::string, google::protobuf::Any>& table, uint64_t& term) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + Client::kDeadline));
  WatchRequest request;
  request.set_type(type);
  request.set_snapshot_only(true);
  const auto stub = Stream::NewStub(channel);
  const auto stream = stub->Watch(&context, request);
  WatchResponse response;
  while (stream->Read(&response)) {
    term = response.term();
    for (const auto& change : response.changes()) {
      if (change.has_value()) {
        table[change.key()] = change.value();
      } else {
        table.erase(change.key());
      }
    }
  }
  return wire::FromGrpc(stream->Finish());
}

// It was the process itself that answered: it is there and does not speak.
bool IsStandby(const absl::Status& status, grpc::Channel& channel) {
  return absl::IsUnavailable(status) &&
         channel.GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
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

absl::StatusOr<Client::Reading> Client::Read(const std::string& type, Whom whom) const {
  Reading reading;
  std::vector<std::string> standbys;
  for (const Socket& socket : sockets_) {
    Table table;
    uint64_t term = 0;
    const absl::Status status = ReadTable(socket.channel, type, table, term);
    if (absl::IsNotFound(status)) continue;
    if (IsStandby(status, *socket.channel)) {
      standbys.push_back(absl::StrCat(socket.address, ": ", status.message()));
      continue;
    }
    if (!status.ok()) {
      return Annotate(status, absl::StrCat(socket.address, " does not answer for ", type));
    }
    // Of several speakers one may have been deposed and not know it yet.
    if (reading.speaker != nullptr && term < reading.term) continue;
    if (term > reading.term) reading = {};
    reading.term = term;
    reading.table.merge(table);
    if (reading.speaker == nullptr) reading.speaker = socket.channel;
    if (whom == Whom::kFirstSpeaker) break;
  }
  if (reading.speaker == nullptr && !standbys.empty()) {
    return absl::UnavailableError(absl::StrCat(
        absl::StrJoin(standbys, "; "),
        "; ask the process that leads, with --socket, or see `portolan get problems`"));
  }
  return reading;
}

absl::StatusOr<Client::Table> Client::RawSnapshot(const std::string& type) const {
  ASSIGN_OR_RETURN(Reading reading, Read(type, Whom::kAll));
  return std::move(reading.table);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Client::PublisherOf(const std::string& type,
                                                                   const char* otherwise) const {
  ASSIGN_OR_RETURN(Reading reading, Read(type, Whom::kFirstSpeaker));
  if (reading.speaker == nullptr) return absl::NotFoundError(otherwise);
  return std::move(reading.speaker);
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

absl::StatusOr<std::shared_ptr<grpc::Channel>> Client::DatapathChannel() const {
  return PublisherOf(datapath::v1alpha1::InterfaceState::descriptor()->full_name(),
                     "datapath-loader does not run here; ask the process that has it, with "
                     "--socket");
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Client::BgpChannel() const {
  return PublisherOf(bgp::v1alpha1::PeerState::descriptor()->full_name(),
                     "bgp-exporter does not run here; ask the process that has it, with --socket");
}

}  // namespace portolan::cli
