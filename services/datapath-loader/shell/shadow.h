// The datapath once more, beside the running one: the same programs over maps of their own, filled
// from the live ones. What happens here touches nothing that carries packets.
//
// Copied are all maps but those that packets themselves fill (flows, affinity, fragments,
// counters): of them an entry at a time, as asked for. Every frontend is traced and every drop is
// told, so that the ring says what was decided. Loads two programs (some 0.3 s) and needs as much
// memory as the copied maps. Belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/include/datapath_maps.h"
#include "services/datapath-loader/shell/live_maps.h"
#include "services/datapath-loader/shell/objects.h"

namespace portolan::datapath {

class Shadow {
 public:
  // `live` outlives this.
  static absl::StatusOr<std::unique_ptr<Shadow>> Of(const LiveMaps& live);

  const Objects& objects() const { return *objects_; }
  // True when the live map has the entry; it is then here, too.
  bool CopyEntry(const char* map, const void* key);
  // Removes what packets have left in a map of the shadow.
  void Empty(const char* map);
  // What was told since the last call.
  std::vector<portolan_event> TakeEvents();

 private:
  explicit Shadow(const LiveMaps& live) : live_(live) {}
  absl::Status CopyMaps();
  absl::Status ListenToAll();

  const LiveMaps& live_;
  std::unique_ptr<Objects> objects_;
};

}  // namespace portolan::datapath
