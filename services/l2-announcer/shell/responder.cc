#include "services/l2-announcer/shell/responder.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "services/l2-announcer/shell/neighbour_map.h"

namespace portolan::l2 {
namespace {

// The programs' clock is late by a tick, up to 10 ms; whoever asks when a promise has just ended
// (another node does, before it takes an address) must find silence.
constexpr absl::Duration kLateClock = absl::Milliseconds(20);

portolan_neighbour ToKernel(const net::IpAddress& address, uint32_t ifindex, uint16_t vlan,
                            const net::MacAddress& mac) {
  portolan_neighbour entry{};
  const std::string bytes = address.ToBytes();
  std::memcpy(entry.key.address, bytes.data(), bytes.size());
  entry.key.ifindex = ifindex;
  entry.key.vlan = vlan;
  entry.key.family = address.is_ipv4() ? PORTOLAN_FAMILY_IPV4 : PORTOLAN_FAMILY_IPV6;
  std::copy(mac.octets.begin(), mac.octets.end(), entry.mac);
  return entry;
}

}  // namespace

Responder::Responder(std::string pin_directory, const Clock* clock)
    : directory_(std::move(pin_directory)), clock_(clock) {
  Open();
}

Responder::~Responder() { Close(); }

// ---- the map ----

void Responder::Open() {
  absl::StatusOr<std::unique_ptr<NeighbourMap>> map = NeighbourMap::Open(directory_);
  error_.clear();
  if (map.ok()) {
    map_ = *std::move(map);
  } else if (map.status().code() != absl::StatusCode::kNotFound) {
    error_ = std::string(map.status().message());
  }
}

void Responder::Close() {
  for (auto& [interface, link] : links_) {
    for (auto& [address, entry] : link.owned) Free(entry);
  }
  map_.reset();
}

void Responder::Free(Entry& entry) {
  for (portolan_neighbour*& place : entry.places) {
    if (place != nullptr) NeighbourMap::Free(std::exchange(place, nullptr));
  }
}

// The programs compare with CLOCK_MONOTONIC, which stands still while the machine sleeps; read
// first, so that the entry ends too early rather than too late.
uint64_t Responder::InKernelTime(absl::Time until) const {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const absl::Duration left = std::max(until - clock_->Now(), absl::ZeroDuration());
  return static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::DurationFromTimespec(now) + left));
}

bool Responder::IsUsable(const Link& link, const Door& door) const {
  return map_ != nullptr && attached(door.interface) && door.attached && clock_->Now() < link.until;
}

void Responder::Write(Link& link) {
  for (Door& door : link.doors) {
    door.attached = map_ != nullptr && map_->IsAttached(door.ifindex);
  }
  link.until_ns = InKernelTime(link.until);
  for (auto& [address, entry] : link.owned) Write(address, link, entry);
}

void Responder::Write(const net::IpAddress& address, const Link& link, Entry& entry) {
  for (size_t i = 0; i < link.doors.size(); ++i) {
    const Door& door = link.doors[i];
    portolan_neighbour*& place = entry.places[i];
    if (!IsUsable(link, door)) {
      if (place != nullptr) NeighbourMap::Free(std::exchange(place, nullptr));
    } else if (place != nullptr) {
      NeighbourMap::Renew(place, link.until_ns);
    } else {
      portolan_neighbour wanted = ToKernel(address, door.ifindex, door.vlan, entry.mac);
      wanted.until_ns = link.until_ns;
      place = map_->Take(wanted);
    }
  }
}

// ---- what is known ----

void Responder::SetAttached(const std::string& interface, bool attached) {
  attached_[interface] = attached;
  if (map_ == nullptr) Open();
  for (const std::string& link : LinksAt(interface)) Write(links_.at(link));
}

bool Responder::attached(const std::string& interface) const {
  const auto it = attached_.find(interface);
  return it != attached_.end() && it->second;
}

std::vector<std::string> Responder::LinksAt(const std::string& interface) const {
  std::vector<std::string> names;
  for (const auto& [name, link] : links_) {
    if (std::any_of(link.doors.begin(), link.doors.end(),
                    [&](const Door& door) { return door.interface == interface; })) {
      names.push_back(name);
    }
  }
  return names;
}

void Responder::AddLink(const std::string& interface, uint32_t ifindex,
                        const std::optional<Vlan>& vlan) {
  RemoveLink(interface);
  std::vector<Door>& doors = links_[interface].doors;
  doors.push_back({.interface = interface, .ifindex = ifindex});
  if (vlan.has_value()) {
    doors.push_back({.interface = vlan->below, .ifindex = vlan->below_ifindex, .vlan = vlan->id});
  }
}

void Responder::RemoveLink(const std::string& interface) {
  const auto link = links_.find(interface);
  if (link == links_.end()) return;
  for (auto& [address, entry] : link->second.owned) Free(entry);
  links_.erase(link);
}

void Responder::Renew(const std::string& interface, absl::Time until) {
  const auto link = links_.find(interface);
  if (link == links_.end()) return;
  link->second.until = until - kLateClock;
  if (map_ != nullptr && !map_->IsPinned()) Close();
  if (map_ == nullptr && attached(interface)) Open();
  Write(link->second);
}

void Responder::Own(const std::string& interface, const net::IpAddress& address,
                    const net::MacAddress& mac) {
  const auto link = links_.find(interface);
  if (link == links_.end()) return;
  Disown(interface, address);
  Entry& entry = link->second.owned[address];
  entry.mac = mac;
  entry.places.resize(link->second.doors.size());
  Write(address, link->second, entry);
}

void Responder::Disown(const std::string& interface, const net::IpAddress& address) {
  const auto link = links_.find(interface);
  if (link == links_.end()) return;
  const auto entry = link->second.owned.find(address);
  if (entry == link->second.owned.end()) return;
  Free(entry->second);
  link->second.owned.erase(entry);
}

bool Responder::Answers(const Link& link, const Entry& entry) const {
  for (size_t i = 0; i < link.doors.size(); ++i) {
    if (entry.places[i] != nullptr && IsUsable(link, link.doors[i])) return true;
  }
  return false;
}

bool Responder::Answers(const std::string& interface, const net::IpAddress& address) const {
  const auto link = links_.find(interface);
  if (link == links_.end()) return false;
  const auto entry = link->second.owned.find(address);
  return entry != link->second.owned.end() && Answers(link->second, entry->second);
}

int Responder::answered() const {
  int count = 0;
  for (const auto& [interface, link] : links_) {
    count += static_cast<int>(
        std::count_if(link.owned.begin(), link.owned.end(),
                      [&](const auto& owned) { return Answers(link, owned.second); }));
  }
  return count;
}

}  // namespace portolan::l2
