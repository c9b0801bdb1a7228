// Serves the example picker on a UNIX socket until SIGTERM or SIGINT:
//   spread_picker unix:/run/portolan/spread.sock
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "plugins/examples/spread/spread.h"

int main(int argc, char** argv) {
  if (argc != 2 || !absl::StartsWith(argv[1], "unix")) {
    std::fprintf(stderr, "usage: %s unix:PATH | unix-abstract:NAME\n", argv[0]);
    return 2;
  }
  // Blocked before gRPC starts its threads, so that only sigwait() gets them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, nullptr);

  portolan::plugin::SpreadPicker picker;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials());
  builder.RegisterService(&picker);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    std::fprintf(stderr, "cannot listen on %s; is its directory there and writable?\n", argv[1]);
    return 1;
  }
  std::printf("serving %s\n", argv[1]);
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}
