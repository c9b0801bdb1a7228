#include "services/l2-announcer/shell/neighbour_map.h"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "services/base/process/pins.h"
#include "services/base/status/status_macros.h"

namespace portolan::l2 {
namespace {

constexpr size_t kBytes = sizeof(portolan_neighbours) * PORTOLAN_NEIGHBOUR_BUCKETS;

absl::Status Failed(const std::string& path) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
  if (errno == ENOENT) return absl::NotFoundError(message);
  if (errno == EPERM || errno == EACCES) return absl::PermissionDeniedError(message);
  return absl::UnavailableError(message);
}

absl::StatusOr<int> OpenPin(const std::string& path, uint32_t value_size) {
  const int fd = bpf_obj_get(path.c_str());
  if (fd < 0) return Failed(path);
  bpf_map_info info{};
  __u32 size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.value_size == value_size) return fd;
  close(fd);
  return absl::FailedPreconditionError(absl::StrCat(path, " is of another version"));
}

// The datapath's own word on its version and the network that it serves.
absl::Status CheckSettings(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/maps/settings_map");
  portolan_settings settings{};
  ASSIGN_OR_RETURN(const int fd, OpenPin(path, sizeof(settings)));
  const uint32_t zero = 0;
  const bool read = bpf_map_lookup_elem(fd, &zero, &settings) == 0;
  close(fd);
  if (!read || settings.layout_version != PORTOLAN_LAYOUT_VERSION) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is of another version"));
  }
  ASSIGN_OR_RETURN(const uint64_t cookie, process::NetworkNamespaceCookie());
  if (settings.netns_cookie == cookie) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the maps pinned at ", directory, " serve another network namespace"));
}

uint64_t InodeOf(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

std::atomic_ref<__u64> Until(portolan_neighbour& place) {
  return std::atomic_ref<__u64>(place.until_ns);
}

}  // namespace

absl::StatusOr<std::unique_ptr<NeighbourMap>> NeighbourMap::Open(const std::string& pin_directory) {
  RETURN_IF_ERROR(CheckSettings(pin_directory));
  std::unique_ptr<NeighbourMap> map(new NeighbourMap);
  map->path_ = absl::StrCat(pin_directory, "/maps/neighbours");
  map->inode_ = InodeOf(map->path_);
  ASSIGN_OR_RETURN(map->interfaces_fd_, OpenPin(absl::StrCat(pin_directory, "/maps/interfaces"),
                                                sizeof(portolan_interface)));
  ASSIGN_OR_RETURN(const int fd, OpenPin(map->path_, sizeof(portolan_neighbours)));
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  const absl::Status error = memory == MAP_FAILED ? Failed(map->path_) : absl::OkStatus();
  close(fd);
  RETURN_IF_ERROR(error);
  map->buckets_ = static_cast<portolan_neighbours*>(memory);
  for (uint32_t bucket = 0; bucket < PORTOLAN_NEIGHBOUR_BUCKETS; ++bucket) {
    for (portolan_neighbour& place : map->buckets_[bucket].place) {
      if (place.until_ns != 0) Free(&place);
    }
  }
  return map;
}

NeighbourMap::~NeighbourMap() {
  if (buckets_ != nullptr) munmap(buckets_, kBytes);
  if (interfaces_fd_ >= 0) close(interfaces_fd_);
}

bool NeighbourMap::IsPinned() const { return InodeOf(path_) == inode_; }

bool NeighbourMap::IsAttached(uint32_t ifindex) const {
  const uint32_t slot = portolan_interface_slot(ifindex);
  portolan_interface entry{};
  return bpf_map_lookup_elem(interfaces_fd_, &slot, &entry) == 0 && entry.ifindex == ifindex &&
         (entry.flags & PORTOLAN_INTERFACE_ATTACHED) != 0;
}

portolan_neighbour* NeighbourMap::Take(const portolan_neighbour& entry) {
  for (portolan_neighbour& place : buckets_[portolan_neighbour_bucket(&entry.key)].place) {
    if (place.until_ns != 0) continue;
    place.key = entry.key;
    std::memcpy(place.mac, entry.mac, sizeof(place.mac));
    Renew(&place, entry.until_ns);
    return &place;
  }
  return nullptr;
}

void NeighbourMap::Renew(portolan_neighbour* place, uint64_t until_ns) {
  Until(*place).store(until_ns, std::memory_order_release);
}

void NeighbourMap::Free(portolan_neighbour* place) {
  Until(*place).store(0, std::memory_order_seq_cst);
  place->key = {};
}

}  // namespace portolan::l2
