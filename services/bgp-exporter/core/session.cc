#include "services/bgp-exporter/core/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::bgp {
namespace {

constexpr absl::Duration kOpenHoldTime = absl::Minutes(4);   // RFC 4271 section 8.2.2
constexpr absl::Duration kLeastSendHold = absl::Minutes(8);  // RFC 9687 section 4

std::string RouterIdText(uint32_t router_id) {
  return net::IpAddress::FromValue(net::Family::kIpv4, router_id).ToString();
}

bool Contains(const std::vector<net::Family>& families, net::Family family) {
  return std::find(families.begin(), families.end(), family) != families.end();
}

}  // namespace

absl::string_view SessionStateName(SessionState state) {
  switch (state) {
    case SessionState::kIdle:
      return "idle";
    case SessionState::kConnect:
      return "connect";
    case SessionState::kActive:
      return "active";
    case SessionState::kOpenSent:
      return "opensent";
    case SessionState::kOpenConfirm:
      return "openconfirm";
    case SessionState::kEstablished:
      return "established";
  }
  return "idle";
}

absl::Duration Jittered(absl::Duration time, Rng& rng) {
  return time * (0.75 + 0.25 * static_cast<double>(rng.Below(1001)) / 1000);
}

Session::Session(SessionParameters parameters, RestartBits bits, bool dialled)
    : parameters_(std::move(parameters)), bits_(bits), dialled_(dialled) {}

Session::Step Session::Start(absl::Time now) {
  Open open;
  open.as_number = parameters_.local_as;
  open.hold_time_s = parameters_.hold_time_s;
  open.router_id = parameters_.router_id;
  open.families = parameters_.families;
  open.four_octet_as = true;
  open.route_refresh = true;
  open.ipv4_over_ipv6_hop = parameters_.ipv4_over_ipv6_hop;
  if (parameters_.graceful_restart_time_s > 0) {
    GracefulRestart& restart = open.graceful_restart.emplace();
    restart.restarting = bits_.restarting;
    restart.restart_time_s = parameters_.graceful_restart_time_s;
    for (const net::Family family : parameters_.families) {
      restart.families.push_back({family, bits_.forwarding_kept});
    }
  }
  state_ = SessionState::kOpenSent;
  hold_deadline_ = now + kOpenHoldTime;
  Step step;
  step.send = EncodeOpen(open);
  return step;
}

Session::Step Session::Fail(ProtocolError error, EndKind kind, std::string remedy) {
  Step step;
  step.send = EncodeNotification(error.notification);
  step.end = End{kind,
                 absl::StrCat("sent ", Describe(error.notification), error.text.empty() ? "" : " (",
                              error.text, error.text.empty() ? "" : ")"),
                 std::move(remedy)};
  state_ = SessionState::kIdle;
  return step;
}

Session::Step Session::Stop(const Notification& notification, EndKind kind) {
  return Fail({notification, ""}, kind);
}

Session::Step Session::Receive(absl::string_view octets, Rival rival, absl::Time now, Rng& rng) {
  Step step;
  const auto absorb = [&step](Step failure) {
    step.send += failure.send;
    step.end = std::move(failure.end);
  };
  buffer_.append(octets.data(), octets.size());
  size_t done = 0;
  while (!step.end.has_value()) {
    const auto next = NextFrame(AsOctets(buffer_).subspan(done));
    if (!next.has_value()) break;
    if (const auto* error = std::get_if<ProtocolError>(&*next)) {
      absorb(Fail(*error));
      break;
    }
    const Frame& frame = std::get<Frame>(*next);
    const Decoded<Message> message = Decode(frame, negotiated_.four_octet_as);
    if (const auto* error = std::get_if<ProtocolError>(&message)) {
      absorb(Fail(*error));
      break;
    }
    Handle(std::get<Message>(message), rival, now, rng, step);
    done += frame.size;
  }
  buffer_.erase(0, done);
  return step;
}

void Session::Handle(const Message& message, Rival rival, absl::Time now, Rng& rng, Step& step) {
  if (const auto* notification = std::get_if<Notification>(&message)) {
    step.end = End{EndKind::kReceived, absl::StrCat("received ", Describe(*notification)), ""};
    state_ = SessionState::kIdle;
  } else if (const auto* open = std::get_if<Open>(&message)) {
    if (state_ != SessionState::kOpenSent) return Unexpected("OPEN", step);
    HandleOpen(*open, rival, now, rng, step);
  } else if (std::holds_alternative<Keepalive>(message)) {
    HandleKeepalive(now, rng, step);
  } else if (std::holds_alternative<Update>(message)) {
    if (state_ != SessionState::kEstablished) return Unexpected("UPDATE", step);
    RestartHold(now);  // checked by the codec, and dropped: we import nothing
  } else if (const auto* refresh = std::get_if<RouteRefresh>(&message)) {
    if (state_ != SessionState::kEstablished) return Unexpected("ROUTE-REFRESH", step);
    HandleRefresh(*refresh, step);
  }
}

// RFC 6608: the subcode says in which state.
void Session::Unexpected(absl::string_view what, Step& step) {
  const uint8_t subcode = state_ == SessionState::kOpenSent      ? 1
                          : state_ == SessionState::kOpenConfirm ? 2
                                                                 : 3;
  Step failure = Fail(
      {{kFsmError, subcode, ""}, absl::StrCat(what, " received in ", SessionStateName(state_))});
  step.send += failure.send;
  step.end = std::move(failure.end);
}

