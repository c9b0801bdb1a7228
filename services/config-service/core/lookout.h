// What the services report goes in, what happened comes out: addresses that come and go, pools that
// fill up, owners on LANs, sessions with peers.
//
// Only a difference between two pictures makes a notice, never a picture alone. So nothing is told
// of a stream before it was complete once; and while its publisher is away, and for kSettle after
// it is back, differences wait: what is by then as it was before did not happen, as far as
// subscribers are concerned. A publisher that starts anew and owns for a moment nothing loses
// nothing.
//
// Pure; one thread. Keeps of every object the little that notices are made of (lookout_test.cc has
// the bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "services/config-service/core/notice.h"

namespace portolan::config {

// Longer than a restart and the default dead interval of owners on a LAN.
inline constexpr absl::Duration kSettle = absl::Seconds(5);
// A pool is relieved when its use is so far below the threshold.
inline constexpr uint32_t kReliefPercent = 5;

// What a Service holds.
struct SeenAllocation {
  struct Grant {
    std::string address;
    std::string pool;
    bool adopted = false;
    friend bool operator==(const Grant&, const Grant&) = default;
  };
  std::vector<Grant> grants;
  friend bool operator==(const SeenAllocation&, const SeenAllocation&) = default;
};

struct SeenPool {
  enum class Level : uint8_t { kNormal, kNearlyFull, kExhausted };
  struct Count {
    std::string used;
    std::string available;
    Level level = Level::kNormal;  // the lookout's
    friend bool operator==(const Count&, const Count&) = default;
  };
  bool conflicting = false;
  std::string conflicts_with;
  std::string message;
  std::map<std::string, Count> counts;  // by family
  friend bool operator==(const SeenPool&, const SeenPool&) = default;
};

// Of one node's address on one interface; its key is "NODE/INTERFACE/ADDRESS".
struct SeenAnnouncement {
  std::string service;
  std::string mac;
  bool owner = false;
  std::string owner_node;
  std::string rival;  // a foreign host; empty: none
  friend bool operator==(const SeenAnnouncement&, const SeenAnnouncement&) = default;
};

struct SeenPeer {
  std::string node;
  std::string instance;
  std::string name;
  std::string address;
  uint32_t remote_as = 0;
  std::string state;
  int64_t since_unix_ms = 0;
  std::string last_error;
  uint32_t hold_time_s = 0;
  friend bool operator==(const SeenPeer&, const SeenPeer&) = default;
};

// The key of `value`'s stream; no value: it is gone.
template <typename V>
struct Seen {
  std::string key;
  std::optional<V> value;
};

enum class SeenStream : uint8_t { kAllocations, kPools, kAnnouncements, kPeers };
// Its publisher is away.
struct StreamLost {
  SeenStream stream;
};
// What was said of it is complete.
struct StreamSynced {
  SeenStream stream;
};
struct ThresholdSet {
  uint32_t percent = 90;
};
// deadline() has come.
struct SettleTimer {};

using SeenEvent = std::variant<Seen<SeenAllocation>, Seen<SeenPool>, Seen<SeenAnnouncement>,
                               Seen<SeenPeer>, StreamLost, StreamSynced, ThresholdSet, SettleTimer>;

class Lookout {
 public:
  std::vector<Notice> Handle(SeenEvent event, absl::Time now);

  // When it wants a SettleTimer.
  absl::Time deadline() const;

 private:
  // What is known of one stream.
  template <typename V>
  struct Picture {
    enum class Phase : uint8_t { kBlind, kLive, kAway, kSettling };
    Phase phase = Phase::kBlind;
    absl::Time settled = absl::InfiniteFuture();
    absl::flat_hash_map<std::string, V> now;
    // Of keys that changed since the publisher went away: what subscribers know.
    std::map<std::string, std::optional<V>> before;
  };

  template <typename F>
  void ForStream(SeenStream stream, F f);
  template <typename V>
  void On(Picture<V>& picture, Seen<V> seen);
  template <typename V>
  void Settle(Picture<V>& picture, absl::Time now);
  void SetLevels(const SeenPool* before, SeenPool* pool) const;
  void SetThreshold(uint32_t percent);

  // One of the two may be null.
  void Tell(const std::string& key, const SeenAllocation* before, const SeenAllocation* after);
  void Tell(const std::string& key, const SeenPool* before, const SeenPool* after);
  void Tell(const std::string& key, const SeenAnnouncement* before, const SeenAnnouncement* after);
  void Tell(const std::string& key, const SeenPeer* before, const SeenPeer* after);
  void Add(const char* name, std::vector<std::pair<const char*, std::string>> leaves);

  Picture<SeenAllocation> allocations_;
  Picture<SeenPool> pools_;
  Picture<SeenAnnouncement> announcements_;
  Picture<SeenPeer> peers_;
  uint32_t threshold_percent_ = 90;
  std::vector<Notice> out_;  // of the call in progress
};

}  // namespace portolan::config
