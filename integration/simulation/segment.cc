#include "integration/simulation/segment.h"

#include <algorithm>
#include <cstdlib>
#include <variant>
#include <vector>

namespace portolan::simulation {

void Segment::Attach(const std::string& port, const net::MacAddress& mac, Receive receive) {
  ports_[port] = {mac, std::move(receive)};
}

void Segment::Send(const std::string& from, const l2::Frame& frame) {
  const std::vector<uint8_t> octets = l2::Encode(frame);
  absl::StatusOr<l2::Frame> arrived = l2::Decode(octets);
  if (!arrived.ok() || *arrived != frame) std::abort();  // the codec is wrong
  const net::MacAddress destination =
      std::visit([](const auto& value) { return value.destination; }, *arrived);
  for (const auto& [name, port] : ports_) {
    if (name == from) continue;
    if (destination.IsMulticast() || destination == port.mac) Carry(from, name, *arrived);
  }
}

void Segment::Carry(const std::string& from, const std::string& to, const l2::Frame& frame) {
  const bool lost = static_cast<int>(rng_->Below(100)) < loss_percent_;
  if (lost || cut_.contains({from, to})) {
    whole_since_ = scheduler_->now();
    return;
  }
  absl::Time& last = last_arrival_[{from, to}];
  last = std::max(last, scheduler_->now() + absl::Microseconds(50 + rng_->Below(2000)));
  scheduler_->After(last - scheduler_->now(), [this, to, frame] {
    auto port = ports_.find(to);
    if (port != ports_.end()) port->second.receive(frame);
  });
}

}  // namespace portolan::simulation
