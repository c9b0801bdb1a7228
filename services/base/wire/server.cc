#include "services/base/wire/server.h"

#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/status/status_macros.h"

namespace portolan::wire {
namespace {

// Makes room for a new socket: a living server's is left alone, a dead one's file is removed.
absl::Status ClearSocketPath(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket path ", path, " is longer than ",
                                                   sizeof(address.sun_path) - 1,
                                                   " bytes; use a shorter run directory"));
  }
  memcpy(address.sun_path, path.data(), path.size());
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " exists and is not a socket"));
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool alive = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  if (alive) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is in use by a running process; stop it or choose another --run-dir"));
  }
  unlink(path.c_str());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const std::string& address,
                                                      const std::vector<grpc::Service*>& services) {
  std::string path;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(64 << 20);
  if (!address.empty()) {
    absl::string_view rest = address;
    if (!absl::ConsumePrefix(&rest, "unix:")) {
      return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is not unix:PATH"));
    }
    path = std::string(rest);
    RETURN_IF_ERROR(ClearSocketPath(path));
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  }
  for (grpc::Service* service : services) builder.RegisterService(service);
  const mode_t mask = umask(0117);  // the socket is born 0660: no moment of wider access
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  umask(mask);
  if (server == nullptr) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address,
                                               "; does its directory exist and is it writable?"));
  }
  return std::unique_ptr<Server>(new Server(std::move(server), std::move(path)));
}

Server::Server(std::unique_ptr<grpc::Server> server, std::string path)
    : server_(std::move(server)), path_(std::move(path)) {}

Server::~Server() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  if (!path_.empty()) unlink(path_.c_str());
}

std::shared_ptr<grpc::Channel> Server::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(INT_MAX);
  return server_->InProcessChannel(arguments);
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(INT_MAX);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  // Despite its name this is how long one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace portolan::wire
