// The map "interfaces": what the programs know of the interfaces that they stand on, see
// bpf/include/datapath_maps.h. Borrows the map's descriptor. Single-threaded.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "absl/status/status.h"
#include "services/base/net/mac_address.h"

namespace portolan::datapath {

struct InterfaceEntry {
  net::MacAddress mac;
  uint16_t flags = 0;  // PORTOLAN_INTERFACE_*
  friend bool operator==(const InterfaceEntry&, const InterfaceEntry&) = default;
};

class InterfaceMap {
 public:
  explicit InterfaceMap(int fd) : fd_(fd) {}

  // ALREADY_EXISTS: the slot is another interface's, whose index is in the message. UNAVAILABLE:
  // the kernel refused.
  absl::Status Put(uint32_t ifindex, const InterfaceEntry& entry);
  void Remove(uint32_t ifindex);
  // Takes away what an earlier life has left of interfaces that are not among `ours`.
  void RemoveOthers(const std::set<uint32_t>& ours);

 private:
  const int fd_;
  std::map<uint32_t, InterfaceEntry> entries_;  // as written, by ifindex
};

}  // namespace portolan::datapath
