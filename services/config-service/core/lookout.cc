#include "services/config-service/core/lookout.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace portolan::config {
namespace {

constexpr char kModule[] = "portolan-events";

using Grant = SeenAllocation::Grant;
using Level = SeenPool::Level;

bool Holds(const SeenAllocation* allocation, const std::string& address) {
  return allocation != nullptr &&
         std::any_of(allocation->grants.begin(), allocation->grants.end(),
                     [&](const Grant& grant) { return grant.address == address; });
}

// Of IPv6 pools neither fits 64 bits; a percent need not be exact.
double Number(const std::string& text) {
  double number = 0;
  return absl::SimpleAtod(text, &number) ? number : 0;
}

Level LevelOf(const SeenPool::Count& count, Level before, uint32_t threshold_percent) {
  const double used = Number(count.used);
  const double available = Number(count.available);
  if (used <= 0) return Level::kNormal;
  if (available <= 0) return Level::kExhausted;
  const double percent = 100 * used / (used + available);
  if (percent >= threshold_percent) return std::max(before, Level::kNearlyFull);
  // Until it is relieved it is what it was.
  return percent + kReliefPercent > threshold_percent ? before : Level::kNormal;
}

bool Established(const SeenPeer* peer) { return peer != nullptr && peer->state == "established"; }

}  // namespace

template <typename F>
void Lookout::ForStream(SeenStream stream, F f) {
  switch (stream) {
    case SeenStream::kAllocations:
      return f(allocations_);
    case SeenStream::kPools:
      return f(pools_);
    case SeenStream::kAnnouncements:
      return f(announcements_);
    case SeenStream::kPeers:
      return f(peers_);
  }
}

template <typename V>
void Lookout::On(Picture<V>& picture, Seen<V> seen) {
  using Phase = typename Picture<V>::Phase;
  const auto it = picture.now.find(seen.key);
  std::optional<V> before;
  if (it != picture.now.end()) before = std::move(it->second);
  if constexpr (std::is_same_v<V, SeenPool>) {
    if (seen.value.has_value()) SetLevels(before ? &*before : nullptr, &*seen.value);
  }
  const bool same = before == seen.value;
  if (!same && picture.phase == Phase::kLive) {
    Tell(seen.key, before ? &*before : nullptr, seen.value ? &*seen.value : nullptr);
  } else if (!same && picture.phase != Phase::kBlind) {
    picture.before.try_emplace(seen.key, std::move(before));
  }
  if (!seen.value.has_value()) {
    if (it != picture.now.end()) picture.now.erase(it);
  } else if (it != picture.now.end()) {
    it->second = *std::move(seen.value);
  } else {
    picture.now.emplace(std::move(seen.key), *std::move(seen.value));
  }
}

template <typename V>
void Lookout::Settle(Picture<V>& picture, absl::Time now) {
  if (picture.settled > now) return;
  picture.phase = Picture<V>::Phase::kLive;
  picture.settled = absl::InfiniteFuture();
  for (const auto& [key, before] : std::exchange(picture.before, {})) {
    const auto it = picture.now.find(key);
    const V* after = it == picture.now.end() ? nullptr : &it->second;
    if (before.has_value() && after != nullptr && *before == *after) continue;
    Tell(key, before ? &*before : nullptr, after);
  }
}

std::vector<Notice> Lookout::Handle(SeenEvent event, absl::Time now) {
  if (auto* allocation = std::get_if<Seen<SeenAllocation>>(&event); allocation != nullptr) {
    On(allocations_, std::move(*allocation));
  } else if (auto* pool = std::get_if<Seen<SeenPool>>(&event); pool != nullptr) {
    On(pools_, std::move(*pool));
  } else if (auto* announcement = std::get_if<Seen<SeenAnnouncement>>(&event);
             announcement != nullptr) {
    On(announcements_, std::move(*announcement));
  } else if (auto* peer = std::get_if<Seen<SeenPeer>>(&event); peer != nullptr) {
    On(peers_, std::move(*peer));
  } else if (const auto* lost = std::get_if<StreamLost>(&event); lost != nullptr) {
    ForStream(lost->stream, [](auto& picture) {
      using Phase = typename std::remove_reference_t<decltype(picture)>::Phase;
      if (picture.phase == Phase::kBlind) return;
      picture.phase = Phase::kAway;
      picture.settled = absl::InfiniteFuture();
    });
  } else if (const auto* synced = std::get_if<StreamSynced>(&event); synced != nullptr) {
    ForStream(synced->stream, [&](auto& picture) {
      using Phase = typename std::remove_reference_t<decltype(picture)>::Phase;
      if (picture.phase == Phase::kBlind) picture.phase = Phase::kLive;
      if (picture.phase != Phase::kAway) return;
      picture.phase = Phase::kSettling;
      picture.settled = now + kSettle;
    });
  } else if (const auto* threshold = std::get_if<ThresholdSet>(&event); threshold != nullptr) {
    SetThreshold(threshold->percent);
  } else {
    Settle(allocations_, now);
    Settle(pools_, now);
    Settle(announcements_, now);
    Settle(peers_, now);
  }
  return std::exchange(out_, {});
}

absl::Time Lookout::deadline() const {
  return std::min({allocations_.settled, pools_.settled, announcements_.settled, peers_.settled});
}

// ---- pools ----

