#include "services/datapath-loader/shell/objects.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "absl/strings/str_cat.h"
#include "bpf/include/datapath_maps.h"
#include "bpf/programs/object.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/file_descriptor.h"
#include "services/datapath-loader/shell/object_file.h"
#include "services/datapath-loader/shell/pins.h"

namespace portolan::datapath {
namespace {

constexpr Sizes kDefaults{.max_flows = 262144, .max_frontends = 16384, .max_backends = 65536};
constexpr char kCommitMark[] = "settings_map";
// What changed since then is in maps that were added, or whose content can be done without.
constexpr uint32_t kOldestLayout = 3;

// Tables of ordinary services take up to 400 slots per backend, most of them less; two of the
// largest fit in any case.
uint32_t TableChunks(const Sizes& sizes) {
  constexpr uint32_t kLargest = 65537 / PORTOLAN_CHUNK_SLOTS + 1;
  return sizes.max_backends * (256 / PORTOLAN_CHUNK_SLOTS) + 2 * kLargest;
}

MapSizes MapEntries(const Sizes& sizes) {
  return {{"flows4", 2 * sizes.max_flows},  // two directions
          {"flows6", 2 * sizes.max_flows},
          {"frontends", sizes.max_frontends},
          {"frontend_info", sizes.max_frontends + 1},  // ids begin at 1
          {"addresses", sizes.max_frontends},
          {"sources", 4 * sizes.max_frontends},
          {"affinity", std::max(sizes.max_flows / 4, 1024u)},
          {"counters", sizes.max_frontends + 1},
          {"backend_counters", sizes.max_backends + 1},
          {"backends", sizes.max_backends + 1},
          {"maglev", TableChunks(sizes)}};
}

absl::StatusOr<bpf_object*> Open(const bpf::Object& bytes, const MapSizes& entries_of) {
  ASSIGN_OR_RETURN(bpf_object * object, OpenObject(bytes));
  for (const auto& [name, entries] : entries_of) {
    bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
    if (map != nullptr) bpf_map__set_max_entries(map, entries);
  }
  return object;
}

std::string MapPath(const std::string& directory, const char* name) {
  return absl::StrCat(directory, "/maps/", name);
}

// Is a pinned link still attached to an interface?
bool IsLinkAlive(const std::string& path) {
  const FileDescriptor fd(bpf_obj_get(path.c_str()));
  bpf_link_info info{};
  __u32 size = sizeof(info);
  if (!fd.ok() || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) return false;
  return info.xdp.ifindex != 0;  // a tcx link keeps it at the same place
}

}  // namespace

Sizes OrDefaults(Sizes sizes) {
  if (sizes.max_flows == 0) sizes.max_flows = kDefaults.max_flows;
  if (sizes.max_frontends == 0) sizes.max_frontends = kDefaults.max_frontends;
  if (sizes.max_backends == 0) sizes.max_backends = kDefaults.max_backends;
  return sizes;
}

absl::StatusOr<std::unique_ptr<Objects>> Objects::Load(const std::string& directory,
                                                       const Sizes& configured, const Log& log) {
  const Sizes sizes = OrDefaults(configured);
  std::unique_ptr<Objects> objects(new Objects);
  objects->limits_ = {.frontends = sizes.max_frontends,
                      .backends = sizes.max_backends,
                      .table_slots = TableChunks(sizes) * PORTOLAN_CHUNK_SLOTS,
                      .chunk_slots = PORTOLAN_CHUNK_SLOTS};
  RETURN_IF_ERROR(objects->DiscardOrAccept(directory));
  const MapSizes entries = MapEntries(sizes);
  RETURN_IF_ERROR(objects->LoadTc(directory, bpf::LbTc(), entries));
  objects->xdp_error_ = objects->LoadXdp(directory, bpf::LbXdp(), entries);
  if (!objects->xdp_error_.ok()) {
    log.Warning("no XDP", {{"error", std::string(objects->xdp_error_.message())}});
  } else if (const absl::Status root = objects->LoadRoot(); !root.ok()) {
    log.Warning("no chain of XDP programs", {{"error", std::string(root.message())}});
  }
  if (!objects->adopted_) RETURN_IF_ERROR(objects->PinMaps(directory));
  RETURN_IF_ERROR(objects->migration_.Copy(objects->NewMaps()));
  return objects;
}

Objects::~Objects() {
  if (root_ != nullptr) bpf_object__close(root_);
  if (xdp_ != nullptr) bpf_object__close(xdp_);
  if (tc_ != nullptr) bpf_object__close(tc_);
}

// Makes `map` use what is pinned, if that is what it would be; else it is migrated.
absl::Status Objects::AdoptMap(bpf_map* map, const std::string& directory, bool must_be_there) {
  const char* const name = bpf_map__name(map);
  const std::string path = MapPath(directory, name);
  FileDescriptor fd(bpf_obj_get(path.c_str()));
  if (!fd.ok() && errno != ENOENT) return KernelError(absl::StrCat("cannot open ", path), errno);
  if (!fd.ok() && must_be_there && layout_ == PORTOLAN_LAYOUT_VERSION) {
    return absl::FailedPreconditionError(
        absl::StrCat("map ", name, " is not pinned at ", path, ", and the others are"));
  }
  bpf_map_info info{};
  __u32 size = sizeof(info);
  if (fd.ok() && bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) {
    return KernelError(absl::StrCat("cannot ask ", path), errno);
  }
  const MapShape there{info.type, info.key_size, info.value_size, info.max_entries, info.map_flags};
  const MapShape needed{static_cast<uint32_t>(bpf_map__type(map)), bpf_map__key_size(map),
                        bpf_map__value_size(map), bpf_map__max_entries(map),
                        bpf_map__map_flags(map)};
  if (!fd.ok() || there != needed) return migration_.Add(name, std::move(fd), there, needed);
  if (bpf_map__reuse_fd(map, fd.get()) != 0) {
    return KernelError(absl::StrCat("cannot use ", path), errno);
  }
  return absl::OkStatus();
}

absl::Status Objects::DiscardOrAccept(const std::string& directory) {
  const FileDescriptor mark(bpf_obj_get(MapPath(directory, kCommitMark).c_str()));
  if (!mark.ok() && errno != ENOENT) {
    return KernelError(absl::StrCat("cannot open ", MapPath(directory, kCommitMark)), errno);
  }
  portolan_settings settings{};
  const uint32_t zero = 0;
  if (mark.ok()) {
    bpf_map_info info{};
    __u32 size = sizeof(info);
    bpf_obj_get_info_by_fd(mark.get(), &info, &size);
    if (info.value_size != sizeof(settings) ||
        bpf_map_lookup_elem(mark.get(), &zero, &settings) != 0 ||
        settings.layout_version < kOldestLayout ||
        settings.layout_version > PORTOLAN_LAYOUT_VERSION) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the maps pinned at ", directory, " are of layout ", settings.layout_version,
          ", and this version can take over ", kOldestLayout, " to ", PORTOLAN_LAYOUT_VERSION));
    }
    layout_ = settings.layout_version;
    ASSIGN_OR_RETURN(const uint64_t cookie, NetworkNamespaceCookie());
    adopted_ = settings.netns_cookie == cookie;
    if (adopted_) return absl::OkStatus();
    for (const LinkPin& pin : ListLinkPins(directory)) {
      if (!IsLinkAlive(pin.path)) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("the maps pinned at ", directory, " serve another network namespace"));
    }
  }
  // A leftover: of a namespace that is gone, or from before anything was attached.
  RETURN_IF_ERROR(RemovePins(directory));
  return PreparePinDirectory(directory);
}

