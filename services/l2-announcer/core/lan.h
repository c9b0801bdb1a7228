// The addresses that this node could answer for on one interface, and which of them it does.
//
// Each address is a Claim that goes through these phases; everything but kOwner is silent:
//
//   kNoLink ----> kNotReady ----> kStandby      another node is elected, or none
//                     |              ^  |
//                     v              |  v
//   kGated <---- elected here ----> kWaiting    until all members count the same nodes
//                     |                |
//                     v                v
//                  kProbing <---- kTaken        somebody else answers: asked again later
//                     |              ^
//                     v              |
//                  kOwner ----------- a member claims it, too: this node yields
//
// Two probes (RFC 5227 2.1.1, RFC 4862 5.4; shortened to 200 ms in all) come before each taking:
// they find whoever still answers, be it a member with an older configuration or a foreign host.
// A foreign host that turns up later is told at most every ten seconds (RFC 5227 2.4 (c)) and
// named in the claim.
//
// Pure; one thread; effects are appended to `out`. Owned by the Engine.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "plugins/sdk/owner_election.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/mac_address.h"
#include "services/l2-announcer/core/membership.h"
#include "services/l2-announcer/core/model.h"

namespace portolan::l2 {

using Effects = std::vector<Effect>;

// What all LANs of an engine share. Owned by the engine, outlives the LANs.
struct Surroundings {
  std::string node;   // this one
  uint64_t life = 0;  // of this process
  Settings settings;
  const plugin::OwnerElection* election = nullptr;
  bool alone = false;            // the configuration has no other node
  std::set<std::string> others;  // that it names
  std::set<net::MacAddress> own_macs;
};

// An address that a policy lets this node announce here.
struct Wanted {
  std::string service;
  bool any_node = false;        // the configuration lists no nodes
  std::set<std::string> nodes;  // that may announce it
  bool carried = false;         // this node's datapath is ready for it
  friend bool operator==(const Wanted&, const Wanted&) = default;
};

// Somebody else who answers for an address.
struct Rival {
  net::MacAddress mac;
  std::string node;  // of a member; empty: a foreign host
  absl::Time seen;
  absl::Time defended = absl::InfinitePast();
};

struct Claim {
  enum class Phase {
    kNoLink,
    kNotReady,
    kKernel,
    kStandby,
    kGated,
    kWaiting,
    kProbing,
    kTaken,
    kOwner
  };
  // By service. While an address goes from one to another, both may want it for a moment.
  std::map<std::string, Wanted> wishes;
  Wanted wanted;  // the wish that counts: one that is carried, if there is any
  Phase phase = Phase::kNoLink;
  std::string owner;  // elected; empty: none
  std::optional<Rival> rival;
  int frames_left = 0;                      // probes, or gratuitous announcements
  absl::Time due = absl::InfiniteFuture();  // next step of the phase
  std::optional<Announcement> published;
};

class Lan {
 public:
  enum class Link { kOpening, kOpen, kFailed };

  Lan(std::string name, const Interface& interface, const Surroundings* around);

  // ---- the interface ----
  void Open(absl::Time now, Effects& out);
  void Opened(absl::Time now, Effects& out);
  void Failed(const LinkFailed& failure, absl::Time now, Effects& out);
  void Close(absl::Time now, Effects& out);
  // Its addresses may change without a new Lan; MAC and index may not.
  void SetAddresses(std::vector<net::IpAddress> addresses, absl::Time now, Effects& out);
  const Interface& interface() const { return interface_; }
  const std::string& name() const { return name_; }
  Link link() const { return link_; }
  const LinkFailed& failure() const { return failure_; }

  // ---- the addresses ----
  void Want(const net::IpAddress& address, const Wanted& wanted, absl::Time now, Effects& out);
  void Unwant(const net::IpAddress& address, const std::string& service, absl::Time now,
              Effects& out);
  const std::map<net::IpAddress, Claim>& claims() const { return claims_; }

  // ---- the others ----
  // To be called first whenever the engine gets control.
  void WakeUp(absl::Time now, Effects& out);
  void Receive(const Frame& frame, absl::Time now, Effects& out);
  void HeartbeatLost() { membership_.Lost(); }
  void SetFit(bool fit, absl::Time now) { membership_.SetFit(fit, now); }
  void KeepOnly(const std::map<std::string, Labels>& nodes, absl::Time now) {
    membership_.Expect(around_->others);
    membership_.KeepOnly(nodes, now);
  }
  // The settings or the election in Surroundings are others now.
  void SettingsChanged(absl::Time now, Effects& out);
  // Does whatever is due.
  void Advance(absl::Time now, Effects& out);
  absl::Time next_due() const;
  void SayGoodbye(absl::Time now, Effects& out);
  const Membership& membership() const { return membership_; }

  // Services whose claims changed since the last call.
  std::set<std::string> TakeChanged() { return std::exchange(changed_, {}); }

 private:
  using Entry = std::pair<const net::IpAddress, Claim>;

  Membership::Timing timing() const;
  void StartMembership(absl::Time now);
  void Choose(Entry& entry, absl::Time now, Effects& out);
  void Drop(std::map<net::IpAddress, Claim>::iterator it, absl::Time now, Effects& out);
  void NoteChange(const Claim& claim);
  void AssessAll(absl::Time now, Effects& out);
  void Assess(Entry& entry, absl::Time now, Effects& out);
  void Move(Entry& entry, Claim::Phase phase, std::string owner, absl::Time now, Effects& out);
  void Step(Entry& entry, absl::Time now, Effects& out);
  void Publish(Entry& entry, absl::Time now, Effects& out);
  std::string Elect(const net::IpAddress& address, const Wanted& wanted) const;
  void ClaimedBy(const net::IpAddress& address, const net::MacAddress& mac, absl::Time now,
                 Effects& out);
  absl::Duration Patience(const net::IpAddress& address, const Rival& rival) const;
  absl::Time DueOf(const Claim& claim) const;
  const Claim* Owned(const net::IpAddress& address) const;

  void On(const ArpFrame& frame, absl::Time now, Effects& out);
  void On(const NeighborSolicitation& frame, absl::Time now, Effects& out);
  void On(const NeighborAdvertisement& frame, absl::Time now, Effects& out);
  void On(const Heartbeat& frame, absl::Time now, Effects& out);
  void SendProbe(const net::IpAddress& address, Effects& out) const;
  void SendGratuitous(const net::IpAddress& address, Effects& out) const;
  void Send(Frame frame, Effects& out, std::optional<net::IpAddress> asked = std::nullopt) const;
  net::IpAddress SourceFor(const net::IpAddress& target) const;
  void Join(const net::IpAddress& address, Effects& out);

  std::string name_;
  Interface interface_;
  const Surroundings* around_;
  Link link_ = Link::kOpening;
  LinkFailed failure_;
  absl::Time retry_at_ = absl::InfiniteFuture();
  Membership membership_;
  uint64_t assessed_view_ = 0;
  std::map<net::IpAddress, Claim> claims_;
  absl::Time claims_due_ = absl::InfiniteFuture();  // not after the earliest
  std::map<net::IpAddress, int> groups_;            // joined, with the number of addresses
  std::set<std::string> changed_;
};

}  // namespace portolan::l2
