// A LAN, simulated: Ethernet frames as octets, with loss, delay, one-way cuts and partitions.
//
// Frames of one sender arrive at one receiver in the order of sending. Every frame goes through
// the announcer's own codec, out and in.
//
// Single-threaded. Owned by the World; ports belong to the processes that attached them.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "integration/simulation/scheduler.h"
#include "services/base/net/mac_address.h"
#include "services/base/rng/rng.h"
#include "services/l2-announcer/core/frame.h"

namespace portolan::simulation {

class Segment {
 public:
  using Receive = std::function<void(const l2::Frame&)>;

  Segment(Scheduler* scheduler, Rng* rng) : scheduler_(scheduler), rng_(rng) {}

  // Replaces the port's former receiver.
  void Attach(const std::string& port, const net::MacAddress& mac, Receive receive);
  void Detach(const std::string& port) { ports_.erase(port); }
  void Send(const std::string& from, const l2::Frame& frame);

  // Faults. Every frame that a fault concerned counts as damage.
  void SetLoss(int percent) { loss_percent_ = percent; }
  void Cut(const std::string& from, const std::string& to) { cut_.insert({from, to}); }
  void Mend() {
    loss_percent_ = 0;
    cut_.clear();
  }
  bool faulty() const { return loss_percent_ > 0 || !cut_.empty(); }
  // No frame was lost since then.
  absl::Time whole_since() const { return whole_since_; }

 private:
  struct Port {
    net::MacAddress mac;
    Receive receive;
  };

  void Carry(const std::string& from, const std::string& to, const l2::Frame& frame);

  Scheduler* scheduler_;
  Rng* rng_;
  std::map<std::string, Port> ports_;
  int loss_percent_ = 0;
  std::set<std::pair<std::string, std::string>> cut_;
  std::map<std::pair<std::string, std::string>, absl::Time> last_arrival_;
  absl::Time whole_since_ = absl::InfinitePast();
};

}  // namespace portolan::simulation
