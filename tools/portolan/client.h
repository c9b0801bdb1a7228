// Reads what running Portolan processes publish: consistent snapshots over their UNIX sockets.
//
// Blocking; for the command line. Each snapshot waits at most kDeadline for each socket.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/any.pb.h"

namespace grpc {
class Channel;
}

namespace portolan::cli {

class Client {
 public:
  static constexpr absl::Duration kDeadline = absl::Seconds(5);

  // Each place is a socket or a directory of *.sock files. NOT_FOUND when there is none at all.
  static absl::StatusOr<Client> Open(const std::vector<std::string>& places);

  // The union of all sockets' tables of type M by key; a socket that does not publish M is passed
  // over, and so is a standby when another one speaks. UNAVAILABLE names a socket that does not
  // answer; when there are only standbys, it names the leader that they know.
  template <typename M>
  absl::StatusOr<std::map<std::string, M>> Snapshot() const {
    absl::StatusOr<std::map<std::string, google::protobuf::Any>> raw =
        RawSnapshot(M::descriptor()->full_name());
    if (!raw.ok()) return raw.status();
    std::map<std::string, M> table;
    for (const auto& [key, value] : *raw) value.UnpackTo(&table[key]);
    return table;
  }

  // Of the process that serves config.v1alpha1.Config: the first socket that publishes its types.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> ConfigChannel() const;
  // Of the process that serves ipam.v1alpha1.Ipam, found in the same way.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> IpamChannel() const;
  // Of the process that serves datapath.v1alpha1.DatapathControl: the first that has a datapath.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> DatapathChannel() const;
  // Of the process that serves bgp.v1alpha1.BgpControl: the first that has an exporter.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> BgpChannel() const;

 private:
  struct Socket {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
  };
  using Table = std::map<std::string, google::protobuf::Any>;
  // What all sockets publish of one type. `speaker` null: none does.
  struct Reading {
    Table table;
    uint64_t term = 0;
    std::shared_ptr<grpc::Channel> speaker;  // the first, of those with the highest term
  };

  enum class Whom { kAll, kFirstSpeaker };
  absl::StatusOr<Reading> Read(const std::string& type, Whom whom) const;
  absl::StatusOr<Table> RawSnapshot(const std::string& type) const;
  // NOT_FOUND with `otherwise`: no socket publishes the type.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> PublisherOf(const std::string& type,
                                                             const char* otherwise) const;

  std::vector<Socket> sockets_;
};

}  // namespace portolan::cli
