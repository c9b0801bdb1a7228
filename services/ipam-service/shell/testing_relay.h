// A TCP relay on loopback between this process and one server, for tests: it ends the process by
// SIGKILL when a request is on its way and its answer is not.
//
// Carries one connection at a time, on a thread of its own. Owned by whoever gives its endpoint to
// a client of this process, and outlives that client.
#pragma once

#include <atomic>
#include <string>
#include <thread>

namespace portolan::ipam {

class Relay {
 public:
  // `server`: a port of 127.0.0.1.
  explicit Relay(int server);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  std::string endpoint() const;
  // From now on: when what this process sends contains `text`, that is passed on, and it dies.
  // Call once.
  void DieAfterSending(std::string text);

 private:
  void Run();
  // Until one of the two closes or this object ends.
  void Carry(int client, int server);
  // False: nothing comes any more.
  bool PassOn(int from, int to, bool outgoing);

  const int server_port_;
  int listening_ = -1;
  int port_ = 0;
  int stop_ = -1;  // an eventfd
  std::string text_;
  std::atomic<bool> armed_ = false;
  std::string sent_;  // since it was armed
  std::thread thread_;
};

}  // namespace portolan::ipam
