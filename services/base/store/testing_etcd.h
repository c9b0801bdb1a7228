// A real etcd cluster on loopback, for tests: Debian's etcd-server and etcd-client.
//
// Ports are chosen when it starts, data live in a directory of its own; both are gone with the
// object, and the members die with the thread that made it. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace portolan::store {

class TestingEtcd {
 public:
  // Whether the programs are there. Tests that need them skip with kMissing when not.
  static bool IsInstalled();
  static constexpr char kMissing[] =
      "etcd is not installed: apt-get install etcd-server etcd-client";

  struct Options {
    int members = 1;
    std::vector<std::string> flags;  // more flags of etcd
    std::string ca_file;             // for etcdctl; not empty: clients use TLS
  };
  // Blocks until every member answers; crashes after half a minute.
  TestingEtcd() : TestingEtcd(Options()) {}
  explicit TestingEtcd(Options options);
  ~TestingEtcd();
  TestingEtcd(const TestingEtcd&) = delete;
  TestingEtcd& operator=(const TestingEtcd&) = delete;

  // "127.0.0.1:PORT", in the order of the members.
  std::vector<std::string> endpoints() const;
  const std::string& directory() const { return directory_; }

  // SIGKILL; then nothing of it runs any more.
  void Kill(int member);
  // What was killed comes back with its data.
  void Start(int member);
  void AwaitHealthy(int member) const;
  // The member that leads the cluster.
  int Leader() const;

  // Runs etcdctl with these arguments and returns what it printed; `ok` whether it went well.
  std::string Control(const std::string& arguments, bool* ok = nullptr) const;

 private:
  struct Member {
    int client_port = 0;
    int peer_port = 0;
    pid_t pid = 0;
  };

  const Options options_;
  const std::string scheme_ = options_.ca_file.empty() ? "http" : "https";
  std::string directory_;
  std::vector<Member> members_;
};

// Polls `wish` until it is true; false after `patience`.
bool Eventually(const std::function<bool()>& wish, absl::Duration patience = absl::Seconds(20));

}  // namespace portolan::store