void Lookout::SetLevels(const SeenPool* before, SeenPool* pool) const {
  for (auto& [family, count] : pool->counts) {
    Level level = Level::kNormal;
    if (before != nullptr) {
      if (const auto it = before->counts.find(family); it != before->counts.end()) {
        level = it->second.level;
      }
    }
    // A pool in conflict gives nothing, however much of it is free.
    count.level = pool->conflicting ? level : LevelOf(count, level, threshold_percent_);
  }
}

void Lookout::SetThreshold(uint32_t percent) {
  if (std::exchange(threshold_percent_, percent) == percent) return;
  const std::map<std::string, SeenPool> pools(pools_.now.begin(), pools_.now.end());
  for (const auto& [key, pool] : pools) On(pools_, Seen<SeenPool>{key, pool});
}

// ---- notices ----

void Lookout::Add(const char* name, std::vector<std::pair<const char*, std::string>> leaves) {
  // What is empty is not said.
  std::erase_if(leaves, [](const auto& leaf) { return leaf.second.empty(); });
  out_.push_back({kModule, name, std::move(leaves)});
}

void Lookout::Tell(const std::string& key, const SeenAllocation* before,
                   const SeenAllocation* after) {
  if (before != nullptr) {
    for (const Grant& grant : before->grants) {
      if (Holds(after, grant.address)) continue;
      Add("address-released", {{"service", key}, {"address", grant.address}, {"pool", grant.pool}});
    }
  }
  if (after == nullptr) return;
  for (const Grant& grant : after->grants) {
    if (Holds(before, grant.address)) continue;
    Add("address-assigned", {{"service", key},
                             {"address", grant.address},
                             {"pool", grant.pool},
                             {"adopted", grant.adopted ? "true" : "false"}});
  }
}

void Lookout::Tell(const std::string& key, const SeenPool* before, const SeenPool* after) {
  if (after == nullptr) return;  // that it is configured no more, another notification says
  const bool was_conflicting = before != nullptr && before->conflicting;
  if (after->conflicting && !was_conflicting) {
    Add("pool-conflict",
        {{"pool", key}, {"conflicts-with", after->conflicts_with}, {"message", after->message}});
  } else if (!after->conflicting && was_conflicting) {
    Add("pool-conflict-ended", {{"pool", key}});
  }
  for (const auto& [family, count] : after->counts) {
    Level level = Level::kNormal;
    if (before != nullptr) {
      if (const auto it = before->counts.find(family); it != before->counts.end()) {
        level = it->second.level;
      }
    }
    if (count.level == level) continue;
    if (count.level == Level::kExhausted) {
      Add("pool-exhausted", {{"pool", key}, {"family", family}, {"used", count.used}});
    } else if (count.level == Level::kNearlyFull) {
      Add("pool-nearly-full", {{"pool", key},
                               {"family", family},
                               {"used", count.used},
                               {"available", count.available},
                               {"threshold", absl::StrCat(threshold_percent_)}});
    } else {
      Add("pool-relieved", {{"pool", key},
                            {"family", family},
                            {"used", count.used},
                            {"available", count.available}});
    }
  }
}

void Lookout::Tell(const std::string& key, const SeenAnnouncement* before,
                   const SeenAnnouncement* after) {
  const SeenAnnouncement& seen = after != nullptr ? *after : *before;
  const std::vector<std::string> place = absl::StrSplit(key, absl::MaxSplits('/', 2));
  if (place.size() != 3) return;  // nobody publishes such a key
  const auto add = [&](const char* name, const char* leaf, const std::string& text) {
    Add(name, {{"node", place[0]},
               {"interface", place[1]},
               {"address", place[2]},
               {"service", seen.service},
               {leaf, text}});
  };
  const bool owned = before != nullptr && before->owner;
  const bool owns = after != nullptr && after->owner;
  if (owns && !owned) add("ownership-gained", "mac", seen.mac);
  if (owned && !owns) add("ownership-lost", "owner", after == nullptr ? "" : after->owner_node);
  const std::string rival_before = before == nullptr ? "" : before->rival;
  const std::string rival = after == nullptr ? "" : after->rival;
  if (rival == rival_before) return;
  if (rival.empty()) {
    add("address-conflict-ended", "rival", "");
  } else {
    add("address-conflict", "rival", rival);
  }
}

void Lookout::Tell(const std::string&, const SeenPeer* before, const SeenPeer* after) {
  const SeenPeer& seen = after != nullptr ? *after : *before;
  const auto add = [&](const char* name, std::vector<std::pair<const char*, std::string>> more) {
    std::vector<std::pair<const char*, std::string>> leaves = {
        {"node", seen.node},
        {"instance", seen.instance},
        {"peer", seen.name},
        {"address", seen.address},
        {"remote-as", absl::StrCat(seen.remote_as)}};
    leaves.insert(leaves.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
    Add(name, std::move(leaves));
  };
  const bool was = Established(before);
  const bool is = Established(after);
  // A session that came and went between two looks is told by when it began.
  const bool renewed = was && is && before->since_unix_ms != after->since_unix_ms;
  if (was && (!is || renewed)) {
    add("peer-backward-transition",
        {{"state", after == nullptr ? "idle" : after->state},
         {"reason", after == nullptr ? "the peer is configured no more" : after->last_error}});
  }
  if (is && (!was || renewed)) {
    add("peer-established", {{"hold-time", absl::StrCat(seen.hold_time_s)}});
  }
}

}  // namespace portolan::config
