// Which frontends tell of their packets, and how many drops are told: marks in the maps
// "frontend_info" and "settings_map", set for as long as somebody watches.
//
// Belongs to the service's loop, the only one that writes those maps. The marks are no state to
// keep: a new life begins with none, whatever the one before was killed in.
#pragma once

#include <cstdint>
#include <set>

#include "services/datapath-loader/shell/objects.h"

namespace portolan::datapath {

struct TraceWish {
  std::set<uint32_t> frontends;  // ids
  uint32_t drop_sample = 0;      // 0: none
  friend bool operator==(const TraceWish&, const TraceWish&) = default;
};

class Tracing {
 public:
  // Takes every mark away. `objects` outlives this.
  explicit Tracing(const Objects& objects);

  void Want(TraceWish wish);
  // Puts the marks back where a batch has written over them.
  void Reassert() const;

 private:
  void Mark(uint32_t frontend, bool traced) const;
  void SampleDrops() const;

  const Objects& objects_;
  TraceWish wish_;
};

}  // namespace portolan::datapath
