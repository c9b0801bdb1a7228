// A gRPC server on a UNIX socket, and channels to such servers.
// Thread-safe; callbacks of the registered services come on gRPC's own threads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grpc {
class Channel;
class Server;
class Service;
}  // namespace grpc

namespace portolan::wire {

class Server {
 public:
  // Listens on "unix:PATH" (mode 0660, stale socket of a dead process replaced, a living one is
  // FAILED_PRECONDITION) or on nothing when `address` is empty (in-process channels only).
  // The services are not owned and must outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const std::string& address,
                                                       const std::vector<grpc::Service*>& services);
  ~Server();  // cancels what is running

  // A channel that stays inside the process: the same messages, no socket.
  std::shared_ptr<grpc::Channel> InProcessChannel();

 private:
  Server(std::unique_ptr<grpc::Server> server, std::string path);
  std::unique_ptr<grpc::Server> server_;
  std::string path_;  // of the socket, removed at the end
};

// "unix:PATH". Connects lazily and reconnects; calls while it is away fail with UNAVAILABLE.
std::shared_ptr<grpc::Channel> Connect(const std::string& address);

}  // namespace portolan::wire
