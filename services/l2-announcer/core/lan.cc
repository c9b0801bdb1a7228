#include "services/l2-announcer/core/lan.h"

#include <algorithm>
#include <utility>

#include "services/base/rng/rng.h"

namespace portolan::l2 {
namespace {

using net::IpAddress;
using net::MacAddress;
using Phase = Claim::Phase;

constexpr int kProbes = 2;
constexpr absl::Duration kProbeInterval = absl::Milliseconds(100);
// RFC 5227 1.1, DEFEND_INTERVAL.
constexpr absl::Duration kDefendInterval = absl::Seconds(10);
// A foreign host that answered is asked again after this time.
constexpr absl::Duration kForeignPatience = absl::Seconds(10);
// A conflict counts as over when it was not seen for so long.
constexpr absl::Duration kConflictMemory = absl::Seconds(60);
constexpr absl::Duration kLinkRetry = absl::Seconds(5);

}  // namespace

Lan::Lan(std::string name, const Interface& interface, const Surroundings* around)
    : name_(std::move(name)),
      interface_(interface),
      around_(around),
      membership_(around->node, around->life) {}

Membership::Timing Lan::timing() const {
  return {around_->settings.heartbeat_interval, around_->settings.dead_interval};
}

void Lan::StartMembership(absl::Time now) {
  membership_.Expect(around_->others);
  membership_.Start(now, timing(), /*listen=*/!around_->alone);
}

// ---- the interface ----

void Lan::Open(absl::Time now, Effects& out) {
  link_ = Link::kOpening;
  retry_at_ = absl::InfiniteFuture();
  out.push_back(OpenLink{name_, interface_.index});
  AssessAll(now, out);
}

void Lan::Opened(absl::Time now, Effects& out) {
  if (link_ == Link::kOpen) return;
  link_ = Link::kOpen;
  for (const auto& [group, count] : groups_) out.push_back(JoinGroup{name_, group});
  StartMembership(now);
  AssessAll(now, out);
}

void Lan::Failed(const LinkFailed& failure, absl::Time now, Effects& out) {
  link_ = Link::kFailed;
  failure_ = failure;
  retry_at_ = now + kLinkRetry;
  membership_.Stop();
  AssessAll(now, out);
  for (const auto& [address, claim] : claims_) NoteChange(claim);
}

void Lan::Close(absl::Time now, Effects& out) {
  for (const auto& [address, claim] : claims_) NoteChange(claim);
  while (!claims_.empty()) Drop(claims_.begin(), now, out);
  membership_.Stop();
  out.push_back(CloseLink{name_});
}

void Lan::SetAddresses(std::vector<IpAddress> addresses, absl::Time now, Effects& out) {
  interface_.addresses = std::move(addresses);
  AssessAll(now, out);
}

// ---- the addresses ----

void Lan::NoteChange(const Claim& claim) {
  for (const auto& [service, wish] : claim.wishes) changed_.insert(service);
}

void Lan::Want(const IpAddress& address, const Wanted& wanted, absl::Time now, Effects& out) {
  auto [it, added] = claims_.try_emplace(address);
  if (added && address.is_ipv6()) Join(address, out);
  Wanted& wish = it->second.wishes[wanted.service];
  if (wish == wanted) return;
  wish = wanted;
  Choose(*it, now, out);
}

void Lan::Unwant(const IpAddress& address, const std::string& service, absl::Time now,
                 Effects& out) {
  auto it = claims_.find(address);
  if (it == claims_.end() || it->second.wishes.erase(service) == 0) return;
  changed_.insert(service);
  if (it->second.wishes.empty()) {
    Drop(it, now, out);
  } else {
    Choose(*it, now, out);
  }
}

void Lan::Choose(Entry& entry, absl::Time now, Effects& out) {
  Claim& claim = entry.second;
  auto best = std::find_if(claim.wishes.begin(), claim.wishes.end(),
                           [](const auto& wish) { return wish.second.carried; });
  claim.wanted = best == claim.wishes.end() ? claim.wishes.begin()->second : best->second;
  NoteChange(claim);
  Assess(entry, now, out);
  Publish(entry, now, out);
}

void Lan::Drop(std::map<IpAddress, Claim>::iterator it, absl::Time now, Effects& out) {
  const IpAddress address = it->first;
  Move(*it, Phase::kNoLink, "", now, out);
  out.push_back(PublishAnnouncement{name_, address, std::nullopt});
  claims_.erase(it);
  if (!address.is_ipv6()) return;
  auto group = groups_.find(SolicitedNodeGroup(address));
  if (--group->second > 0) return;
  if (link_ == Link::kOpen) out.push_back(LeaveGroup{name_, group->first});
  groups_.erase(group);
}

void Lan::Join(const IpAddress& address, Effects& out) {
  const IpAddress group = SolicitedNodeGroup(address);
  if (groups_[group]++ == 0 && link_ == Link::kOpen) out.push_back(JoinGroup{name_, group});
}

void Lan::AssessAll(absl::Time now, Effects& out) {
  assessed_view_ = membership_.view();
  for (Entry& entry : claims_) {
    Assess(entry, now, out);
    NoteChange(entry.second);
  }
}

std::string Lan::Elect(const IpAddress& address, const Wanted& wanted) const {
  std::vector<std::string> fit;
  std::vector<std::string> all;
  for (const Membership::Candidate& candidate : membership_.Candidates()) {
    if (!wanted.any_node && !wanted.nodes.contains(candidate.node)) continue;
    all.push_back(candidate.node);
    if (candidate.fit) fit.push_back(candidate.node);
  }
  std::vector<std::string> order =
      around_->election->Order(address.ToString(), fit.empty() ? all : fit);
  return order.empty() ? "" : std::move(order.front());
}

void Lan::Assess(Entry& entry, absl::Time now, Effects& out) {
  Claim& claim = entry.second;
  const auto& kernel = interface_.addresses;
  if (link_ != Link::kOpen) return Move(entry, Phase::kNoLink, "", now, out);
  if (std::find(kernel.begin(), kernel.end(), entry.first) != kernel.end()) {
    return Move(entry, Phase::kKernel, "", now, out);
  }
  if (!membership_.ready()) return Move(entry, Phase::kNotReady, "", now, out);
  std::string owner = Elect(entry.first, claim.wanted);
  if (owner != around_->node) return Move(entry, Phase::kStandby, std::move(owner), now, out);
  if (!claim.wanted.carried) return Move(entry, Phase::kGated, std::move(owner), now, out);
  if (claim.phase == Phase::kOwner || claim.phase == Phase::kTaken) return;
  Move(entry, membership_.agreed() ? Phase::kProbing : Phase::kWaiting, std::move(owner), now, out);
}

void Lan::Move(Entry& entry, Phase phase, std::string owner, absl::Time now, Effects& out) {
  Claim& claim = entry.second;
  if (claim.phase == phase && claim.owner == owner) return;
  const bool entered = claim.phase != phase;
  claim.phase = phase;
  claim.owner = std::move(owner);
  NoteChange(claim);
  if (entered) {
    claim.due = absl::InfiniteFuture();
    if (phase == Phase::kProbing) {
      claim.frames_left = kProbes;
      claim.due = now;
    } else if (phase == Phase::kOwner) {
      claim.frames_left = std::max(1, around_->settings.gratuitous_count);
      claim.due = now;
    }
    // While it is asked again, who answered the last time stays known.
    if (phase != Phase::kTaken && phase != Phase::kProbing && phase != Phase::kWaiting) {
      claim.rival.reset();
    }
  }
  Publish(entry, now, out);
  if (claim.due <= now) Step(entry, now, out);
  claims_due_ = std::min(claims_due_, DueOf(claim));
}

// One step of a phase that does something by time.
void Lan::Step(Entry& entry, absl::Time now, Effects& out) {
  auto& [address, claim] = entry;
  if (claim.phase == Phase::kTaken) {
    claim.due = absl::InfiniteFuture();
    Move(entry, membership_.agreed() ? Phase::kProbing : Phase::kWaiting, claim.owner, now, out);
  } else if (claim.phase == Phase::kProbing) {
    // A probe that nobody listened to the answers of (the process was stopped) proves nothing.
    if (now - claim.due > kProbeInterval) claim.frames_left = kProbes;
    if (claim.frames_left-- <= 0) return Move(entry, Phase::kOwner, claim.owner, now, out);
    claim.due = now + kProbeInterval;
    SendProbe(address, out);
  } else if (claim.phase == Phase::kOwner) {
    if (claim.due <= now) {
      SendGratuitous(address, out);
      claim.due = --claim.frames_left > 0 ? now + around_->settings.gratuitous_interval
                                          : absl::InfiniteFuture();
    }
    if (claim.rival.has_value() && claim.rival->seen + kConflictMemory <= now) {
      claim.rival.reset();
      NoteChange(claim);
      Publish(entry, now, out);
    }
  }
}

absl::Time Lan::DueOf(const Claim& claim) const {
  if (claim.phase != Phase::kOwner || !claim.rival.has_value()) return claim.due;
  return std::min(claim.due, claim.rival->seen + kConflictMemory);
}

void Lan::Publish(Entry& entry, absl::Time now, Effects& out) {
  Claim& claim = entry.second;
  const bool owner = claim.phase == Phase::kOwner;
  Announcement announcement{
      .service = claim.wanted.service,
      .mac = interface_.mac,
      .owner = owner,
      .owner_node = owner || claim.phase == Phase::kStandby ? claim.owner : "",
      .since = now};
  if (claim.phase == Phase::kTaken && claim.rival.has_value()) {
    announcement.owner_node = claim.rival->node;
  }
  if (claim.rival.has_value() && claim.rival->node.empty()) announcement.rival = claim.rival->mac;
  if (claim.published.has_value()) {
    announcement.since = claim.published->since;
    if (announcement == *claim.published) return;
    const bool only_rival = owner == claim.published->owner &&
                            announcement.owner_node == claim.published->owner_node &&
                            announcement.service == claim.published->service;
    if (!only_rival) announcement.since = now;
  }
  claim.published = announcement;
  out.push_back(PublishAnnouncement{name_, entry.first, std::move(announcement)});
}

const Claim* Lan::Owned(const IpAddress& address) const {
  auto it = claims_.find(address);
  return it != claims_.end() && it->second.phase == Phase::kOwner ? &it->second : nullptr;
}

// ---- somebody else claims an address ----

absl::Duration Lan::Patience(const IpAddress& address, const Rival& rival) const {
  if (rival.node.empty()) return kForeignPatience;
  // Two members that yielded to each other must not ask again at the same moment.
  const uint64_t interval = around_->settings.heartbeat_interval / absl::Milliseconds(1);
  Rng rng(around_->life ^ absl::Uint128Low64(address.value()));
  return absl::Milliseconds(interval + rng.Below(std::max<uint64_t>(interval, 1)));
}

void Lan::ClaimedBy(const IpAddress& address, const MacAddress& mac, absl::Time now, Effects& out) {
  auto it = claims_.find(address);
  if (it == claims_.end() || around_->own_macs.contains(mac) || mac == interface_.mac) return;
  Claim& claim = it->second;
  if (claim.phase != Phase::kProbing && claim.phase != Phase::kOwner) return;
  Rival rival{.mac = mac, .node = membership_.NodeOf(mac).value_or(""), .seen = now};
  if (claim.rival.has_value()) rival.defended = claim.rival->defended;
  NoteChange(claim);
  const bool yield = claim.phase == Phase::kProbing || !rival.node.empty();
  if (yield) {
    const absl::Duration patience = Patience(address, rival);
    claim.rival = std::move(rival);
    Move(*it, Phase::kTaken, claim.owner, now, out);
    claim.due = now + patience;
  } else {
    if (now - rival.defended >= kDefendInterval) {
      rival.defended = now;
      SendGratuitous(address, out);
    }
    claim.rival = std::move(rival);
    Publish(*it, now, out);
  }
  claims_due_ = std::min(claims_due_, DueOf(claim));
}

// ---- frames ----

void Lan::Receive(const Frame& frame, absl::Time now, Effects& out) {
  if (link_ != Link::kOpen) return;
  std::visit([&](const auto& value) { On(value, now, out); }, frame);
}

void Lan::On(const ArpFrame& frame, absl::Time now, Effects& out) {
  const bool probe = frame.sender_ip.IsUnspecified();
  if (probe) {
    auto it = claims_.find(frame.target_ip);
    // Somebody else is about to take what this node is about to take (RFC 5227 2.1.1).
    if (it != claims_.end() && it->second.phase == Phase::kProbing) {
      ClaimedBy(frame.target_ip, frame.sender_mac, now, out);
    }
  } else {
    ClaimedBy(frame.sender_ip, frame.sender_mac, now, out);
  }
  const bool to_us =
      frame.destination == MacAddress::Broadcast() || frame.destination == interface_.mac;
  if (frame.operation != ArpFrame::Operation::kRequest || !to_us ||
      frame.sender_ip == frame.target_ip || frame.sender_mac == interface_.mac ||
      Owned(frame.target_ip) == nullptr) {
    return;
  }
  Send(ArpFrame{.destination = frame.sender_mac,
                .operation = ArpFrame::Operation::kReply,
                .sender_mac = interface_.mac,
                .sender_ip = frame.target_ip,
                .target_mac = frame.sender_mac,
                .target_ip = frame.sender_ip},
       out, frame.target_ip);
}

void Lan::On(const NeighborSolicitation& frame, absl::Time now, Effects& out) {
  const bool probe = frame.source_ip.IsUnspecified();
  auto it = claims_.find(frame.target);
  if (it == claims_.end() || frame.source == interface_.mac) return;
  if (probe && it->second.phase == Phase::kProbing) {
    return ClaimedBy(frame.target, frame.source, now, out);
  }
  const bool to_us = frame.destination.IsMulticast() || frame.destination == interface_.mac;
  if (!to_us || it->second.phase != Phase::kOwner) return;
  const IpAddress all = AllNodesGroup();
  Send(NeighborAdvertisement{.destination = probe ? MulticastMac(all)
                                                  : frame.source_link.value_or(frame.source),
                             .source_ip = SourceFor(frame.target),
                             .destination_ip = probe ? all : frame.source_ip,
                             .target = frame.target,
                             .solicited = !probe,
                             .overrides = true,
                             .target_link = interface_.mac},
       out, frame.target);
}

void Lan::On(const NeighborAdvertisement& frame, absl::Time now, Effects& out) {
  ClaimedBy(frame.target, frame.target_link.value_or(frame.source), now, out);
}

void Lan::On(const Heartbeat& frame, absl::Time now, Effects&) { membership_.Hear(frame, now); }

void Lan::Send(Frame frame, Effects& out, std::optional<IpAddress> asked) const {
  std::visit([&](auto& value) { value.source = interface_.mac; }, frame);
  out.push_back(SendFrame{name_, std::move(frame), membership_.given_up_at(), asked});
}

IpAddress Lan::SourceFor(const IpAddress& target) const {
  for (const IpAddress& address : interface_.addresses) {
    if (address.is_ipv6() && address.IsLinkLocal()) return address;
  }
  return target;
}

// RFC 5227 2.1.1; RFC 4862 5.4.2.
void Lan::SendProbe(const IpAddress& address, Effects& out) const {
  if (address.is_ipv4()) {
    return Send(ArpFrame{.destination = MacAddress::Broadcast(),
                         .operation = ArpFrame::Operation::kRequest,
                         .sender_mac = interface_.mac,
                         .target_ip = address},
                out);
  }
  const IpAddress group = SolicitedNodeGroup(address);
  Send(NeighborSolicitation{.destination = MulticastMac(group),
                            .source_ip = IpAddress::FromValue(net::Family::kIpv6, 0),
                            .destination_ip = group,
                            .target = address},
       out);
}

// RFC 5227 2.3 and, for hosts that only heed replies, the same as a reply (RFC 5944 4.6);
// RFC 4861 7.2.6.
void Lan::SendGratuitous(const IpAddress& address, Effects& out) const {
  if (address.is_ipv4()) {
    ArpFrame frame{.destination = MacAddress::Broadcast(),
                   .operation = ArpFrame::Operation::kRequest,
                   .sender_mac = interface_.mac,
                   .sender_ip = address,
                   .target_ip = address};
    Send(frame, out);
    frame.operation = ArpFrame::Operation::kReply;
    frame.target_mac = interface_.mac;
    return Send(frame, out);
  }
  const IpAddress all = AllNodesGroup();
  Send(NeighborAdvertisement{.destination = MulticastMac(all),
                             .source_ip = SourceFor(address),
                             .destination_ip = all,
                             .target = address,
                             .overrides = true,
                             .target_link = interface_.mac},
       out);
}

// ---- time ----

void Lan::WakeUp(absl::Time now, Effects& out) {
  if (!membership_.Overslept(now)) return;
  StartMembership(now);
  // Also when the node is alone and ready again at once: whoever came meanwhile is found by probes.
  for (Entry& entry : claims_) Move(entry, Phase::kNotReady, "", now, out);
  AssessAll(now, out);
}

void Lan::SettingsChanged(absl::Time now, Effects& out) {
  membership_.SetTiming(timing());
  AssessAll(now, out);
}

void Lan::Advance(absl::Time now, Effects& out) {
  if (link_ == Link::kFailed && retry_at_ <= now) return Open(now, out);
  if (link_ != Link::kOpen) return;
  if (membership_.next_due() <= now) membership_.Advance(now);
  // What is given up is given up before the others hear of the view that it follows from.
  if (membership_.view() != assessed_view_) AssessAll(now, out);
  if (std::optional<Heartbeat> heartbeat = membership_.Due(now)) {
    Send(*std::move(heartbeat), out);
  }
  if (claims_due_ > now) return;
  claims_due_ = absl::InfiniteFuture();
  for (Entry& entry : claims_) {
    if (DueOf(entry.second) <= now) Step(entry, now, out);
    claims_due_ = std::min(claims_due_, DueOf(entry.second));
  }
}

absl::Time Lan::next_due() const {
  if (link_ == Link::kFailed) return retry_at_;
  if (link_ != Link::kOpen) return absl::InfiniteFuture();
  return std::min(membership_.next_due(), claims_due_);
}

void Lan::SayGoodbye(absl::Time now, Effects& out) {
  if (link_ != Link::kOpen) return;
  for (Entry& entry : claims_) Move(entry, Phase::kNoLink, "", now, out);
  Heartbeat heartbeat{.node = around_->node, .life = around_->life, .leaving = true};
  Send(std::move(heartbeat), out);
}

}  // namespace portolan::l2
