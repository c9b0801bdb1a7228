// Pinned maps that are not what this version or configuration needs: their content goes into maps
// that are, and these take their place.
//
// In order: Add() for each, Copy() when the new ones are there, Pin() when the programs have passed
// their test, and CopyLate() when every interface has them: until then the old programs go on with
// the old maps. A process that dies in between leaves each map as one of the two, whole; the next
// one does the rest. What flows began between Copy() and that death are forgotten then.
//
// Belongs to Objects; one thread. Blocks for as long as the copy takes (a million flows: seconds).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/datapath-loader/shell/file_descriptor.h"

namespace portolan::datapath {

// Of a map: what decides whether another one can stand for it.
struct MapShape {
  uint32_t type = 0;
  uint32_t key = 0;    // bytes
  uint32_t value = 0;  // bytes
  uint32_t entries = 0;
  uint32_t flags = 0;  // of its creation
  std::string ToString() const;
  friend bool operator==(const MapShape&, const MapShape&) = default;
};

class MapMigration {
 public:
  // Descriptor of a new map.
  using MapOf = std::function<int(const std::string& name)>;

  // `old` not ok(): there is none, it is new in this version. FAILED_PRECONDITION: the content of
  // the old one does not fit the new one by its kind; both are named.
  absl::Status Add(const std::string& name, FileDescriptor old, const MapShape& there,
                   const MapShape& needed);
  bool empty() const { return maps_.empty(); }
  std::vector<std::string> names() const;

  // FAILED_PRECONDITION: a new map is too small for what is there.
  absl::Status Copy(const MapOf& map_of) const;
  absl::Status Pin(const std::string& directory, const MapOf& map_of) const;
  // What the old programs have added to the tables that they write since Copy().
  absl::Status CopyLate(const MapOf& map_of) const;

 private:
  struct Old {
    FileDescriptor fd;  // not ok: there is nothing to copy
    MapShape shape;
  };
  std::map<std::string, Old> maps_;
};

}  // namespace portolan::datapath
