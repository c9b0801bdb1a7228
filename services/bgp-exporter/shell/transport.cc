#include "services/bgp-exporter/shell/transport.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::bgp {
namespace {

constexpr size_t kReadSize = 65'536;
constexpr absl::Duration kLinger = absl::Seconds(1);
constexpr int kMostAcceptsAtOnce = 64;

std::string LostReason() {
  return errno == 0 ? "the peer closed the connection"
                    : absl::StrCat("the connection broke: ", strerror(errno));
}

// Reads and throws away what is waiting. True: the end was reached.
bool Drain(int fd) {
  std::array<char, 4096> waste;
  ssize_t size;
  while ((size = recv(fd, waste.data(), waste.size(), 0)) > 0) {
  }
  return size == 0 || (errno != EAGAIN && errno != EINTR);
}

}  // namespace

Transport::Transport(Loop* loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {}

Transport::~Transport() {
  for (auto& [instance, listener] : listeners_) CloseListeners(listener);
  while (!connections_.empty()) {
    const ConnectionId id = connections_.begin()->first;
    Connection& connection = *connections_.begin()->second;
    if (!connection.connecting) {
      Flush(connection);
      shutdown(connection.socket.fd(), SHUT_WR);
      Drain(connection.socket.fd());  // unread octets would turn our FIN into a RST
    }
    Forget(id);
  }
}

void Transport::Dial(const Connect& connect) {
  absl::StatusOr<Socket> socket = bgp::Dial(connect);
  if (!socket.ok()) {
    handler_(Disconnected{connect.connection, std::string(socket.status().message())});
    return;
  }
  auto connection = std::make_unique<Connection>();
  connection->socket = *std::move(socket);
  connection->family = connect.remote.family();
  connection->dial = connect;
  connection->connecting = true;
  Watch(connect.connection, *connection);
  connections_[connect.connection] = std::move(connection);
}

void Transport::Keep(const bgp::Keep& keep) {
  const auto it = connections_.find(keep.connection);
  if (it == connections_.end()) return;
  const absl::Status status =
      SetSessionOptions(it->second->socket.fd(), it->second->family, keep.ttl);
  if (!status.ok()) Lost(keep.connection, std::string(status.message()));
}

// Level-triggered: writable only while there is something to write.
void Transport::Watch(ConnectionId id, Connection& connection) {
  if (connection.watch != 0) loop_->Unwatch(connection.watch);
  const bool wants_write = connection.connecting || connection.sent < connection.pending.size();
  const int events =
      (connection.connecting ? 0 : Loop::kReadable) | (wants_write ? Loop::kWritable : 0);
  connection.watch =
      loop_->Watch(connection.socket.fd(), events, [this, id](int ready) { OnReady(id, ready); });
}

void Transport::OnReady(ConnectionId id, int events) {
  auto it = connections_.find(id);
  if (it == connections_.end()) return;
  if (it->second->connecting) return OnConnected(id, *it->second);
  if ((events & Loop::kWritable) != 0 && it->second->sent < it->second->pending.size()) {
    const size_t before = it->second->sent;
    if (!Flush(*it->second)) return Lost(id, LostReason());
    const bool drained = it->second->pending.empty();
    const bool progress = drained || it->second->sent > before;
    if (drained) Watch(id, *it->second);
    if (it->second->closing) {
      FinishClose(id, *it->second);
    } else if (progress) {
      handler_(WriteProgress{id, drained});
    }
    it = connections_.find(id);
    if (it == connections_.end()) return;
  }
  if ((events & Loop::kReadable) != 0) OnReadable(id, *it->second);
}

void Transport::OnConnected(ConnectionId id, Connection& connection) {
  const absl::Status status = ConnectError(connection.socket, connection.dial);
  if (!status.ok()) return Lost(id, std::string(status.message()));
  connection.connecting = false;
  connection.dial = Connect();  // holds the password
  Watch(id, connection);
  handler_(Connected{id, LocalAddressesOf(connection.socket)});
}

void Transport::OnReadable(ConnectionId id, Connection& connection) {
  if (connection.closing) {
    if (Drain(connection.socket.fd())) Forget(id);
    return;
  }
  std::string octets(kReadSize, '\0');
  const ssize_t size = recv(connection.socket.fd(), octets.data(), octets.size(), 0);
  if (size > 0) {
    octets.resize(static_cast<size_t>(size));
    handler_(Received{id, std::move(octets)});
    return;
  }
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size == 0) errno = 0;
  Lost(id, LostReason());
}

void Transport::Send(const bgp::Send& send) {
  const auto it = connections_.find(send.connection);
  if (it == connections_.end() || it->second->closing) return;
  Connection& connection = *it->second;
  const bool was_blocked = connection.sent < connection.pending.size();
  connection.pending += send.octets;
  if (was_blocked) return;
  if (!Flush(connection)) return;  // the read side tells
  if (connection.pending.empty()) return;
  Watch(send.connection, connection);
  handler_(WriteBlocked{send.connection});
}

