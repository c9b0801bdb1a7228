// What people are told of peers, services and advertisements: sentences that name the object, the
// field and the remedy.
#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/bgp-exporter/core/community.h"
#include "services/bgp-exporter/core/engine.h"

namespace portolan::bgp {
namespace {

constexpr size_t kMaxFindings = 16;           // of one service; the rest is counted
constexpr size_t kExplanationsAtOnce = 4096;  // of a service to a peer

constexpr absl::string_view kUndrain =
    "when the work on the node is done: portolan bgp undrain on this node";

constexpr absl::string_view kInputNames[kInputCount] = {
    "instances (config-service)",        "peers (config-service)",
    "advertisements (config-service)",   "nodes (config-service)",
    "pipeline (config-service)",         "allocations (ipam-service)",
    "datapath status (datapath-loader)",
};

std::string PeerText(const PeerConfig& config) {
  return absl::StrCat("peer ", config.name, " (", config.address.ToString(), ", AS ",
                      config.remote_as, ")");
}

std::string FamilyList(const std::vector<net::Family>& families) {
  return absl::StrJoin(families, " and ", [](std::string* out, net::Family family) {
    absl::StrAppend(out, net::FamilyName(family));
  });
}

std::string RouteText(const net::Prefix& prefix, const SentRoute& route) {
  std::string text =
      absl::StrCat(prefix.ToString(), " with next hop ", route.attributes.next_hop.ToString());
  if (!route.attributes.communities.empty()) {
    absl::StrAppend(
        &text, ", communities ",
        absl::StrJoin(route.attributes.communities, " ", [](std::string* out, uint32_t community) {
          absl::StrAppend(out, CommunityText(community));
        }));
  }
  return text;
}

// What went wrong first decides the reason and the remedy of the whole.
std::string RemedyFor(absl::string_view reason) {
  if (reason == "datapath-not-ready") {
    return "see the datapath's status of the service and of the interfaces";
  }
  if (reason == "peer-not-established") return "see the status of the peer";
  if (reason == "family-not-agreed") {
    return "activate the family for this neighbor on the router, or remove it from families";
  }
  if (reason == "no-next-hop") return "set next-hop of that family at the peer";
  return "";
}

// Of `all` findings the view has the first ones.
void CutFindings(size_t all, StatusView& view) {
  if (all <= kMaxFindings) return;
  view.findings.resize(kMaxFindings - 1);
  view.findings.push_back({"", "more", absl::StrCat("and ", all - (kMaxFindings - 1), " more")});
}

}  // namespace

void Engine::PublishStatusView(StatusView view) {
  StatusView& known = statuses_[{view.kind, view.key}];
  if (known == view) return;
  known = view;
  effects_.push_back(PublishStatus{std::move(view)});
}

void Engine::EraseStatus(const std::string& kind, const std::string& key) {
  if (statuses_.erase({kind, key}) > 0) effects_.push_back(RemoveStatus{kind, key});
}

void Engine::PublishStatuses() {
  if (all_statuses_dirty_) {
    for (const auto& [key, allocation] : allocations_) stale_services_.insert(key);
    for (const auto& [key, entry] : peers_) PublishStatusView(PeerStatus(entry));
    PublishInstanceStatuses();
    PublishAdvertisementStatuses();
    PublishDrainStatus();
    all_statuses_dirty_ = false;
  }
  size_t left = std::max<size_t>(kExplanationsAtOnce / std::max<size_t>(peers_.size(), 1), 1);
  for (std::set<std::string>* services : {&status_dirty_services_, &stale_services_}) {
    for (; left > 0 && !services->empty(); --left) {
      const std::string key = *services->begin();
      status_dirty_services_.erase(key);
      stale_services_.erase(key);
      PublishServiceStatus(key);
    }
  }
  if (!status_dirty_services_.empty() || !stale_services_.empty()) flush_due_ = true;
}

void Engine::PublishServiceStatus(const std::string& key) {
  const auto allocation = allocations_.find(key);
  if (allocation == allocations_.end() || instances_.empty()) {
    EraseStatus("service", key);
  } else {
    PublishStatusView(ServiceStatus(allocation->second));
  }
}

void Engine::PublishAdvertisementStatuses() {
  std::vector<std::string> sound;
  for (const auto& [id, view] : statuses_) {
    if (id.first != "advertisement") continue;
    const auto it = advertisements_.all().find(id.second);
    if (it == advertisements_.all().end() || it->second.problem.empty()) {
      sound.push_back(id.second);
    }
  }
  for (const std::string& key : sound) EraseStatus("advertisement", key);
  for (const auto& [key, advertisement] : advertisements_.all()) {
    if (advertisement.problem.empty()) continue;
    StatusView view{.kind = "advertisement", .key = key, .state = StatusState::kRejected};
    view.reason = "invalid-advertisement";
    view.message = absl::StrCat("advertisement ", key, ": ", advertisement.problem);
    view.remedy = absl::StrCat("correct advertisement ", key);
    PublishStatusView(std::move(view));
  }
}

void Engine::PublishDrainStatus() {
  if (!drain_.has_value()) return EraseStatus("drain", options_.node);
  StatusView view{.kind = "drain", .key = options_.node, .state = StatusState::kDegraded};
  view.reason = withdrawn_ ? "drained" : "draining";
  view.message = withdrawn_ ? absl::StrCat("node ", options_.node,
                                           " is drained: it advertises nothing, also after a "
                                           "restart")
                            : absl::StrCat("node ", options_.node,
                                           " is drained: its routes carry graceful-shutdown (RFC "
                                           "8326) until the hold time is over, then they are "
                                           "withdrawn");
  view.remedy = std::string(kUndrain);
  PublishStatusView(std::move(view));
}

StatusView Engine::PeerStatus(const Entry& entry) const {
  const Peer& peer = entry.peer;
  const PeerConfig& config = peer.config();
  StatusView view{.kind = "peer", .key = config.key()};
  if (!peer.established()) {
    view.message = absl::StrCat(PeerText(config), " is not established");
    if (!peer.last_error().empty()) absl::StrAppend(&view.message, ": ", peer.last_error());
    if (!peer.remedy().empty()) {
      view.state = StatusState::kRejected;
      view.reason = "open-refused";
      view.remedy = peer.remedy();
    } else if (peer.last_error().empty()) {
      view.state = StatusState::kPending;
      view.reason = "connecting";
      view.message = absl::StrCat(PeerText(config), " is being dialled");
    } else {
      view.state = StatusState::kFailed;
      view.reason = "not-established";
      view.remedy = absl::StrCat(
          "see that the router at ", config.address.ToString(), " listens on TCP port ",
          config.port, " and has a neighbor with this node's address and AS ",
          peer.parameters().local_as, config.password.empty() ? "" : " and the same password",
          "; retried by itself");
    }
    return view;
  }
  const Negotiated& agreed = peer.negotiated();
  for (const net::Family family : peer.parameters().families) {
    if (std::find(agreed.families.begin(), agreed.families.end(), family) !=
        agreed.families.end()) {
      continue;
    }
    view.findings.push_back(
        {absl::StrCat("family/", net::FamilyName(family)), "family-not-agreed",
         absl::StrCat("the peer does not exchange ", net::FamilyName(family), " unicast")});
  }
  for (const auto& [family, why] : entry.without_hop) {
    view.findings.push_back({absl::StrCat("family/", net::FamilyName(family)), "no-next-hop", why});
  }
  view.message = absl::StrCat(PeerText(config), " is established, hold time ",
                              absl::ToInt64Seconds(agreed.hold_time), " s");
  if (view.findings.empty()) {
    view.state = StatusState::kReady;
    view.reason = "established";
    absl::StrAppend(&view.message, ", ", FamilyList(agreed.families));
    return view;
  }
  view.state = StatusState::kDegraded;
  view.reason = view.findings.front().reason;
  absl::StrAppend(&view.message, ", but ", view.findings.front().message);
  view.remedy = RemedyFor(view.reason);
  return view;
}

bool Engine::IsAdvertised(const AllocationInput& allocation, const Grant& grant,
                          const Entry& entry) const {
  const net::Prefix prefix = net::Prefix::Host(grant.address);
  if (!entry.peer.established() || !GateIsOpen(allocation.key, grant.address) ||
      entry.next_hops.count(prefix.family()) == 0) {
    return false;
  }
  const auto sent = entry.rib.sent().find(prefix);
  return sent != entry.rib.sent().end() && sent->second.service == allocation.key;
}

Finding Engine::ExplainPeer(const AllocationInput& allocation, const Grant& grant,
                            const Entry& entry) const {
  const Peer& peer = entry.peer;
  const net::Prefix prefix = net::Prefix::Host(grant.address);
  const net::Family family = prefix.family();
  const std::string text = PeerText(peer.config());
  Finding finding{.subject = absl::StrCat("peer/", peer.config().key())};
  const auto answer = [&](absl::string_view reason, std::string message) {
    finding.reason = std::string(reason);
    finding.message = std::move(message);
    return finding;
  };
  if (!GateIsOpen(allocation.key, grant.address)) {
    const auto datapath = datapath_.find(allocation.key);
    return answer(
        "datapath-not-ready",
        absl::StrCat("the datapath of node ", options_.node, " does not carry ",
                     grant.address.ToString(), " yet",
                     datapath == datapath_.end() || datapath->second.message.empty() ? "" : ": ",
                     datapath == datapath_.end() ? "" : datapath->second.message));
  }
  if (!peer.established()) {
    return answer("peer-not-established",
                  absl::StrCat(text, " is not established (",
                               peer.last_error().empty() ? SessionStateName(peer.state())
                                                         : absl::string_view(peer.last_error()),
                               ")"));
  }
  const auto missing = entry.without_hop.find(family);
  if (missing != entry.without_hop.end()) {
    return answer("no-next-hop", absl::StrCat(text, ": ", missing->second));
  }
  if (entry.next_hops.count(family) == 0) {
    return answer("family-not-agreed",
                  absl::StrCat(text, " does not exchange ", net::FamilyName(family), " unicast"));
  }
  const auto sent = entry.rib.sent().find(prefix);
  if (sent == entry.rib.sent().end()) {
    return answer("not-sent", absl::StrCat(prefix.ToString(), " is about to be sent to ", text));
  }
  if (sent->second.service != allocation.key) {
    return answer("address-taken", absl::StrCat(prefix.ToString(), " is advertised to ", text,
                                                " for service ", sent->second.service));
  }
  return answer("advertised", absl::StrCat(RouteText(prefix, sent->second), " to ", text));
}

// True: advertised wherever it should be.
bool Engine::ExplainGrant(const AllocationInput& allocation, const Grant& grant, StatusView& view,
                          Explained& explained) const {
  bool complete = true;
  bool anywhere = false;
  bool selected = false;
  std::vector<Mismatch> mismatches;
  for (const auto& [key, entry] : peers_) {
    auto* const wanted = selected ? nullptr : &mismatches;
    if (!advertisements_.Select(allocation, grant, entry.peer.config(), wanted)) continue;
    selected = true;
    const bool advertised = IsAdvertised(allocation, grant, entry);
    anywhere |= advertised;
    complete &= advertised;
    ++explained.count;
    std::vector<Finding>& findings = advertised ? explained.advertised : explained.missing;
    if (findings.size() < kMaxFindings) findings.push_back(ExplainPeer(allocation, grant, entry));
  }
  if (anywhere) view.addresses.push_back(grant.address.ToString());
  if (selected) return complete;
  for (Mismatch& mismatch : mismatches) {
    Finding finding{absl::StrCat("advertisement/", mismatch.advertisement), mismatch.reason,
                    std::move(mismatch.message)};
    auto& others = explained.advertised;
    if (std::find(others.begin(), others.end(), finding) == others.end()) {
      ++explained.count;
      others.push_back(std::move(finding));
    }
  }
  return true;  // nobody wants it told
}

StatusView Engine::ServiceStatus(const AllocationInput& allocation) const {
  StatusView view{.kind = "service", .key = allocation.key, .generation = allocation.generation};
  if (!AllSynced()) {
    std::vector<absl::string_view> missing;
    for (int i = 0; i < kInputCount; ++i) {
      if (!synced_[i]) missing.push_back(kInputNames[i]);
    }
    view.reason = "inputs-not-read";
    view.message =
        absl::StrCat("nothing is advertised before these are read: ", absl::StrJoin(missing, ", "));
    view.remedy = "see that these services of Portolan run";
    return view;
  }
  if (withdrawn_) {
    view.reason = "drained";
    view.message = absl::StrCat("node ", options_.node, " is drained: its routes are withdrawn");
    view.remedy = std::string(kUndrain);
    return view;
  }
  if (peers_.empty()) {
    view.reason = "no-peer";
    view.message = absl::StrCat("node ", options_.node, " has no BGP peer");
    view.remedy = "add a peer, enable one, or see the status of the peers and their node-selector";
    return view;
  }
  bool complete = true;
  Explained explained;
  for (const Grant& grant : allocation.grants) {
    complete &= ExplainGrant(allocation, grant, view, explained);
  }
  // What is missing is said first.
  view.findings = std::move(explained.missing);
  std::move(explained.advertised.begin(), explained.advertised.end(),
            std::back_inserter(view.findings));

  const bool none = view.addresses.empty();
  const Finding first = view.findings.empty() ? Finding() : view.findings.front();
  if (none && complete) {
    view.reason = "no-advertisement";
    view.message = absl::StrCat("no advertisement selects service ", allocation.key,
                                first.message.empty() ? "" : ": ", first.message);
    view.remedy =
        "change the labels of the service, or the service-selector, pool or peer of an "
        "advertisement, or add one";
  } else if (complete) {
    view.state = StatusState::kReady;
    view.reason = "advertised";
    view.message = absl::StrCat("advertised: ", first.message);
    if (explained.count > 1) {
      absl::StrAppend(&view.message, "; and ", explained.count - 1, " more");
    }
  } else {
    view.state = none ? StatusState::kPending : StatusState::kDegraded;
    view.reason = first.reason;
    view.message = absl::StrCat(none ? "not advertised: " : "partly advertised: ", first.message);
    view.remedy = RemedyFor(first.reason);
  }
  CutFindings(explained.count, view);
  return view;
}

}  // namespace portolan::bgp
