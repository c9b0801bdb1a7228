#include "services/datapath-loader/shell/live_maps.h"

#include <fcntl.h>

namespace portolan::datapath {

LiveMaps::LiveMaps(const Objects& objects) : limits_(objects.limits()) {
  for (const std::string& name : objects.map_names()) {
    maps_.emplace(name, FileDescriptor(fcntl(objects.map(name.c_str()), F_DUPFD_CLOEXEC, 0)));
  }
}

int LiveMaps::map(const std::string& name) const {
  const auto it = maps_.find(name);
  return it == maps_.end() ? -1 : it->second.get();
}

}  // namespace portolan::datapath
