// Map "neighbours" of this node's datapath, as it is pinned: opened, checked and mapped into this
// process. Places are given out and taken back; datapath_maps.h says in which order a place is
// written. One thread; nothing else writes the map.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "bpf/include/datapath_maps.h"

namespace portolan::l2 {

class NeighbourMap {
 public:
  // Frees all places. NOT_FOUND: nothing is pinned in `pin_directory`; FAILED_PRECONDITION: it is
  // of another version or another network namespace; PERMISSION_DENIED, UNAVAILABLE.
  static absl::StatusOr<std::unique_ptr<NeighbourMap>> Open(const std::string& pin_directory);
  ~NeighbourMap();
  NeighbourMap(const NeighbourMap&) = delete;
  NeighbourMap& operator=(const NeighbourMap&) = delete;

  // Is what is pinned still this map?
  bool IsPinned() const;
  // Are the datapath's programs on the interface, by its own map?
  bool IsAttached(uint32_t ifindex) const;

  // Null: no place is free where the key belongs.
  portolan_neighbour* Take(const portolan_neighbour& entry);
  static void Renew(portolan_neighbour* place, uint64_t until_ns);
  static void Free(portolan_neighbour* place);

 private:
  NeighbourMap() = default;

  std::string path_;
  uint64_t inode_ = 0;  // of the pin
  int interfaces_fd_ = -1;
  portolan_neighbours* buckets_ = nullptr;
};

}  // namespace portolan::l2
