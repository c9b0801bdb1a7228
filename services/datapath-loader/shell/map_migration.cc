#include "services/datapath-loader/shell/map_migration.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/object_file.h"

namespace portolan::datapath {
namespace {

// What is lost with these is figures, or a second of patience.
constexpr const char* kExpendable[] = {"answers", "backend_counters", "counters",
                                       "drops",   "fragments",        "refusals",
                                       "events",  "service_drops"};
constexpr char kRemedy[] =
    "give the maps up with all flows (datapath-loader --detach), or start the version and the "
    "settings that they were made with; flows can be taken along with portolan datapath flows -o "
    "json before, and portolan datapath import after";

bool IsArray(uint32_t type) {
  return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}
// Forgets what it has no room for.
bool IsCache(uint32_t type) {
  return type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}
bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}
bool IsTable(uint32_t type) { return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LPM_TRIE; }

size_t ValueBytes(const MapShape& shape) {
  if (!IsPerCpu(shape.type)) return shape.value;
  return (shape.value + 7) / 8 * 8 * libbpf_num_possible_cpus();
}

absl::Status TooSmall(const std::string& name, const MapShape& old, uint32_t entries) {
  return absl::FailedPreconditionError(absl::StrCat(
      "map ", name, " has room for ", old.entries, " entries, and of the ", entries,
      " that are configured there are too few for what is in it: raise them, or ", kRemedy));
}

// A key is there, and its value is not all zero.
class Reader {
 public:
  explicit Reader(int fd, const MapShape& shape)
      : fd_(fd), key_(shape.key), value_(ValueBytes(shape)) {}
  bool Read() {
    return bpf_map_lookup_elem(fd_, key_.data(), value_.data()) == 0 &&
           absl::c_any_of(value_, [](char byte) { return byte != 0; });
  }
  std::vector<char>& key() { return key_; }
  const std::vector<char>& value() const { return value_; }

 private:
  const int fd_;
  std::vector<char> key_;
  std::vector<char> value_;
};

absl::Status CopyArray(const std::string& name, int from, int to, const MapShape& old,
                       uint32_t entries) {
  Reader row(from, old);
  for (uint32_t index = 0; index < old.entries; index++) {
    memcpy(row.key().data(), &index, sizeof(index));
    if (!row.Read()) continue;
    if (index >= entries) return TooSmall(name, old, entries);
    if (bpf_map_update_elem(to, row.key().data(), row.value().data(), BPF_ANY) != 0) {
      return KernelError(absl::StrCat("map ", name), errno);
    }
  }
  return absl::OkStatus();
}

// A hash map in batches: the position is a bucket, and stays true while others write.
absl::Status CopyHash(const std::string& name, int from, int to, const MapShape& old,
                      uint32_t entries, uint64_t flags) {
  uint32_t capacity = 4096;
  std::optional<uint32_t> position;
  std::vector<char> keys;
  std::vector<char> values;
  const size_t value_bytes = ValueBytes(old);
  for (bool ended = false; !ended;) {
    keys.resize(static_cast<size_t>(capacity) * old.key);
    values.resize(capacity * value_bytes);
    uint32_t next = 0;
    uint32_t count = capacity;
    const int error = bpf_map_lookup_batch(from, position.has_value() ? &*position : nullptr, &next,
                                           keys.data(), values.data(), &count, nullptr);
    if (error != 0 && errno == ENOSPC) {
      capacity *= 2;
      continue;
    }
    if (error != 0 && errno != ENOENT) return KernelError(absl::StrCat("map ", name), errno);
    ended = error != 0;
    position = next;
    for (uint32_t i = 0; i < count; i++) {
      const int written = bpf_map_update_elem(to, &keys[static_cast<size_t>(i) * old.key],
                                              &values[i * value_bytes], flags);
      if (written == 0 || errno == EEXIST) continue;
      if (errno == E2BIG) return TooSmall(name, old, entries);
      return KernelError(absl::StrCat("map ", name), errno);
    }
  }
  return absl::OkStatus();
}

absl::Status CopyTrie(const std::string& name, int from, int to, const MapShape& old,
                      uint32_t entries) {
  Reader row(from, old);
  std::vector<char> previous(old.key);
  bool first = true;
  while (bpf_map_get_next_key(from, first ? nullptr : previous.data(), row.key().data()) == 0) {
    first = false;
    previous = row.key();
    row.Read();
    if (bpf_map_update_elem(to, row.key().data(), row.value().data(), BPF_ANY) == 0) continue;
    if (errno == ENOSPC) return TooSmall(name, old, entries);
    return KernelError(absl::StrCat("map ", name), errno);
  }
  return absl::OkStatus();
}

uint32_t EntriesOf(int fd) {
  bpf_map_info info{};
  __u32 size = sizeof(info);
  return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.max_entries : 0;
}

}  // namespace

