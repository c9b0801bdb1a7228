#include "services/l2-announcer/core/membership.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace portolan::l2 {
namespace {

// A change is told after this part of the interval at the latest, so that a burst of changes does
// not make a burst of frames.
constexpr int kChangesPerInterval = 20;
constexpr absl::Duration kLongestPromise = absl::Minutes(10);

bool ByLife(const HeardNode& a, const HeardNode& b) { return a.life < b.life; }

}  // namespace

void Membership::Start(absl::Time now, const Timing& timing, bool listen) {
  timing_ = timing;
  new_life_ = !started_once_;
  started_ = started_once_ = true;
  peers_.clear();
  listen_until_ = listen ? now + timing.dead : now;
  promised_ = timing.dead;
  last_sent_ = sent_before_ = now;
  next_heartbeat_ = now;
  Refresh(now);
}

void Membership::Stop() {
  started_ = false;
  peers_.clear();
  next_heartbeat_ = listen_until_ = absl::InfiniteFuture();
  listened_ = ready_ = agreed_ = false;
  deaf_peer_ = dissenter_ = std::nullopt;
  twin_.reset();
  waited_for_.clear();
  said_.clear();
  ++view_;
}

void Membership::SetTiming(const Timing& timing) {
  timing_ = timing;
  if (started_) next_heartbeat_ = std::min(next_heartbeat_, last_sent_ + timing.interval);
}

void Membership::SetFit(bool fit, absl::Time now) {
  if (fit == fit_) return;
  fit_ = fit;
  if (started_) Refresh(now);
}

void Membership::Hear(const Heartbeat& heartbeat, absl::Time now) {
  if (!started_ || heartbeat.life == life_) return;
  const absl::Duration promise = absl::Milliseconds(heartbeat.dead_interval_ms);
  Peer peer{.node = heartbeat.node,
            .mac = heartbeat.source,
            .standing = heartbeat.standing,
            .promise = std::min(promise, kLongestPromise),
            .deadline = now + std::min(promise, kLongestPromise),
            .heard = heartbeat.heard};
  std::sort(peer.heard.begin(), peer.heard.end(), ByLife);
  // A node that was started again on the same interface is one node, not two.
  std::erase_if(peers_, [&](const auto& entry) {
    const Peer& other = entry.second;
    if (other.node != peer.node || other.mac != peer.mac) return false;
    const bool former_life = entry.first != heartbeat.life;
    InheritStanding(other, former_life, peer);
    return former_life;
  });
  if (heartbeat.leaving) {
    peers_.erase(heartbeat.life);
  } else if (peers_.contains(heartbeat.life) || peers_.size() < kMaxHeard) {
    peers_[heartbeat.life] = std::move(peer);
  }
  Refresh(now);
}

void Membership::InheritStanding(const Peer& before, bool former_life, Peer& peer) const {
  if (before.waited_for()) {
    peer.before = before.before;
    peer.waited_for_until = before.waited_for_until;
  } else if (before.standing.ready && former_life) {
    peer.before = before.standing;
    peer.waited_for_until = before.deadline + before.promise;
  }
  // It is back when it stands as well as it did.
  if (peer.standing.ready && (peer.standing.fit || !peer.before.fit)) {
    peer.waited_for_until = absl::InfinitePast();
  }
}

void Membership::KeepOnly(const std::map<std::string, Labels>& nodes, absl::Time now) {
  std::erase_if(peers_, [&](const auto& entry) { return !nodes.contains(entry.second.node); });
  if (started_) Refresh(now);
}

void Membership::Advance(absl::Time now) {
  if (!started_) return;
  std::erase_if(peers_, [&](const auto& entry) { return entry.second.deadline <= now; });
  Refresh(now);
}

std::optional<Heartbeat> Membership::Due(absl::Time now) {
  if (!started_ || now < next_heartbeat_) return std::nullopt;
  sent_before_ = last_sent_;
  last_sent_ = now;
  next_heartbeat_ = now + timing_.interval;
  promised_ = timing_.dead;
  return Heartbeat{.node = node_,
                   .life = life_,
                   .interval_ms = static_cast<uint32_t>(timing_.interval / absl::Milliseconds(1)),
                   .dead_interval_ms = static_cast<uint32_t>(timing_.dead / absl::Milliseconds(1)),
                   .standing = {.ready = ready_, .fit = fit_},
                   .heard = HeardList()};
}

absl::Time Membership::next_due() const {
  absl::Time due = next_heartbeat_;
  if (!listened_) due = std::min(due, listen_until_);
  for (const auto& [life, peer] : peers_) {
    due = std::min(due, peer.deadline);
    if (peer.waited_for()) due = std::min(due, peer.waited_for_until);
  }
  return due;
}

