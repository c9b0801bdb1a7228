// What people ask of this node: to reset a session (RFC 4486), and to take its routes away before
// work on it (RFC 8326).
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/bgp-exporter/core/engine.h"

namespace portolan::bgp {
namespace {

constexpr absl::Duration kMaxHoldTime = absl::Hours(24);

}  // namespace

// The peer that an order means: NOT_FOUND, INVALID_ARGUMENT or FAILED_PRECONDITION say why there is
// none.
absl::StatusOr<Engine::Entry*> Engine::PeerOf(const std::string& name) {
  if (!ConfigSynced()) {
    return absl::FailedPreconditionError(
        "the peers are not known yet: see that config-service runs, and ask again");
  }
  std::vector<std::string> keys;
  for (const auto& [key, config] : peer_configs_) {
    if (key == name || config.name == name) keys.push_back(key);
  }
  if (peer_configs_.count(name) > 0) keys = {name};
  if (keys.empty()) {
    return absl::NotFoundError(
        absl::StrCat("there is no BGP peer ", name, "; see portolan get peers"));
  }
  if (keys.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "several peers are called ", name, "; name one of them: ", absl::StrJoin(keys, ", ")));
  }
  const auto entry = peers_.find(keys.front());
  if (entry != peers_.end()) return &entry->second;
  const auto status = statuses_.find({"peer", keys.front()});
  return absl::FailedPreconditionError(
      absl::StrCat("node ", options_.node, " has no session with peer ", keys.front(), ": ",
                   status == statuses_.end() ? "its node-selector does not match this node"
                                             : status->second.message));
}

absl::StatusOr<std::string> Engine::ResetPeer(const ResetRequested& event) {
  if (event.text.size() > kMaxCeaseText) {
    return absl::InvalidArgumentError(absl::StrCat("the message has ", event.text.size(),
                                                   " octets; a peer takes ", kMaxCeaseText,
                                                   " at most (RFC 9003): shorten it"));
  }
  if (event.soft && !event.text.empty()) {
    return absl::InvalidArgumentError(
        "a soft reset sends no NOTIFICATION that could carry the message: leave it out");
  }
  absl::StatusOr<Entry*> found = PeerOf(event.peer);
  if (!found.ok()) return found.status();
  Entry& entry = **found;
  const std::string key = entry.peer.config().key();
  const size_t first = effects_.size();
  if (!event.soft) {
    const bool was_established = entry.peer.established();
    PeerContext context = Context(entry.peer);
    entry.peer.Reset(CeaseWithText(kAdministrativeReset, event.text), context);
    Touched(entry, first);
    return absl::StrCat("peer ", key,
                        was_established ? " is reset; the session comes back by itself"
                                        : " had no session; it is dialled anew");
  }
  if (!entry.peer.established()) {
    return absl::FailedPreconditionError(
        absl::StrCat("peer ", key, " is not established, so there is nobody to send the routes to",
                     entry.peer.last_error().empty() ? "" : ": ", entry.peer.last_error()));
  }
  entry.peer.Refresh();
  Touched(entry, first);
  return absl::StrCat("peer ", key, " is sent its ", entry.rib.sent().size(), " routes again");
}

void Engine::On(const ResetRequested& event) {
  absl::StatusOr<std::string> done = ResetPeer(event);
  effects_.push_back(OrderDone{event.order, done.status(), done.ok() ? *std::move(done) : ""});
}

// ---- drain ----

size_t Engine::RoutesSent() const {
  size_t routes = 0;
  for (const auto& [key, entry] : peers_) routes += entry.rib.sent().size();
  return routes;
}

void Engine::On(const DrainRequested& event) {
  if (event.hold_time > kMaxHoldTime) {
    effects_.push_back(OrderDone{
        event.order, absl::InvalidArgumentError(absl::StrCat(
                         "a hold time of ", absl::FormatDuration(event.hold_time),
                         " is too long: ", absl::FormatDuration(kMaxHoldTime), " at most"))});
    return;
  }
  if (withdrawn_) {
    effects_.push_back(OrderDone{event.order, absl::OkStatus(),
                                 absl::StrCat("node ", options_.node, " is drained already")});
    return;
  }
  effects_.push_back(SaveDrain{event.order, now_ + event.hold_time});
}

void Engine::On(const UndrainRequested& event) {
  if (!drain_.has_value()) {
    effects_.push_back(OrderDone{event.order, absl::OkStatus(),
                                 absl::StrCat("node ", options_.node, " is not drained")});
    return;
  }
  effects_.push_back(SaveDrain{event.order, std::nullopt});
}

void Engine::On(const DrainSaved& event) {
  if (!event.problem.empty()) {
    effects_.push_back(
        OrderDone{event.order,
                  absl::UnavailableError(absl::StrCat(
                      "the order cannot be kept over a restart, so this life goes on as before: ",
                      event.problem, "; correct the state directory and ask again"))});
    return;
  }
  ChangeDrain(event.withdraw_at);
  const std::string message =
      !drain_.has_value()
          ? absl::StrCat("node ", options_.node, " advertises its routes again")
          : absl::StrCat("the ", RoutesSent(), " routes of node ", options_.node, " are withdrawn ",
                         *drain_ <= now_
                             ? "now"
                             : absl::StrCat("in ", absl::FormatDuration(*drain_ - now_),
                                            ", and carry graceful-shutdown until then"));
  effects_.push_back(OrderDone{event.order, absl::OkStatus(), message});
}

void Engine::ChangeDrain(std::optional<absl::Time> withdraw_at) {
  drain_ = withdraw_at;
  withdrawn_ = false;
  all_services_dirty_ = all_statuses_dirty_ = flush_due_ = true;
}

void Engine::Withdraw() {
  withdrawn_ = true;
  all_services_dirty_ = all_statuses_dirty_ = flush_due_ = true;
}

}  // namespace portolan::bgp
