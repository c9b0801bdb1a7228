#include "services/datapath-loader/shell/interface_map.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "bpf/include/datapath_maps.h"

namespace portolan::datapath {

absl::Status InterfaceMap::Put(uint32_t ifindex, const InterfaceEntry& entry) {
  const auto known = entries_.find(ifindex);
  if (known != entries_.end() && known->second == entry) return absl::OkStatus();
  const uint32_t slot = portolan_interface_slot(ifindex);
  for (const auto& [other, unused] : entries_) {
    if (other == ifindex || portolan_interface_slot(other) != slot) continue;
    return absl::AlreadyExistsError(
        absl::StrCat("its index ", ifindex, " and that of interface ", other,
                     " fall on one slot of the map interfaces; create one of them anew"));
  }
  portolan_interface value{};
  value.ifindex = ifindex;
  memcpy(value.mac, entry.mac.octets.data(), sizeof(value.mac));
  value.flags = entry.flags;
  if (bpf_map_update_elem(fd_, &slot, &value, BPF_ANY) != 0) {
    return absl::UnavailableError(absl::StrCat("map interfaces: ", strerror(errno)));
  }
  entries_[ifindex] = entry;
  return absl::OkStatus();
}

void InterfaceMap::Remove(uint32_t ifindex) {
  if (entries_.erase(ifindex) == 0) return;
  const uint32_t slot = portolan_interface_slot(ifindex);
  const portolan_interface nothing{};
  bpf_map_update_elem(fd_, &slot, &nothing, BPF_ANY);
}

void InterfaceMap::RemoveOthers(const std::set<uint32_t>& ours) {
  const portolan_interface nothing{};
  for (uint32_t slot = 0; slot < PORTOLAN_INTERFACES; slot++) {
    portolan_interface value{};
    if (bpf_map_lookup_elem(fd_, &slot, &value) != 0 || value.ifindex == 0) continue;
    if (!ours.contains(value.ifindex)) bpf_map_update_elem(fd_, &slot, &nothing, BPF_ANY);
  }
}

}  // namespace portolan::datapath
