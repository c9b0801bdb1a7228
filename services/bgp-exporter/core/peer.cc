#include "services/bgp-exporter/core/peer.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace portolan::bgp {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
// A TCP connection attempt that gets no answer is given up after this time at most.
constexpr absl::Duration kLongestDial = absl::Seconds(10);
// A session that lived this long starts the backoff anew.
constexpr absl::Duration kStable = absl::Seconds(10);
constexpr int kMultihopTtl = 255;

absl::Duration RetryTime(const PeerConfig& config) {
  return absl::Seconds(std::max<int>(config.connect_retry_time_s, 1));
}

}  // namespace

Peer::Peer(PeerConfig config, SessionParameters parameters, absl::Time now)
    : config_(std::move(config)),
      parameters_(std::move(parameters)),
      backoff_(kFirstBackoff),
      established_at_(now),
      since_(now) {}

bool Peer::Fits(const PeerConfig& config, const SessionParameters& parameters) const {
  const auto transport = [](const PeerConfig& c) {
    return std::tie(c.address, c.port, c.password, c.ebgp_multihop, c.local_address);
  };
  return parameters == parameters_ && transport(config) == transport(config_);
}

bool Peer::Adopt(const PeerConfig& config, const SessionParameters& parameters) {
  if (!Fits(config, parameters)) return false;
  config_ = config;
  backoff_ = std::min(backoff_, RetryTime(config_));
  return true;
}

Peer::Connection* Peer::Find(ConnectionId id) {
  for (Connection& connection : connections_) {
    if (connection.id == id) return &connection;
  }
  return nullptr;
}

const Peer::Connection* Peer::Established() const {
  for (const Connection& connection : connections_) {
    if (connection.session && connection.session->state() == SessionState::kEstablished) {
      return &connection;
    }
  }
  return nullptr;
}

void Peer::Start(PeerContext& context) {
  running_ = true;
  Dial(context);
  UpdateState(context.now);
}

void Peer::Dial(PeerContext& context) {
  retry_at_ = absl::InfiniteFuture();
  Connection connection;
  connection.id = context.next_connection++;
  connection.dial_deadline = context.now + std::min(RetryTime(config_), kLongestDial);
  context.effects.push_back(Connect{
      .connection = connection.id,
      .remote = config_.address,
      .port = config_.port,
      .local = config_.local_address,
      .ttl = internal() || config_.ebgp_multihop ? kMultihopTtl : 1,
      .password = config_.password,
  });
  connections_.push_back(std::move(connection));
}

void Peer::Open(Connection& connection, PeerContext& context) {
  // RFC 4724 section 4.1: R only until the first session after the restart; section 3: F when
  // forwarding went on, which it also does while only the session was away.
  const RestartBits bits{
      .restarting = context.bits.restarting && !was_established_,
      .forwarding_kept = context.bits.forwarding_kept || was_established_,
  };
  connection.dial_deadline = absl::InfiniteFuture();
  connection.session.emplace(parameters_, bits, /*dialled=*/!connection.inbound);
  Perform(connection.id, connection.session->Start(context.now), context);
}

void Peer::Connected(ConnectionId id, const LocalAddresses& local, PeerContext& context) {
  Connection* connection = Find(id);
  if (connection == nullptr || connection->session.has_value()) return;
  connection->local = local;
  Open(*connection, context);
}

void Peer::Accepted(ConnectionId id, const LocalAddresses& local, PeerContext& context) {
  const Connection* established = Established();
  if (established != nullptr && established->session->negotiated().peer_restarts_gracefully) {
    // RFC 4724 section 5: the peer restarted before we noticed; no NOTIFICATION.
    EndConnection(established->id,
                  {Session::EndKind::kTransport, "the peer restarted and connected anew", ""},
                  context);
  }
  const auto older = std::find_if(connections_.begin(), connections_.end(), [](const auto& c) {
    return c.inbound && c.session->state() == SessionState::kOpenSent;
  });
  if (older != connections_.end()) {
    Perform(older->id,
            older->session->Stop({kCease, kConnectionCollision, ""}, Session::EndKind::kCollision),
            context);
  }
  Connection connection;
  connection.id = id;
  connection.inbound = true;
  connection.local = local;
  connections_.push_back(std::move(connection));
  retry_at_ = absl::InfiniteFuture();
  context.effects.push_back(
      Keep{.connection = id, .ttl = internal() || config_.ebgp_multihop ? kMultihopTtl : 1});
  Open(connections_.back(), context);
}

Session::Rival Peer::RivalOf(ConnectionId id) const {
  Session::Rival rival = Session::Rival::kNone;
  for (const Connection& other : connections_) {
    if (other.id == id || !other.session.has_value()) continue;
    if (other.session->state() == SessionState::kEstablished) return Session::Rival::kEstablished;
    if (other.session->state() == SessionState::kOpenConfirm) {
      rival = Session::Rival::kOpenConfirm;
    }
  }
  return rival;
}

void Peer::Received(ConnectionId id, absl::string_view octets, PeerContext& context) {
  Connection* connection = Find(id);
  if (connection == nullptr || !connection->session.has_value()) return;
  Perform(id, connection->session->Receive(octets, RivalOf(id), context.now, context.rng), context);
}

