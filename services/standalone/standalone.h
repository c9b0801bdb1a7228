// Every service of the pipeline in one process, over the same streams as separate processes: the
// embedded default. Each service has its own loop and thread; they meet only in the hub.
#pragma once

#include <string>
#include <vector>

namespace portolan::standalone {

struct Options {
  std::string config_file;  // empty: what was committed before, else nothing
  std::string yang_dir;     // YANG modules of plugins that are not linked in
  std::string node;
  std::string run_dir = "/run/portolan";
  std::string state_dir = "/var/lib/portolan";
  // Sockets of other portolans: run only l2, bgp and datapath here, fed by them. Allocations come
  // from the one that leads, the rest from the first that is there.
  std::vector<std::string> join;
};

// Runs until SIGTERM or SIGINT; SIGHUP reloads the file. Listens on RUN_DIR/portolan.sock.
// Returns the exit code: 0 in order, 1 when something could not start (said on standard error).
// Takes over the process's signals; call once.
int Run(const Options& options);

}  // namespace portolan::standalone