absl::Status Objects::LoadTc(const std::string& directory, const bpf::Object& bytes,
                             const MapSizes& entries) {
  ASSIGN_OR_RETURN(tc_, Open(bytes, entries));
  RETURN_IF_ERROR(SetConstants(tc_));
  if (adopted_) {
    bpf_map* map;
    bpf_object__for_each_map(map, tc_) {
      if (IsShared(map)) RETURN_IF_ERROR(AdoptMap(map, directory, true));
    }
  }
  RETURN_IF_ERROR(LoadObject(tc_, "lb_tc"));
  ASSIGN_OR_RETURN(tc_program_, ProgramOf(tc_, kTcProgram));
  return absl::OkStatus();
}

absl::Status Objects::LoadXdp(const std::string& directory, const bpf::Object& bytes,
                              const MapSizes& entries) {
  ASSIGN_OR_RETURN(xdp_, Open(bytes, entries));
  bpf_map* map;
  bpf_object__for_each_map(map, xdp_) {
    if (!IsShared(map)) continue;
    const int shared = bpf_object__find_map_fd_by_name(tc_, bpf_map__name(map));
    if (shared >= 0) {
      bpf_map__reuse_fd(map, shared);
    } else if (adopted_) {
      RETURN_IF_ERROR(AdoptMap(map, directory, false));
    }
  }
  RETURN_IF_ERROR(LoadObject(xdp_, "lb_xdp"));
  ASSIGN_OR_RETURN(xdp_program_, ProgramOf(xdp_, kXdpProgram));
  return absl::OkStatus();
}

