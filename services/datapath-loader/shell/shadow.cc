#include "services/datapath-loader/shell/shadow.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "bpf/programs/object.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/map_scan.h"

namespace portolan::datapath {
namespace {

constexpr uint32_t kFewEntries = 1024;  // of maps that one packet fills
constexpr uint32_t kRingBytes = 65536;
constexpr size_t kMostBytes = 1 << 20;  // that are copied at a time

bool IsFilledByPackets(const bpf_map_info& info) {
  return info.type == BPF_MAP_TYPE_LRU_HASH || info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
         info.type == BPF_MAP_TYPE_PERCPU_ARRAY || info.type == BPF_MAP_TYPE_RINGBUF;
}

absl::StatusOr<bpf_map_info> InfoOf(int fd, const std::string& name) {
  bpf_map_info info{};
  __u32 size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0) return info;
  return absl::UnavailableError(absl::StrCat("map ", name, ": ", strerror(errno)));
}

// Chunks of the Maglev row that a frontend names; the rest of it need not be there.
absl::StatusOr<uint32_t> UsedChunks(const LiveMaps& live) {
  uint64_t slots = 0;
  MapScan<portolan_frontend_key, portolan_frontend> scan(live.map("frontends"));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, scan.Next());
    if (!more) break;
    for (size_t i = 0; i < scan.size(); i++) {
      const portolan_frontend& frontend = scan.value(i);
      slots = std::max<uint64_t>(slots, uint64_t{frontend.table_offset} + frontend.table_size);
      slots =
          std::max<uint64_t>(slots, uint64_t{frontend.internal_offset} + frontend.internal_size);
    }
  }
  return static_cast<uint32_t>(slots / PORTOLAN_CHUNK_SLOTS + 1);
}

absl::StatusOr<MapSizes> SizesLike(const LiveMaps& live) {
  MapSizes sizes;
  for (const auto& [name, fd] : live.all()) {
    ASSIGN_OR_RETURN(const bpf_map_info info, InfoOf(fd.get(), name));
    sizes[name] = info.max_entries;
    if (info.type == BPF_MAP_TYPE_LRU_HASH) sizes[name] = std::min(info.max_entries, kFewEntries);
    if (info.type == BPF_MAP_TYPE_RINGBUF) sizes[name] = kRingBytes;
  }
  ASSIGN_OR_RETURN(const uint32_t chunks, UsedChunks(live));
  sizes["maglev"] = std::min(sizes["maglev"], chunks);
  return sizes;
}

// Up to `entries` of them, in the order of the map.
absl::Status CopyMap(int from, int to, const bpf_map_info& info, uint32_t entries) {
  const uint32_t most = std::clamp<size_t>(kMostBytes / info.value_size, 1, 4096);
  std::array<unsigned char, 64> position{}, next{};
  std::vector<unsigned char> keys(size_t{most} * info.key_size);
  std::vector<unsigned char> values(size_t{most} * info.value_size);
  bool ended = false;
  for (uint32_t copied = 0; !ended && copied < entries;) {
    uint32_t count = std::min(most, entries - copied);
    const int error =
        bpf_map_lookup_batch(from, copied == 0 ? nullptr : position.data(), next.data(),
                             keys.data(), values.data(), &count, nullptr);
    if (error != 0 && errno != ENOENT) {
      return absl::UnavailableError(absl::StrCat("cannot read it: ", strerror(errno)));
    }
    ended = error != 0;
    position = next;
    copied += count;
    if (count == 0) break;
    if (bpf_map_update_batch(to, keys.data(), values.data(), &count, nullptr) != 0) {
      return absl::UnavailableError(absl::StrCat("cannot copy it: ", strerror(errno)));
    }
  }
  return absl::OkStatus();
}

int KeepEvent(void* events, void* data, size_t size) {
  if (size >= sizeof(portolan_event)) {
    static_cast<std::vector<portolan_event>*>(events)->push_back(
        *static_cast<const portolan_event*>(data));
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Shadow>> Shadow::Of(const LiveMaps& live) {
  std::unique_ptr<Shadow> shadow(new Shadow(live));
  ASSIGN_OR_RETURN(const MapSizes sizes, SizesLike(live));
  ASSIGN_OR_RETURN(shadow->objects_, Objects::LoadPrivate(bpf::LbTc(), bpf::LbXdp(), sizes));
  RETURN_IF_ERROR(shadow->CopyMaps());
  RETURN_IF_ERROR(shadow->ListenToAll());
  return shadow;
}

absl::Status Shadow::CopyMaps() {
  for (const auto& [name, fd] : live_.all()) {
    const int own = objects_->map(name.c_str());
    ASSIGN_OR_RETURN(const bpf_map_info info, InfoOf(own, name));
    if (IsFilledByPackets(info)) continue;
    const absl::Status status = CopyMap(fd.get(), own, info, info.max_entries);
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("map ", name, ": ", std::string(status.message())));
    }
  }
  return absl::OkStatus();
}

absl::Status Shadow::ListenToAll() {
  const uint32_t zero = 0;
  portolan_settings settings{};
  bpf_map_lookup_elem(objects_->map("settings_map"), &zero, &settings);
  settings.drop_sample = 1;
  bpf_map_update_elem(objects_->map("settings_map"), &zero, &settings, BPF_ANY);
  const int fd = objects_->map("frontend_info");
  MapScan<uint32_t, portolan_frontend_info> scan(fd);
  while (true) {
    ASSIGN_OR_RETURN(const bool more, scan.Next());
    if (!more) return absl::OkStatus();
    for (size_t i = 0; i < scan.size(); i++) {
      portolan_frontend_info info = scan.value(i);
      if (!(info.flags & PORTOLAN_FRONTEND_ALIVE)) continue;
      info.flags |= PORTOLAN_FRONTEND_TRACE;
      const uint32_t id = scan.key(i);
      bpf_map_update_elem(fd, &id, &info, BPF_ANY);
    }
  }
}

bool Shadow::CopyEntry(const char* map, const void* key) {
  std::array<unsigned char, 256> value{};
  return bpf_map_lookup_elem(live_.map(map), key, value.data()) == 0 &&
         bpf_map_update_elem(objects_->map(map), key, value.data(), BPF_ANY) == 0;
}

void Shadow::Empty(const char* map) {
  std::array<unsigned char, 64> key{};
  while (bpf_map_get_next_key(objects_->map(map), nullptr, key.data()) == 0) {
    bpf_map_delete_elem(objects_->map(map), key.data());
  }
}

std::vector<portolan_event> Shadow::TakeEvents() {
  std::vector<portolan_event> events;
  ring_buffer* ring = ring_buffer__new(objects_->map("events"), KeepEvent, &events, nullptr);
  if (ring == nullptr) return events;
  ring_buffer__consume(ring);
  ring_buffer__free(ring);
  return events;
}

}  // namespace portolan::datapath
