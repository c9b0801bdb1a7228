#include "services/datapath-loader/shell/programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/live_maps.h"
#include "services/datapath-loader/shell/object_file.h"

namespace portolan::datapath {
namespace {

// Sizes in entries may differ: those that are there count.
absl::Status UseMaps(bpf_object* object, const LiveMaps& maps) {
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (!IsShared(map)) continue;
    const std::string name = bpf_map__name(map);
    const int fd = maps.map(name);
    bpf_map_info info{};
    __u32 size = sizeof(info);
    if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) != 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          "object ", bpf_object__name(object), " wants a map ", name,
          ", which this datapath does not have; it is of another layout: give the maps up with all "
          "flows (datapath-loader --detach) and start the version that it belongs to"));
    }
    const auto type = static_cast<uint32_t>(bpf_map__type(map));
    if (info.type != type || info.key_size != bpf_map__key_size(map) ||
        info.value_size != bpf_map__value_size(map)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "map ", name, " of object ", bpf_object__name(object), " has type ", type, ", key ",
          bpf_map__key_size(map), ", value ", bpf_map__value_size(map),
          " bytes, and the one that is there type ", info.type, ", ", info.key_size, ", ",
          info.value_size,
          "; it is of another layout: give the maps up with all flows (datapath-loader --detach) "
          "and start the version that it belongs to"));
    }
    if (bpf_map__reuse_fd(map, fd) != 0) {
      return KernelError(absl::StrCat("cannot use map ", name), errno);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Programs>> Programs::Load(const bpf::Object& tc,
                                                         const bpf::Object& xdp,
                                                         const LiveMaps& maps) {
  std::unique_ptr<Programs> programs(new Programs);
  ASSIGN_OR_RETURN(programs->tc_, OpenObject(tc));
  RETURN_IF_ERROR(ProgramOf(programs->tc_, kTcProgram).status());
  RETURN_IF_ERROR(SetConstants(programs->tc_));
  RETURN_IF_ERROR(UseMaps(programs->tc_, maps));
  RETURN_IF_ERROR(LoadObject(programs->tc_, tc.name));
  ASSIGN_OR_RETURN(programs->tc_program_, ProgramOf(programs->tc_, kTcProgram));
  ASSIGN_OR_RETURN(programs->xdp_, OpenObject(xdp));
  RETURN_IF_ERROR(ProgramOf(programs->xdp_, kXdpProgram).status());
  RETURN_IF_ERROR(UseMaps(programs->xdp_, maps));
  RETURN_IF_ERROR(LoadObject(programs->xdp_, xdp.name));
  ASSIGN_OR_RETURN(programs->xdp_program_, ProgramOf(programs->xdp_, kXdpProgram));
  return programs;
}

Programs::~Programs() {
  if (xdp_ != nullptr) bpf_object__close(xdp_);
  if (tc_ != nullptr) bpf_object__close(tc_);
}

}  // namespace portolan::datapath
