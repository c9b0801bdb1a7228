// What an edit would do to sessions and routes, by the rules of the edit.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "services/bgp-exporter/core/engine.h"

namespace portolan::bgp {
namespace {

// More findings of one rule are only counted.
constexpr size_t kMaxFindings = 20;
constexpr char kRemedy[] =
    "commit when an interruption does no harm, or on trial (--confirm-within)";

std::string Quote(const std::string& text) {
  const char* quote = text.find('\'') == std::string::npos ? "'" : "\"";
  return absl::StrCat(quote, text, quote);
}

std::string PathOf(const PeerConfig& peer) {
  return absl::StrCat("/portolan-bgp:bgp/instances/instance[name=", Quote(peer.instance),
                      "]/peers/peer[name=", Quote(peer.name), "]");
}

std::string Count(size_t count, absl::string_view one) {
  return absl::StrCat(count, " ", one, count == 1 ? "" : "s");
}

std::string SessionMessage(const PeerConfig& peer, bool ends, size_t routes) {
  return absl::StrCat("the session with peer ", peer.key(), " (", peer.address.ToString(),
                      ") is established and would ",
                      ends ? "end" : "be reset, to be opened anew as configured", "; ",
                      Count(routes, "route"), routes == 1 ? " is" : " are", " withdrawn from it",
                      ends ? "" : " meanwhile");
}

std::string WithdrawalMessage(const PeerConfig& peer, size_t count, const net::Prefix& prefix,
                              const std::string& service) {
  return absl::StrCat(Count(count, "route"), " would be withdrawn from peer ", peer.key(), " (",
                      peer.address.ToString(), "), the first is ", prefix.ToString(),
                      " of service ", service);
}

// Instances in which the edit changes what is advertised.
std::set<std::string> Readvertised(const Advertisements& before, const Advertisements& after) {
  std::set<std::string> instances;
  const auto note = [&](const Advertisements& these, const Advertisements& others) {
    for (const auto& [key, advertisement] : these.all()) {
      const auto other = others.all().find(key);
      if (other != others.all().end() && other->second == advertisement) continue;
      instances.insert(advertisement.instance);
    }
  };
  note(before, after);
  note(after, before);
  return instances;
}

}  // namespace

// By the rules of the edit itself: who gets a session (Judge), whether one that is there can go on
// (Peer::Fits), what is advertised (Advertisements::Select).
std::optional<std::vector<ReviewFinding>> Engine::Review(const ProposedConfig& proposed) const {
  if (!AllSynced()) return std::nullopt;
  Engine after(options_, started_);
  after.instances_ = proposed.instances;
  after.nodes_ = proposed.nodes;
  const std::set<std::string> readvertised = Readvertised(advertisements_, proposed.advertisements);
  std::vector<ReviewFinding> findings;
  std::map<std::string, size_t> counts;
  for (const auto& [key, entry] : peers_) {
    if (!entry.peer.established()) continue;
    std::optional<ReviewFinding> finding = after.ReviewSession(entry, proposed);
    if (!finding.has_value() && readvertised.contains(entry.peer.config().instance)) {
      finding = ReviewRoutes(entry, proposed);
    }
    if (!finding.has_value()) continue;
    if (++counts[finding->rule] <= kMaxFindings) findings.push_back(*std::move(finding));
  }
  for (const auto& [rule, count] : counts) {
    if (count <= kMaxFindings) continue;
    findings.push_back({"/portolan-bgp:bgp/instances", rule,
                        absl::StrCat("and so at ", count - kMaxFindings, " more peers"), kRemedy});
  }
  return findings;
}

// `*this` has the instances and nodes after the edit; the session is of the engine before it.
std::optional<ReviewFinding> Engine::ReviewSession(const Entry& entry,
                                                   const ProposedConfig& proposed) const {
  const PeerConfig& config = entry.peer.config();
  const auto peer = proposed.peers.find(config.key());
  const bool stays = !proposed.ends && peer != proposed.peers.end();
  const Verdict verdict = stays ? Judge(peer->second) : Verdict();
  if (verdict.kind == Verdict::kRun && entry.peer.Fits(peer->second, verdict.parameters)) {
    return std::nullopt;
  }
  const bool ends = verdict.kind != Verdict::kRun;
  return ReviewFinding{PathOf(config), ends ? "session-end" : "session-reset",
                       SessionMessage(config, ends, entry.rib.sent().size()), kRemedy};
}

std::optional<ReviewFinding> Engine::ReviewRoutes(const Entry& entry,
                                                  const ProposedConfig& proposed) const {
  const PeerConfig& config = entry.peer.config();
  const auto stays = [&](const net::Prefix& prefix, const std::string& service) {
    const auto allocation = allocations_.find(service);
    if (allocation == allocations_.end()) return true;  // it goes whatever is edited
    return std::any_of(
        allocation->second.grants.begin(), allocation->second.grants.end(),
        [&](const Grant& grant) {
          return net::Prefix::Host(grant.address) == prefix &&
                 proposed.advertisements.Select(allocation->second, grant, config).has_value();
        });
  };
  size_t count = 0;
  const net::Prefix* first = nullptr;
  const SentRoute* first_route = nullptr;
  for (const auto& [prefix, route] : entry.rib.sent()) {
    if (stays(prefix, route.service) || ++count > 1) continue;
    first = &prefix;
    first_route = &route;
  }
  if (count == 0) return std::nullopt;
  return ReviewFinding{PathOf(config), "routes-withdrawn",
                       WithdrawalMessage(config, count, *first, first_route->service), kRemedy};
}

}  // namespace portolan::bgp
