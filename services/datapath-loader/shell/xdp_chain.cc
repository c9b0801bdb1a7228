#include "services/datapath-loader/shell/xdp_chain.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/file_descriptor.h"
#include "services/datapath-loader/shell/object_file.h"

namespace portolan::datapath {
namespace {

bool IsBefore(uint32_t slot) { return slot < PORTOLAN_CHAIN_OURS; }

// Of what can be pinned, what is a program is told by its descriptor's name alone.
bool IsProgram(int fd) {
  char target[64] = {};
  return readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), target, sizeof(target) - 1) > 0 &&
         strcmp(target, "anon_inode:bpf-prog") == 0;
}

}  // namespace

uint32_t XdpChain::ProgramIn(uint32_t slot) const {
  uint32_t id = 0;
  return possible() && bpf_map_lookup_elem(map_, &slot, &id) == 0 ? id : 0;
}

bool XdpChain::NeedsRoot() const {
  for (uint32_t slot = PORTOLAN_CHAIN_BEFORE; slot < PORTOLAN_CHAIN_OURS; slot++) {
    if (ProgramIn(slot) != 0) return true;
  }
  return false;
}

absl::Status XdpChain::SetOurs(int program) const {
  if (!possible()) return absl::OkStatus();
  const uint32_t slot = PORTOLAN_CHAIN_OURS;
  if (bpf_map_update_elem(map_, &slot, &program, BPF_ANY) == 0) return absl::OkStatus();
  return KernelError("map xdp_chain", errno);
}

absl::Status XdpChain::CheckSlot(uint32_t slot) const {
  if (!possible()) {
    return absl::FailedPreconditionError(
        "there is no chain: this kernel has refused XDP or its root program, see the log");
  }
  if (slot < PORTOLAN_CHAIN_SLOTS && slot != PORTOLAN_CHAIN_OURS) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("slot: ", slot, slot == PORTOLAN_CHAIN_OURS ? " is ours" : " does not exist",
                   "; 0 to ", PORTOLAN_CHAIN_OURS - 1, " are before ours, ", PORTOLAN_CHAIN_AFTER,
                   " to ", PORTOLAN_CHAIN_SLOTS - 1, " behind"));
}

bool XdpChain::UsesChain(int program) const {
  bpf_map_info chain{};
  __u32 size = sizeof(chain);
  if (bpf_obj_get_info_by_fd(map_, &chain, &size) != 0) return false;
  std::vector<uint32_t> maps(64);
  bpf_prog_info info{};
  info.nr_map_ids = maps.size();
  info.map_ids = reinterpret_cast<uintptr_t>(maps.data());
  size = sizeof(info);
  if (bpf_obj_get_info_by_fd(program, &info, &size) != 0) return false;
  maps.resize(std::min<size_t>(info.nr_map_ids, maps.size()));
  return std::find(maps.begin(), maps.end(), chain.id) != maps.end();
}

absl::Status XdpChain::Fill(uint32_t slot, const std::string& path) {
  RETURN_IF_ERROR(CheckSlot(slot));
  const FileDescriptor program(bpf_obj_get(path.c_str()));
  if (!program.ok()) {
    return absl::NotFoundError(absl::StrCat("program: nothing is pinned at ", path, " (",
                                            strerror(errno), "); bpftool prog load OBJECT ", path,
                                            " type xdp"));
  }
  bpf_prog_info info{};
  __u32 size = sizeof(info);
  if (!IsProgram(program.get()) || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0 ||
      info.type != BPF_PROG_TYPE_XDP) {
    return absl::FailedPreconditionError(
        absl::StrCat("program: what is pinned at ", path, " is no XDP program"));
  }
  if (IsBefore(slot) && !UsesChain(program.get())) {
    return absl::FailedPreconditionError(
        absl::StrCat("program: ", info.name,
                     " does not go on to the slots behind it, so nothing "
                     "would be balanced: load it with the pinned map xdp_chain (bpftool prog load "
                     "OBJECT ",
                     path,
                     " type xdp map name xdp_chain pinned DIRECTORY/maps/xdp_chain), "
                     "or put it behind ours"));
  }
  const int fd = program.get();
  if (bpf_map_update_elem(map_, &slot, &fd, BPF_ANY) == 0) {
    names_[info.id] = info.name;
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "program: the kernel does not take ", info.name, " beside ours (", strerror(errno),
      "); load it as libbpf's SEC(\"xdp\"), without frags and for no device"));
}

absl::Status XdpChain::Clear(uint32_t slot) {
  RETURN_IF_ERROR(CheckSlot(slot));
  if (bpf_map_delete_elem(map_, &slot) == 0 || errno == ENOENT) return absl::OkStatus();
  return KernelError("map xdp_chain", errno);
}

std::vector<ChainSlot> XdpChain::Slots() const {
  std::vector<ChainSlot> slots;
  for (uint32_t slot = 0; slot < PORTOLAN_CHAIN_SLOTS; slot++) {
    const uint32_t id = ProgramIn(slot);
    if (id == 0) continue;
    ChainSlot& entry = slots.emplace_back(ChainSlot{.slot = slot, .program = id, .name = ""});
    const auto known = names_.find(id);
    if (known != names_.end()) {
      entry.name = known->second;
      continue;
    }
    const FileDescriptor program(bpf_prog_get_fd_by_id(id));  // needs CAP_SYS_ADMIN
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    if (program.ok() && bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0) {
      entry.name = info.name;
    }
  }
  return slots;
}

}  // namespace portolan::datapath
