// The engine's connections as TCP sockets on the loop: executes Connect, Keep, Send, Close and
// Listen, and tells what happens as Events.
//
// Lives on the loop's thread. The handler is called from there, also from inside Connect(), Send()
// and Listen(): it must not call back before it has returned (the service queues).
//
// Invariants: after Close() no event names that connection; octets leave in the order of the
// Send()s; what a slow peer does not take is kept (WriteBlocked tells, the engine's send hold
// timer ends it).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "services/base/loop/loop.h"
#include "services/bgp-exporter/core/events.h"
#include "services/bgp-exporter/shell/socket.h"

namespace portolan::bgp {

class Transport {
 public:
  using Handler = std::function<void(Event)>;

  Transport(Loop* loop, Handler handler);
  // What was sent before Close() is pushed out as far as the kernel takes it at once.
  ~Transport();

  void Dial(const Connect& connect);
  void Keep(const bgp::Keep& keep);
  void Send(const bgp::Send& send);
  // Ends gently: lets what was sent arrive before the connection goes, at most for a second.
  void Close(ConnectionId id);
  // Answers with ListenResult.
  void Listen(const bgp::Listen& listen);

 private:
  struct Connection {
    Socket socket;
    net::Family family = net::Family::kIpv4;
    Connect dial;  // while connecting
    bool connecting = false;
    bool closing = false;   // Close() was called
    bool finished = false;  // and everything has gone out
    std::string pending;    // not yet taken by the kernel
    size_t sent = 0;        // of `pending`
    Loop::FdId watch = 0;
    Loop::TimerId linger = 0;
  };
  struct Listener {
    uint16_t port = 0;
    std::vector<bgp::Listen::Key> keys;
    std::map<net::Family, Socket> sockets;
    std::vector<Loop::FdId> watches;
  };

  void Watch(ConnectionId id, Connection& connection);
  void OnReady(ConnectionId id, int events);
  void OnConnected(ConnectionId id, Connection& connection);
  void OnReadable(ConnectionId id, Connection& connection);
  // False: the connection is broken.
  bool Flush(Connection& connection);
  void Lost(ConnectionId id, std::string reason);
  void FinishClose(ConnectionId id, Connection& connection);
  void Forget(ConnectionId id);
  absl::Status OpenListeners(Listener& listener, const bgp::Listen& listen);
  void CloseListeners(Listener& listener);
  absl::Status UpdateKeys(Listener& listener, const bgp::Listen& listen);
  void OnAcceptable(const std::string& instance, net::Family family);

  Loop* const loop_;
  const Handler handler_;
  std::map<ConnectionId, std::unique_ptr<Connection>> connections_;
  std::map<std::string, Listener> listeners_;  // by instance
  ConnectionId next_inbound_ = kFirstInbound;
};

}  // namespace portolan::bgp