absl::Status Objects::LoadRoot() {
  ASSIGN_OR_RETURN(root_, OpenObject(bpf::XdpRoot()));
  bpf_map* map;
  bpf_object__for_each_map(map, root_) {
    if (IsShared(map)) bpf_map__reuse_fd(map, this->map(bpf_map__name(map)));
  }
  RETURN_IF_ERROR(LoadObject(root_, "xdp_root"));
  ASSIGN_OR_RETURN(root_program_, ProgramOf(root_, kRootProgram));
  return absl::OkStatus();
}

MapMigration::MapOf Objects::NewMaps() const {
  return [this](const std::string& name) { return map(name.c_str()); };
}

absl::Status Objects::PinMigrated(const std::string& directory) {
  return migration_.Pin(directory, NewMaps());
}

absl::Status Objects::FinishMigration() {
  if (!adopted_) return absl::OkStatus();
  RETURN_IF_ERROR(migration_.CopyLate(NewMaps()));
  migration_ = MapMigration();
  if (layout_ == PORTOLAN_LAYOUT_VERSION) return absl::OkStatus();
  portolan_settings settings{};
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(map(kCommitMark), &zero, &settings) != 0) {
    return KernelError("map settings_map", errno);
  }
  settings.layout_version = PORTOLAN_LAYOUT_VERSION;
  if (bpf_map_update_elem(map(kCommitMark), &zero, &settings, BPF_ANY) != 0) {
    return KernelError("map settings_map", errno);
  }
  layout_ = PORTOLAN_LAYOUT_VERSION;
  return absl::OkStatus();
}

absl::Status Objects::PinMaps(const std::string& directory) {
  portolan_settings settings{};
  settings.layout_version = PORTOLAN_LAYOUT_VERSION;
  ASSIGN_OR_RETURN(settings.netns_cookie, NetworkNamespaceCookie());
  const uint32_t zero = 0;
  if (bpf_map_update_elem(map(kCommitMark), &zero, &settings, BPF_ANY) != 0) {
    return KernelError("map settings_map", errno);
  }
  const auto pin = [&](const std::string& name) {
    const std::string path = MapPath(directory, name.c_str());
    if (bpf_obj_pin(map(name.c_str()), path.c_str()) == 0) return absl::OkStatus();
    return KernelError(absl::StrCat("cannot pin ", path), errno);
  };
  for (const std::string& name : map_names()) {
    if (name != kCommitMark) RETURN_IF_ERROR(pin(name));
  }
  return pin(kCommitMark);
}

absl::StatusOr<std::unique_ptr<Objects>> Objects::LoadPrivate(const bpf::Object& tc,
                                                              const bpf::Object& xdp,
                                                              const MapSizes& entries) {
  std::unique_ptr<Objects> objects(new Objects);
  RETURN_IF_ERROR(objects->LoadTc("", tc, entries));
  objects->xdp_error_ = objects->LoadXdp("", xdp, entries);
  const auto size_of = [&](const char* name) {
    return bpf_map__max_entries(bpf_object__find_map_by_name(objects->tc_, name));
  };
  objects->limits_ = {.frontends = size_of("frontends"),
                      .backends = size_of("backends") - 1,
                      .table_slots = size_of("maglev") * PORTOLAN_CHUNK_SLOTS,
                      .chunk_slots = PORTOLAN_CHUNK_SLOTS};
  return objects;
}

void Objects::Use(std::shared_ptr<Programs> programs) {
  tc_program_ = programs->tc_program();
  xdp_program_ = programs->xdp_program();
  xdp_error_ = absl::OkStatus();
  programs_ = std::move(programs);
}

std::vector<std::string> Objects::map_names() const {
  std::vector<std::string> names;
  bpf_map* map;
  bpf_object__for_each_map(map, tc_) {
    if (IsShared(map)) names.emplace_back(bpf_map__name(map));
  }
  if (xdp_program_ < 0) return names;
  bpf_object__for_each_map(map, xdp_) {
    if (!IsShared(map) || bpf_object__find_map_by_name(tc_, bpf_map__name(map)) != nullptr)
      continue;
    names.emplace_back(bpf_map__name(map));
  }
  return names;
}

int Objects::map(const char* name) const {
  const int fd = bpf_object__find_map_fd_by_name(tc_, name);
  return fd >= 0 || xdp_ == nullptr ? fd : bpf_object__find_map_fd_by_name(xdp_, name);
}

}  // namespace portolan::datapath
