// The maps of the running datapath for another thread: descriptors of its own, so that they stay
// when the loop lets go of its Objects.
//
// A value to move to that thread; not thread-safe.
#pragma once

#include <map>
#include <string>

#include "services/datapath-loader/core/map_image.h"
#include "services/datapath-loader/shell/file_descriptor.h"
#include "services/datapath-loader/shell/objects.h"

namespace portolan::datapath {

class LiveMaps {
 public:
  explicit LiveMaps(const Objects& objects);
  LiveMaps(LiveMaps&&) = default;
  LiveMaps& operator=(LiveMaps&&) = default;

  int map(const std::string& name) const;  // -1: there is none
  const Limits& limits() const { return limits_; }
  const std::map<std::string, FileDescriptor>& all() const { return maps_; }

 private:
  Limits limits_;
  std::map<std::string, FileDescriptor> maps_;
};

}  // namespace portolan::datapath
