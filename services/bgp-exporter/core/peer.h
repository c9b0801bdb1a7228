// One configured peer: when to dial, which of two connections stays, what went wrong last
// (RFC 4271 section 8: the Idle, Connect and Active states; section 6.8: collisions).
//
// Pure. Owned by the engine, which hands in the time, chance and a place for effects with each
// call. Not thread-safe.
//
// Invariants: at most one connection that we dialled and one that we accepted; at most one
// established session, and then no other connection. epoch() changes whenever a session becomes
// established or stops being it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/bgp-exporter/core/events.h"
#include "services/bgp-exporter/core/session.h"

namespace portolan::bgp {

struct PeerContext {
  absl::Time now;
  Rng& rng;
  ConnectionId& next_connection;
  RestartBits bits;  // of this process: was it restarted, did the datapath go on
  std::vector<Effect>& effects;
};

class Peer {
 public:
  Peer(PeerConfig config, SessionParameters parameters, absl::Time now);

  // The session that is there can go on with these; otherwise they need a new one.
  bool Fits(const PeerConfig& config, const SessionParameters& parameters) const;
  // Takes over what needs no new session. False, and nothing done: this edit needs one.
  bool Adopt(const PeerConfig& config, const SessionParameters& parameters);

  void Start(PeerContext& context);
  void Connected(ConnectionId id, const LocalAddresses& local, PeerContext& context);
  void Accepted(ConnectionId id, const LocalAddresses& local, PeerContext& context);
  void Received(ConnectionId id, absl::string_view octets, PeerContext& context);
  void Disconnected(ConnectionId id, const std::string& reason, PeerContext& context);
  void WriteBlocked(ConnectionId id, absl::Time now);
  void WriteProgress(ConnectionId id, bool drained, absl::Time now);
  void Tick(PeerContext& context);
  // Ends every connection, and dials anew after a moment.
  void Reset(const Notification& notification, PeerContext& context);
  // Sends all families of the established session anew.
  void Refresh();
  // Ends every connection and dials no more.
  void Stop(const Notification& notification, PeerContext& context);

  absl::Time deadline() const;  // InfiniteFuture: none
  bool established() const { return Established() != nullptr; }
  uint64_t epoch() const { return epoch_; }
  // Families to be sent anew since the last call.
  std::set<net::Family> TakeRefresh() { return std::exchange(refresh_, {}); }

  // Of the established session; call only while there is one.
  const Negotiated& negotiated() const { return Established()->session->negotiated(); }
  const LocalAddresses& local() const { return Established()->local; }
  ConnectionId connection() const { return Established()->id; }

  const PeerConfig& config() const { return config_; }
  const SessionParameters& parameters() const { return parameters_; }
  bool internal() const { return parameters_.local_as == parameters_.remote_as; }
  SessionState state() const { return state_; }
  absl::Time since() const { return since_; }
  const std::string& last_error() const { return last_error_; }
  // Not empty: only an edit can mend last_error().
  const std::string& remedy() const { return remedy_; }

 private:
  struct Connection {
    ConnectionId id = 0;
    bool inbound = false;
    absl::Time dial_deadline = absl::InfiniteFuture();
    LocalAddresses local;
    std::optional<Session> session;  // absent while dialling
  };

  Connection* Find(ConnectionId id);
  const Connection* Established() const;
  void Dial(PeerContext& context);
  void Open(Connection& connection, PeerContext& context);
  void Perform(ConnectionId id, Session::Step step, PeerContext& context);
  void EndConnection(ConnectionId id, const Session::End& end, PeerContext& context);
  void EndAll(const Notification& notification, PeerContext& context);
  void CloseOthers(ConnectionId keep, PeerContext& context);
  void Drop(ConnectionId id);
  Session::Rival RivalOf(ConnectionId id) const;
  void ScheduleRetry(PeerContext& context);
  void UpdateState(absl::Time now);

  PeerConfig config_;
  SessionParameters parameters_;
  std::vector<Connection> connections_;
  absl::Time retry_at_ = absl::InfiniteFuture();
  absl::Duration backoff_;
  bool running_ = false;
  bool was_established_ = false;  // in this life of the process
  absl::Time established_at_;
  uint64_t epoch_ = 0;
  std::set<net::Family> refresh_;
  SessionState state_ = SessionState::kIdle;
  absl::Time since_;
  std::string last_error_;
  std::string remedy_;
};

}  // namespace portolan::bgp