std::vector<Membership::Candidate> Membership::Candidates() const {
  std::vector<Candidate> candidates;
  if (ready_) candidates.push_back({node_, fit_});
  for (const auto& [life, peer] : peers_) {
    if (peer.waited_for()) {
      candidates.push_back({peer.node, peer.before.fit});
    } else if (peer.standing.ready) {
      candidates.push_back({peer.node, peer.standing.fit});
    }
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.node != b.node ? a.node < b.node : a.fit > b.fit;
  });
  // A node whose hardware address changed is there twice until its former life is given up.
  const auto same = [](const Candidate& a, const Candidate& b) { return a.node == b.node; };
  candidates.erase(std::unique(candidates.begin(), candidates.end(), same), candidates.end());
  return candidates;
}

std::optional<std::string> Membership::NodeOf(const net::MacAddress& mac) const {
  for (const auto& [life, peer] : peers_) {
    if (peer.mac == mac) return peer.node;
  }
  return std::nullopt;
}

std::vector<HeardNode> Membership::HeardList() const {
  std::vector<HeardNode> heard;
  for (const auto& [life, peer] : peers_) heard.push_back({life, peer.standing});
  return heard;
}

std::vector<HeardNode> Membership::ReadyNodes() const {
  std::vector<HeardNode> nodes = HeardList();
  nodes.push_back({life_, {.ready = ready_, .fit = fit_}});
  std::erase_if(nodes, [](const HeardNode& node) { return !node.standing.ready; });
  std::sort(nodes.begin(), nodes.end(), ByLife);
  return nodes;
}

bool Membership::EveryExpectedNodeHearsThis() const {
  if (expected_.empty()) return false;
  std::set<std::string> missing = expected_;
  for (const auto& [life, peer] : peers_) {
    if (std::any_of(peer.heard.begin(), peer.heard.end(),
                    [&](const HeardNode& heard) { return heard.life == life_; })) {
      missing.erase(peer.node);
    }
  }
  return missing.empty();
}

std::vector<uint64_t> Membership::WaitedFor() const {
  std::vector<uint64_t> lives;
  for (const auto& [life, peer] : peers_) {
    if (peer.waited_for()) lives.push_back(life);
  }
  return lives;
}

void Membership::FindObstacles() {
  deaf_peer_.reset();
  twin_.reset();
  for (const auto& [life, peer] : peers_) {
    const bool hears_us = std::any_of(peer.heard.begin(), peer.heard.end(),
                                      [&](const HeardNode& heard) { return heard.life == life_; });
    if (peer.standing.ready && !hears_us && !deaf_peer_.has_value()) deaf_peer_ = peer.node;
    if (peer.node == node_ && life < life_) twin_ = peer.mac;
  }
}

void Membership::FindDissenter() {
  dissenter_.reset();
  const HeardNode self{life_, {.ready = ready_, .fit = fit_}};
  const std::vector<HeardNode> ready_nodes = ReadyNodes();
  for (const auto& [life, peer] : peers_) {
    std::vector<HeardNode> theirs = peer.heard;
    const bool knows_us = std::find(theirs.begin(), theirs.end(), self) != theirs.end();
    std::erase_if(theirs, [](const HeardNode& node) { return !node.standing.ready; });
    theirs.push_back({life, peer.standing});
    std::sort(theirs.begin(), theirs.end(), ByLife);
    if (!knows_us || (peer.standing.ready && theirs != ready_nodes)) {
      dissenter_ = peer.node;
      return;
    }
  }
}

void Membership::Refresh(absl::Time now) {
  const auto before = std::tuple(agreed_, deaf_peer_, dissenter_, twin_, listened_, waited_for_);
  for (auto& [life, peer] : peers_) {
    if (peer.waited_for_until <= now) peer.waited_for_until = absl::InfinitePast();
  }
  waited_for_ = WaitedFor();
  FindObstacles();
  if (new_life_ && EveryExpectedNodeHearsThis()) listen_until_ = std::min(listen_until_, now);
  listened_ = now >= listen_until_;
  ready_ = listened_ && !deaf_peer_.has_value() && !twin_.has_value();
  FindDissenter();
  agreed_ = !dissenter_.has_value();

  std::vector<HeardNode> say = HeardList();
  say.insert(say.begin(), {life_, {.ready = ready_, .fit = fit_}});
  if (say != said_) {
    said_ = std::move(say);
    ++view_;
    next_heartbeat_ = std::min(next_heartbeat_,
                               std::max(now, last_sent_ + timing_.interval / kChangesPerInterval));
  } else if (before != std::tuple(agreed_, deaf_peer_, dissenter_, twin_, listened_, waited_for_)) {
    ++view_;
  }
}

}  // namespace portolan::l2