void Peer::Perform(ConnectionId id, Session::Step step, PeerContext& context) {
  if (!step.send.empty()) context.effects.push_back(Send{id, std::move(step.send)});
  if (step.rival_lost) CloseOthers(id, context);
  if (step.established) {
    ++epoch_;
    was_established_ = true;
    established_at_ = context.now;
    remedy_.clear();
    CloseOthers(id, context);
  }
  refresh_.insert(step.refresh.begin(), step.refresh.end());
  if (step.end.has_value()) {
    if (step.established) ++epoch_;  // up and down in one call
    EndConnection(id, *step.end, context);
  }
  UpdateState(context.now);
}

void Peer::CloseOthers(ConnectionId keep, PeerContext& context) {
  std::vector<ConnectionId> others;
  for (const Connection& connection : connections_) {
    if (connection.id != keep) others.push_back(connection.id);
  }
  for (const ConnectionId id : others) {
    Connection* connection = Find(id);
    if (connection->session.has_value()) {
      Session::Step step = connection->session->Stop({kCease, kConnectionCollision, ""},
                                                     Session::EndKind::kCollision);
      context.effects.push_back(Send{id, std::move(step.send)});
    }
    context.effects.push_back(Close{id});
    Drop(id);
  }
}

void Peer::Drop(ConnectionId id) {
  std::erase_if(connections_, [id](const Connection& c) { return c.id == id; });
}

void Peer::EndConnection(ConnectionId id, const Session::End& end, PeerContext& context) {
  context.effects.push_back(Close{id});
  Drop(id);
  if (end.kind != Session::EndKind::kCollision) {
    last_error_ = end.error;
    remedy_ = end.remedy;
  }
  if (state_ == SessionState::kEstablished && Established() == nullptr) {
    ++epoch_;
    refresh_.clear();
    if (context.now - established_at_ >= kStable) backoff_ = kFirstBackoff;
  }
  if (end.kind == Session::EndKind::kConfiguration) backoff_ = RetryTime(config_);
  ScheduleRetry(context);
  UpdateState(context.now);
}

void Peer::Disconnected(ConnectionId id, const std::string& reason, PeerContext& context) {
  if (Find(id) == nullptr) return;
  EndConnection(id, {Session::EndKind::kTransport, reason, ""}, context);
}

void Peer::ScheduleRetry(PeerContext& context) {
  if (!running_ || !connections_.empty()) return;
  retry_at_ = context.now + Jittered(std::min(backoff_, RetryTime(config_)), context.rng);
  backoff_ = std::min(2 * backoff_, RetryTime(config_));
}

void Peer::WriteBlocked(ConnectionId id, absl::Time now) {
  Connection* connection = Find(id);
  if (connection != nullptr && connection->session) connection->session->WriteBlocked(now);
}

void Peer::WriteProgress(ConnectionId id, bool drained, absl::Time now) {
  Connection* connection = Find(id);
  if (connection != nullptr && connection->session) {
    connection->session->WriteProgress(drained, now);
  }
}

void Peer::Tick(PeerContext& context) {
  std::vector<ConnectionId> ids;
  for (const Connection& connection : connections_) ids.push_back(connection.id);
  for (const ConnectionId id : ids) {
    Connection* connection = Find(id);
    if (connection == nullptr) continue;
    if (connection->session.has_value()) {
      if (context.now >= connection->session->deadline()) {
        Perform(id, connection->session->Expire(context.now, context.rng), context);
      }
    } else if (context.now >= connection->dial_deadline) {
      EndConnection(
          id,
          {Session::EndKind::kTransport,
           absl::StrCat("no answer from ", config_.address.ToString(), " port ", config_.port), ""},
          context);
    }
  }
  if (context.now >= retry_at_ && connections_.empty()) Dial(context);
  UpdateState(context.now);
}

void Peer::Reset(const Notification& notification, PeerContext& context) {
  backoff_ = kFirstBackoff;
  EndAll(notification, context);
  ScheduleRetry(context);
  UpdateState(context.now);
}

void Peer::Refresh() {
  refresh_.insert(negotiated().families.begin(), negotiated().families.end());
}

void Peer::Stop(const Notification& notification, PeerContext& context) {
  running_ = false;
  retry_at_ = absl::InfiniteFuture();
  EndAll(notification, context);
  UpdateState(context.now);
}

void Peer::EndAll(const Notification& notification, PeerContext& context) {
  while (!connections_.empty()) {
    Connection& connection = connections_.front();
    const ConnectionId id = connection.id;
    if (connection.session.has_value()) {
      Perform(id, connection.session->Stop(notification, Session::EndKind::kSent), context);
    } else {
      context.effects.push_back(Close{id});
      Drop(id);
    }
  }
}

absl::Time Peer::deadline() const {
  absl::Time earliest = retry_at_;
  for (const Connection& connection : connections_) {
    earliest = std::min(earliest, connection.session.has_value() ? connection.session->deadline()
                                                                 : connection.dial_deadline);
  }
  return earliest;
}

void Peer::UpdateState(absl::Time now) {
  SessionState state = running_ ? SessionState::kActive : SessionState::kIdle;
  for (const Connection& connection : connections_) {
    const SessionState each =
        connection.session.has_value() ? connection.session->state() : SessionState::kConnect;
    // Active (waiting) counts less than Connect (dialling) here.
    if (state == SessionState::kActive || each > state) state = each;
  }
  if (state == state_) return;
  state_ = state;
  since_ = now;
}

}  // namespace portolan::bgp
