// Who else announces on one LAN, and whether this node may.
//
// Every node broadcasts heartbeats on the LAN itself and says in them whom it hears. From that:
//
//  - A peer is alive until the dead interval that it promised has passed since it was last heard.
//    It counts the same time from its last sending, which is earlier, so it has fallen silent
//    before anybody takes its addresses.
//  - A node that overslept (stopped, frozen, suspended) longer than its own promise starts anew:
//    it is not ready until it has listened for a dead interval.
//  - With a new life that is over earlier, once every other node of the configuration was heard and
//    hears it: then there is nobody else to find, and nothing that was heard can be stale.
//  - A node that was ready and comes back with a new life is waited for: it stays a candidate until
//    two dead intervals after its last ready heartbeat. Its datapath forwarded meanwhile, so a
//    quick restart moves no address and breaks no flow; a node that never gets ready is given up.
//  - A node is ready when it has listened and every ready peer hears it. A peer that does not hear
//    it would elect without it, so it stands back: a LAN that works in one direction only, or that
//    heals after a split, never has two owners that know of each other.
//  - The members are agreed when every peer has heard how this node stands now, and every ready
//    peer counts the same ready nodes as this one. An election over an agreed view has one outcome;
//    ownership is only taken in that state and given up as soon as the own view says so. In a LAN
//    where A and B both hear C but not each other nothing is taken anew; what is owned stays.
//
// Pure; one thread. The caller passes a `now` that never goes back, calls Overslept() first
// whenever it gets control, and sends what Due() returns.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/base/net/mac_address.h"
#include "services/base/selector/label_selector.h"
#include "services/l2-announcer/core/frame.h"

namespace portolan::l2 {

class Membership {
 public:
  struct Timing {
    absl::Duration interval;
    absl::Duration dead;
  };
  struct Candidate {
    std::string node;
    bool fit = false;
  };

  // `life` must differ from that of every other process, also of the same node.
  Membership(std::string node, uint64_t life) : node_(std::move(node)), life_(life) {}

  // The LAN can be used from now on. Without `listen` this node is ready at once: for a
  // configuration that has no other node.
  void Start(absl::Time now, const Timing& timing, bool listen);
  void Stop();
  bool started() const { return started_; }

  void SetTiming(const Timing& timing);
  void SetFit(bool fit, absl::Time now);
  // From then on peers may have given this node up, unless another heartbeat is sent before.
  absl::Time given_up_at() const { return last_sent_ + std::min(promised_, timing_.dead); }
  // They may have by now: Start() it again.
  bool Overslept(absl::Time now) const { return started_ && now >= given_up_at(); }
  void Hear(const Heartbeat& heartbeat, absl::Time now);
  // The other nodes that the configuration names; none: unknown.
  void Expect(std::set<std::string> others) { expected_ = std::move(others); }
  // Drops peers whose name is not in `nodes`.
  void KeepOnly(const std::map<std::string, Labels>& nodes, absl::Time now);
  // Drops peers that are silent for too long; ends listening.
  void Advance(absl::Time now);
  // The heartbeat to broadcast now, if one is due: by the interval, or soon after a change.
  std::optional<Heartbeat> Due(absl::Time now);
  // The one returned last was not sent.
  void Lost() { last_sent_ = sent_before_; }
  // Advance() and Due() have nothing to do before that.
  absl::Time next_due() const;

  // Changes whenever one of the answers below may have.
  uint64_t view() const { return view_; }
  bool ready() const { return ready_; }
  bool agreed() const { return agreed_; }
  bool fit() const { return fit_; }
  // Nodes that may own addresses, this one and those waited for included, sorted by name.
  std::vector<Candidate> Candidates() const;
  // The living peer that sends from this hardware address, or nothing.
  std::optional<std::string> NodeOf(const net::MacAddress& mac) const;

  bool listening() const { return !listened_; }
  // A ready peer that does not hear this node, or a living twin of the same name; or nothing.
  std::optional<std::string> deaf_peer() const { return deaf_peer_; }
  std::optional<net::MacAddress> twin() const { return twin_; }
  // The first peer that counts other nodes than this one; nothing when agreed.
  std::optional<std::string> dissenter() const { return dissenter_; }

 private:
  struct Peer {
    std::string node;
    net::MacAddress mac;
    Standing standing;
    absl::Duration promise;  // its dead interval
    absl::Time deadline;
    std::vector<HeardNode> heard;  // sorted by life
    // How its former life stood, while it is waited for; until when.
    Standing before;
    absl::Time waited_for_until = absl::InfinitePast();
    bool waited_for() const { return waited_for_until != absl::InfinitePast(); }
  };

  // Recomputes what is derived after any change.
  void Refresh(absl::Time now);
  // From the former life of a node, or from what was heard of the same life before.
  void InheritStanding(const Peer& before, bool former_life, Peer& peer) const;
  bool EveryExpectedNodeHearsThis() const;
  std::vector<uint64_t> WaitedFor() const;
  void FindObstacles();
  void FindDissenter();
  std::vector<HeardNode> ReadyNodes() const;
  std::vector<HeardNode> HeardList() const;

  std::string node_;
  uint64_t life_;
  Timing timing_;
  bool started_ = false;
  bool fit_ = false;
  absl::Time listen_until_ = absl::InfiniteFuture();
  std::map<uint64_t, Peer> peers_;  // by life
  std::set<std::string> expected_;
  bool started_once_ = false;
  bool new_life_ = true;  // Start() was called once

  absl::Duration promised_;  // the dead interval in the last heartbeat
  absl::Time last_sent_;
  absl::Time sent_before_;
  absl::Time next_heartbeat_ = absl::InfiniteFuture();

  // Derived.
  uint64_t view_ = 0;
  bool listened_ = false;
  bool ready_ = false;
  bool agreed_ = false;
  std::optional<std::string> deaf_peer_;
  std::optional<std::string> dissenter_;
  std::optional<net::MacAddress> twin_;
  std::vector<uint64_t> waited_for_;  // lives
  std::vector<HeardNode> said_;       // what the peers should know: own standing first, heard list
};

}  // namespace portolan::l2