bool Transport::Flush(Connection& connection) {
  while (connection.sent < connection.pending.size()) {
    const ssize_t size =
        send(connection.socket.fd(), connection.pending.data() + connection.sent,
             connection.pending.size() - connection.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN;
    }
    connection.sent += static_cast<size_t>(size);
  }
  connection.pending.clear();
  connection.sent = 0;
  return true;
}

void Transport::Lost(ConnectionId id, std::string reason) {
  const bool closing = connections_.at(id)->closing;
  Forget(id);
  if (!closing) handler_(Disconnected{id, std::move(reason)});
}

void Transport::Close(ConnectionId id) {
  const auto it = connections_.find(id);
  if (it == connections_.end() || it->second->closing) return;
  Connection& connection = *it->second;
  if (connection.connecting) return Forget(id);
  connection.closing = true;
  connection.linger = loop_->RunAfter(kLinger, [this, id] {
    const auto late = connections_.find(id);
    if (late == connections_.end()) return;
    late->second->linger = 0;
    Forget(id);
  });
  if (connection.pending.empty()) FinishClose(id, connection);
}

// Everything has gone out: says so to the peer and waits for its end.
void Transport::FinishClose(ConnectionId id, Connection& connection) {
  if (connection.finished || !connection.pending.empty()) return;
  connection.finished = true;
  shutdown(connection.socket.fd(), SHUT_WR);
  if (Drain(connection.socket.fd())) Forget(id);
}

void Transport::Forget(ConnectionId id) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  if (it->second->watch != 0) loop_->Unwatch(it->second->watch);
  if (it->second->linger != 0) loop_->Cancel(it->second->linger);
  connections_.erase(it);
}

// ---- listening ----

void Transport::Listen(const bgp::Listen& listen) {
  Listener& listener = listeners_[listen.instance];
  if (listen.port == 0) {
    CloseListeners(listener);
    listeners_.erase(listen.instance);
    return;
  }
  absl::Status status;
  if (listener.port != listen.port) {
    CloseListeners(listener);
    status = OpenListeners(listener, listen);
  }
  if (status.ok()) status = UpdateKeys(listener, listen);
  if (!status.ok()) CloseListeners(listener);
  handler_(ListenResult{listen.instance, std::string(status.message())});
}

absl::Status Transport::OpenListeners(Listener& listener, const bgp::Listen& listen) {
  absl::Status problem;
  for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    absl::StatusOr<Socket> socket = OpenListener(family, listen.port);
    if (!socket.ok()) {
      if (!absl::IsUnimplemented(socket.status())) return socket.status();
      problem = socket.status();  // the other family may do
      continue;
    }
    listener.watches.push_back(loop_->Watch(
        socket->fd(), Loop::kReadable,
        [this, instance = listen.instance, family](int) { OnAcceptable(instance, family); }));
    listener.sockets[family] = *std::move(socket);
  }
  if (listener.sockets.empty()) return problem;
  listener.port = listen.port;
  return absl::OkStatus();
}

void Transport::CloseListeners(Listener& listener) {
  for (const Loop::FdId watch : listener.watches) loop_->Unwatch(watch);
  listener.watches.clear();
  listener.sockets.clear();
  listener.keys.clear();
  listener.port = 0;
}

absl::Status Transport::UpdateKeys(Listener& listener, const bgp::Listen& listen) {
  const auto set = [&listener](const net::IpAddress& peer, const std::string& password) {
    const auto socket = listener.sockets.find(peer.family());
    return socket == listener.sockets.end() ? absl::OkStatus()
                                            : SetMd5Key(socket->second.fd(), peer, password);
  };
  for (const bgp::Listen::Key& old : listener.keys) {
    const bool stays = std::find(listen.keys.begin(), listen.keys.end(), old) != listen.keys.end();
    if (!stays) RETURN_IF_ERROR(set(old.peer, ""));
  }
  listener.keys = listen.keys;
  for (const bgp::Listen::Key& key : listen.keys) RETURN_IF_ERROR(set(key.peer, key.password));
  return absl::OkStatus();
}

void Transport::OnAcceptable(const std::string& instance, net::Family family) {
  for (int i = 0; i < kMostAcceptsAtOnce; ++i) {
    const auto listener = listeners_.find(instance);
    if (listener == listeners_.end() || listener->second.sockets.count(family) == 0) return;
    auto accepted = Accept(listener->second.sockets.at(family));
    if (!accepted.has_value()) return;
    const ConnectionId id = next_inbound_++;
    auto connection = std::make_unique<Connection>();
    connection->socket = std::move(accepted->socket);
    connection->family = family;
    const LocalAddresses local = LocalAddressesOf(connection->socket);
    Watch(id, *connection);
    connections_[id] = std::move(connection);
    handler_(Accepted{id, instance, accepted->remote, local});
  }
}

}  // namespace portolan::bgp
