// A socket that listens, with the thread that accepts its connections. Private to this room; its
// owner makes and ends it, on any thread.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace portolan::netconf {

class Listener {
 public:
  // Owns `fd`, and the file at `path` if it has one. `on_connection` is called on its thread and
  // gets the connection.
  Listener(int fd, std::string path, std::function<void(int)> on_connection);
  // Nothing is accepted afterwards.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  void Run(const std::function<void(int)>& on_connection);

  const int fd_;
  const std::string path_;
  const int stop_;
  std::thread thread_;
};

}  // namespace portolan::netconf