std::optional<Session::Step> Session::JudgeOpen(const Open& open) {
  if (open.as_number != parameters_.remote_as) {
    return Fail(
        {{kOpenError, kBadPeerAs, ""},
         absl::StrCat("the peer says AS ", open.as_number, ", remote-as says ",
                      parameters_.remote_as)},
        EndKind::kConfiguration,
        absl::StrCat("set remote-as to ", open.as_number, ", or correct the AS on the peer"));
  }
  const bool internal = parameters_.local_as == parameters_.remote_as;
  if (internal && open.router_id == parameters_.router_id) {
    return Fail({{kOpenError, kBadIdentifier, ""},
                 absl::StrCat("the peer has our own BGP identifier ", RouterIdText(open.router_id),
                              ", which an internal peer must not (RFC 6286)")},
                EndKind::kConfiguration,
                "set router-id of the instance, or of the peer, to another address");
  }
  return std::nullopt;
}

void Session::Negotiate(const Open& open) {
  const std::vector<net::Family> theirs =
      open.families.value_or(std::vector<net::Family>{net::Family::kIpv4});
  for (const net::Family family : parameters_.families) {
    if (Contains(theirs, family)) negotiated_.families.push_back(family);
  }
  negotiated_.four_octet_as = open.four_octet_as;
  negotiated_.ipv4_over_ipv6_hop = open.ipv4_over_ipv6_hop && parameters_.ipv4_over_ipv6_hop;
  negotiated_.wants_end_of_rib = open.graceful_restart.has_value();
  negotiated_.peer_restarts_gracefully =
      open.graceful_restart.has_value() && !open.graceful_restart->families.empty();
  negotiated_.peer_router_id = open.router_id;
  negotiated_.hold_time = absl::Seconds(std::min(open.hold_time_s, parameters_.hold_time_s));
}

void Session::HandleOpen(const Open& open, Rival rival, absl::Time now, Rng& rng, Step& step) {
  if (auto refusal = JudgeOpen(open)) {
    step.send += refusal->send;
    step.end = std::move(refusal->end);
    return;
  }
  // RFC 4271 section 6.8: of two connections the one that the higher identifier opened stays; the
  // higher AS decides between equal identifiers (RFC 6286 section 2.3).
  const bool ours_is_higher = std::pair(parameters_.router_id, parameters_.local_as) >
                              std::pair(open.router_id, open.as_number);
  const bool loses =
      rival == Rival::kEstablished || (rival == Rival::kOpenConfirm && ours_is_higher != dialled_);
  if (loses) {
    Step end = Stop({kCease, kConnectionCollision, ""}, EndKind::kCollision);
    step.send += end.send;
    step.end = std::move(end.end);
    return;
  }
  step.rival_lost = rival == Rival::kOpenConfirm;
  Negotiate(open);
  state_ = SessionState::kOpenConfirm;
  step.send += EncodeKeepalive();
  RestartHold(now);
  ArmKeepalive(now, rng);
}

void Session::HandleKeepalive(absl::Time now, Rng& rng, Step& step) {
  if (state_ == SessionState::kOpenSent) return Unexpected("KEEPALIVE", step);
  RestartHold(now);
  if (state_ != SessionState::kOpenConfirm) return;
  state_ = SessionState::kEstablished;
  step.established = true;
  ArmKeepalive(now, rng);
}

void Session::HandleRefresh(const RouteRefresh& refresh, Step& step) {
  if (refresh.subtype != 0) return;  // RFC 7313 section 5: unknown subtypes are ignored
  const auto family = UnicastFamily(refresh.afi, refresh.safi);
  if (!family || !Contains(negotiated_.families, *family)) return;  // RFC 2918 section 4
  if (!Contains(step.refresh, *family)) step.refresh.push_back(*family);
}

Session::Step Session::Expire(absl::Time now, Rng& rng) {
  if (now >= send_hold_deadline_) {
    return Fail(
        {{kSendHoldTimerExpired, 0, ""},
         absl::StrCat("the peer has taken no octets for ", absl::FormatDuration(SendHoldTime()))});
  }
  if (now >= hold_deadline_) {
    const absl::Duration time =
        state_ == SessionState::kOpenSent ? kOpenHoldTime : negotiated_.hold_time;
    return Fail({{kHoldTimerExpired, 0, ""},
                 absl::StrCat("nothing received for ", absl::FormatDuration(time))});
  }
  Step step;
  if (now >= keepalive_deadline_) {
    step.send = EncodeKeepalive();
    ArmKeepalive(now, rng);
  }
  return step;
}

void Session::RestartHold(absl::Time now) {
  hold_deadline_ = negotiated_.hold_time > absl::ZeroDuration() ? now + negotiated_.hold_time
                                                                : absl::InfiniteFuture();
}

void Session::ArmKeepalive(absl::Time now, Rng& rng) {
  keepalive_deadline_ = negotiated_.hold_time > absl::ZeroDuration()
                            ? now + Jittered(negotiated_.hold_time / 3, rng)
                            : absl::InfiniteFuture();
}

absl::Duration Session::SendHoldTime() const {
  return std::max(kLeastSendHold, 2 * negotiated_.hold_time);
}

void Session::WriteBlocked(absl::Time now) {
  if (send_hold_deadline_ == absl::InfiniteFuture()) send_hold_deadline_ = now + SendHoldTime();
}

void Session::WriteProgress(bool drained, absl::Time now) {
  send_hold_deadline_ = drained ? absl::InfiniteFuture() : now + SendHoldTime();
}

absl::Time Session::deadline() const {
  return std::min({hold_deadline_, keepalive_deadline_, send_hold_deadline_});
}

}  // namespace portolan::bgp