std::string MapShape::ToString() const {
  return absl::StrCat("type ", type, ", flags ", flags, ", ", entries, " entries of ", key, "+",
                      value, " bytes");
}

absl::Status MapMigration::Add(const std::string& name, FileDescriptor old, const MapShape& there,
                               const MapShape& needed) {
  if (!old.ok()) {
    maps_[name] = {};
    return absl::OkStatus();
  }
  const bool alike = there.type == needed.type && there.key == needed.key &&
                     there.value == needed.value &&
                     (IsArray(there.type) || IsCache(there.type) || IsTable(there.type));
  if (alike) {
    maps_[name] = {std::move(old), there};
    return absl::OkStatus();
  }
  if (absl::c_linear_search(kExpendable, name)) {
    maps_[name] = {};
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat("map ", name, " has ", there.ToString(),
                                                    ", and this version needs ", needed.ToString(),
                                                    ": its content does not fit; ", kRemedy));
}

std::vector<std::string> MapMigration::names() const {
  std::vector<std::string> names;
  for (const auto& [name, old] : maps_) names.push_back(name);
  return names;
}

absl::Status MapMigration::Copy(const MapOf& map_of) const {
  for (const auto& [name, old] : maps_) {
    if (!old.fd.ok()) continue;
    const int to = map_of(name);
    const uint32_t entries = EntriesOf(to);
    if (IsArray(old.shape.type)) {
      RETURN_IF_ERROR(CopyArray(name, old.fd.get(), to, old.shape, entries));
    } else if (old.shape.type == BPF_MAP_TYPE_LPM_TRIE) {
      RETURN_IF_ERROR(CopyTrie(name, old.fd.get(), to, old.shape, entries));
    } else {
      RETURN_IF_ERROR(CopyHash(name, old.fd.get(), to, old.shape, entries, BPF_ANY));
    }
  }
  return absl::OkStatus();
}

absl::Status MapMigration::Pin(const std::string& directory, const MapOf& map_of) const {
  for (const auto& [name, old] : maps_) {
    const std::string path = absl::StrCat(directory, "/maps/", name);
    const std::string next = absl::StrCat(path, "-next");
    unlink(next.c_str());  // of a process that died here
    if (bpf_obj_pin(map_of(name), next.c_str()) != 0) {
      return KernelError(absl::StrCat("cannot pin ", next), errno);
    }
    if (rename(next.c_str(), path.c_str()) != 0) {
      return KernelError(absl::StrCat("cannot rename ", next), errno);
    }
  }
  return absl::OkStatus();
}

absl::Status MapMigration::CopyLate(const MapOf& map_of) const {
  for (const auto& [name, old] : maps_) {
    if (!old.fd.ok() || !IsCache(old.shape.type)) continue;
    RETURN_IF_ERROR(CopyHash(name, old.fd.get(), map_of(name), old.shape, 0, BPF_NOEXIST));
  }
  return absl::OkStatus();
}

}  // namespace portolan::datapath
