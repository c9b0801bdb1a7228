// The BGP finite state machine of one TCP connection, from "the transport is up" to its end
// (RFC 4271 section 8; what comes before, dialling and retrying, is Peer's).
//
// Pure: octets and times in, a Step out. The owner performs the steps in order: sends the octets,
// then, when `end` is set, closes the transport and forgets the session. Not thread-safe.
//
// Invariants: the hold timer is restarted by received KEEPALIVE and UPDATE only; nothing comes out
// after `end`; negotiated() is meaningful from OpenConfirm on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/base/rng/rng.h"
#include "services/bgp-exporter/core/message.h"

namespace portolan::bgp {

enum class SessionState { kIdle, kConnect, kActive, kOpenSent, kOpenConfirm, kEstablished };

// "idle", "connect", "active", "opensent", "openconfirm", "established".
absl::string_view SessionStateName(SessionState state);

// What an OPEN is made of and what the peer's is judged by.
struct SessionParameters {
  uint32_t local_as = 0;
  uint32_t remote_as = 0;
  uint32_t router_id = 0;
  uint16_t hold_time_s = 90;
  std::vector<net::Family> families;
  bool ipv4_over_ipv6_hop = false;       // offer RFC 8950
  uint16_t graceful_restart_time_s = 0;  // 0: off
  friend bool operator==(const SessionParameters&, const SessionParameters&) = default;
};

// The two bits of RFC 4724 that depend on the moment, not on the configuration.
struct RestartBits {
  bool restarting = false;       // R: our process was restarted
  bool forwarding_kept = false;  // F: the datapath went on meanwhile
};

// What both OPENs came to.
struct Negotiated {
  std::vector<net::Family> families;  // ours that the peer has too, in our order
  bool four_octet_as = false;
  bool ipv4_over_ipv6_hop = false;
  bool peer_restarts_gracefully = false;  // RFC 4724 with at least one family
  bool wants_end_of_rib = false;          // RFC 4724: the peer sent the capability
  uint32_t peer_router_id = 0;
  absl::Duration hold_time;  // zero: no keepalives
};

class Session {
 public:
  // The other connection of the same peer, when there is one (RFC 4271 section 6.8).
  enum class Rival { kNone, kOpenConfirm, kEstablished };

  enum class EndKind {
    kTransport,      // the peer closed, or the network broke
    kReceived,       // the peer sent a NOTIFICATION
    kSent,           // we sent one
    kConfiguration,  // we sent one for what only an edit can mend: AS or identifier
    kCollision,      // the other connection won
  };
  struct End {
    EndKind kind = EndKind::kTransport;
    std::string error;   // for PeerState.last_error
    std::string remedy;  // with kConfiguration
  };
  struct Step {
    std::string send;
    bool established = false;          // has become it
    bool rival_lost = false;           // close the other connection, Cease/7
    std::vector<net::Family> refresh;  // send these families anew (RFC 2918)
    std::optional<End> end;
  };

  // `dialled`: we opened the connection.
  Session(SessionParameters parameters, RestartBits bits, bool dialled);

  // The transport is up: sends OPEN.
  Step Start(absl::Time now);
  Step Receive(absl::string_view octets, Rival rival, absl::Time now, Rng& rng);
  // To be called at deadline() or later.
  Step Expire(absl::Time now, Rng& rng);
  // We end it, e.g. with a Cease.
  Step Stop(const Notification& notification, EndKind kind);

  // The transport takes no more octets / takes some again; `drained`: nothing is left to send.
  // RFC 9687.
  void WriteBlocked(absl::Time now);
  void WriteProgress(bool drained, absl::Time now);

  absl::Time deadline() const;  // InfiniteFuture: none
  SessionState state() const { return state_; }
  const Negotiated& negotiated() const { return negotiated_; }
  bool dialled() const { return dialled_; }

 private:
  Step Fail(ProtocolError error, EndKind kind = EndKind::kSent, std::string remedy = "");
  void Handle(const Message& message, Rival rival, absl::Time now, Rng& rng, Step& step);
  void HandleOpen(const Open& open, Rival rival, absl::Time now, Rng& rng, Step& step);
  void HandleKeepalive(absl::Time now, Rng& rng, Step& step);
  void HandleRefresh(const RouteRefresh& refresh, Step& step);
  void Unexpected(absl::string_view what, Step& step);
  std::optional<Step> JudgeOpen(const Open& open);
  void Negotiate(const Open& open);
  void RestartHold(absl::Time now);
  void ArmKeepalive(absl::Time now, Rng& rng);
  absl::Duration SendHoldTime() const;

  SessionParameters parameters_;
  RestartBits bits_;
  bool dialled_;
  SessionState state_ = SessionState::kConnect;
  Negotiated negotiated_;
  std::string buffer_;  // received, not yet a whole message
  absl::Time hold_deadline_ = absl::InfiniteFuture();
  absl::Time keepalive_deadline_ = absl::InfiniteFuture();
  absl::Time send_hold_deadline_ = absl::InfiniteFuture();
};

// `time` shortened by up to a quarter, RFC 4271 section 10.
absl::Duration Jittered(absl::Duration time, Rng& rng);

}  // namespace portolan::bgp
