#include "services/datapath-loader/shell/tracing.h"

#include <bpf/bpf.h>

#include <utility>

#include "bpf/include/datapath_maps.h"
#include "services/datapath-loader/shell/map_scan.h"

namespace portolan::datapath {

Tracing::Tracing(const Objects& objects) : objects_(objects) {
  MapScan<uint32_t, portolan_frontend_info> scan(objects_.map("frontend_info"));
  while (scan.Next().value_or(false)) {
    for (size_t i = 0; i < scan.size(); i++) {
      if (scan.value(i).flags & PORTOLAN_FRONTEND_TRACE) Mark(scan.key(i), false);
    }
  }
  SampleDrops();
}

void Tracing::Want(TraceWish wish) {
  for (const uint32_t frontend : wish_.frontends) {
    if (!wish.frontends.contains(frontend)) Mark(frontend, false);
  }
  wish_ = std::move(wish);
  Reassert();
}

void Tracing::Reassert() const {
  for (const uint32_t frontend : wish_.frontends) Mark(frontend, true);
  SampleDrops();
}

void Tracing::Mark(uint32_t frontend, bool traced) const {
  portolan_frontend_info info{};
  const int fd = objects_.map("frontend_info");
  if (bpf_map_lookup_elem(fd, &frontend, &info) != 0) return;
  const bool is_traced = info.flags & PORTOLAN_FRONTEND_TRACE;
  // The mark of a frontend that is gone would be its successor's.
  const bool marks = traced && (info.flags & PORTOLAN_FRONTEND_ALIVE);
  if (is_traced == marks) return;
  info.flags ^= PORTOLAN_FRONTEND_TRACE;
  bpf_map_update_elem(fd, &frontend, &info, BPF_ANY);
}

void Tracing::SampleDrops() const {
  const uint32_t zero = 0;
  portolan_settings settings{};
  const int fd = objects_.map("settings_map");
  if (bpf_map_lookup_elem(fd, &zero, &settings) != 0) return;
  if (settings.drop_sample == wish_.drop_sample) return;
  settings.drop_sample = wish_.drop_sample;
  bpf_map_update_elem(fd, &zero, &settings, BPF_ANY);
}

}  // namespace portolan::datapath
