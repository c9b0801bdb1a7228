// The half of KernelMaps that writes batches.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/layout.h"
#include "services/datapath-loader/shell/map_rows.h"

namespace portolan::datapath {
namespace {

using ZeroRows = Rows<uint32_t, portolan_counter>;

ZeroRows NewZeroRows() { return ZeroRows(libbpf_num_possible_cpus()); }

// The other operations of the run as the kernel answered for their rows.
void Note(const std::vector<size_t>& run, const std::vector<int>& errors, const char* map,
          std::vector<absl::Status>& results) {
  for (size_t i = 0; i < run.size(); i++) {
    if (errors[i] != 0 && results[run[i]].ok()) results[run[i]] = MapError(map, errors[i]);
  }
}

}  // namespace

std::vector<absl::Status> KernelMaps::Execute(const MapBatch& batch) {
  std::vector<absl::Status> results(batch.size());
  absl::flat_hash_set<std::pair<absl::string_view, absl::string_view>> failed;
  for (size_t begin = 0; begin < batch.size();) {
    const size_t kind = batch[begin].change.index();
    std::vector<size_t> run;
    size_t end = begin;
    for (; end < batch.size() && batch[end].change.index() == kind; end++) {
      if (!failed.empty() && failed.contains({batch[end].service, batch[end].group})) {
        results[end] = absl::AbortedError("an operation before it failed");
      } else {
        run.push_back(end);
      }
    }
    std::visit([&](const auto& change) { DoAll(change, batch, run, results); },
               batch[begin].change);
    for (const size_t i : run) {
      if (!results[i].ok()) failed.insert({batch[i].service, batch[i].group});
    }
    begin = end;
  }
  return results;
}

template <typename C>
void KernelMaps::DoAll(const C&, const MapBatch& batch, const std::vector<size_t>& run,
                       std::vector<absl::Status>& results) {
  for (const size_t i : run) results[i] = Do(std::get<C>(batch[i].change));
}

void KernelMaps::DoAll(const WriteBackend&, const MapBatch& batch, const std::vector<size_t>& run,
                       std::vector<absl::Status>& results) {
  Rows<uint32_t, portolan_backend> rows;
  ZeroRows zeros = NewZeroRows();
  for (const size_t i : run) {
    const auto& change = std::get<WriteBackend>(batch[i].change);
    if (backends_.insert({change.id, change.entry.address}).second) {
      filter_->Add(PORTOLAN_FILTER_BACKEND, change.entry.address);
      if (change.entry.epoch != 0) zeros.Add(change.id, {});  // in its first life it is 0 anyway
    }
    rows.Add(change.id, ToKernel(change.entry));
  }
  zeros.Write(objects_.map("backend_counters"));
  Note(run, rows.Write(objects_.map("backends")), "backends", results);
}

void KernelMaps::DoAll(const OpenFrontend&, const MapBatch& batch, const std::vector<size_t>& run,
                       std::vector<absl::Status>& results) {
  Rows<uint32_t, portolan_frontend_info> rows;
  ZeroRows zeros = NewZeroRows();
  for (const size_t i : run) {
    const auto& change = std::get<OpenFrontend>(batch[i].change);
    if (change.epoch != 0) zeros.Add(change.id, {});
    portolan_frontend_info info{};
    info.epoch = change.epoch;
    info.flags = PORTOLAN_FRONTEND_ALIVE;
    info.group = change.group;
    rows.Add(change.id, info);
  }
  zeros.Write(objects_.map("counters"));
  Note(run, rows.Write(objects_.map("frontend_info")), "frontend_info", results);
}

void KernelMaps::DoAll(const WriteFrontend&, const MapBatch& batch, const std::vector<size_t>& run,
                       std::vector<absl::Status>& results) {
  Rows<uint32_t, portolan_frontend_info> infos;
  Rows<portolan_frontend_key, portolan_frontend> rows;
  for (const size_t i : run) {
    const auto& [key, entry] = std::get<WriteFrontend>(batch[i].change);
    if (!frontends_.contains(key)) filter_->Add(PORTOLAN_FILTER_FRONTEND, key.address);
    infos.Add(entry.id, InfoOf(entry));
    rows.Add(ToKernel(key), ToKernel(entry));
  }
  Note(run, infos.Write(objects_.map("frontend_info")), "frontend_info", results);
  Note(run, rows.Write(objects_.map("frontends")), "frontends", results);
  // Last: an address of ours whose frontends are not there yet would refuse its clients.
  Rows<portolan_address_key, portolan_address> addresses;
  std::vector<size_t> counted;
  for (const size_t i : run) {
    const auto& [key, entry] = std::get<WriteFrontend>(batch[i].change);
    const auto known = frontends_.find(key);
    if (!results[i].ok()) {
      if (known == frontends_.end()) filter_->Remove(PORTOLAN_FILTER_FRONTEND, key.address);
      continue;
    }
    if (known != frontends_.end() && known->second == entry.silent) continue;
    portolan_address& counts = addresses_[key.address];
    if (known == frontends_.end()) counts.frontends++;
    if (known != frontends_.end() && known->second) counts.silent--;
    if (entry.silent) counts.silent++;
    frontends_[key] = entry.silent;
    addresses.Add(ToKernel(key.address), counts);
    counted.push_back(i);
  }
  Note(counted, addresses.Write(objects_.map("addresses")), "addresses", results);
}

absl::Status KernelMaps::Do(const WriteTable& change) {
  const uint64_t end = static_cast<uint64_t>(change.offset) + change.slots.size();
  if (end > objects_.limits().table_slots) return MapError("maglev", E2BIG);
  std::copy(change.slots.begin(), change.slots.end(), row_ + change.offset);
  std::atomic_thread_fence(std::memory_order_release);
  return absl::OkStatus();
}

absl::Status KernelMaps::Do(const DeleteFrontend& change) {
  const portolan_frontend_key key = ToKernel(change.key);
  if (bpf_map_delete_elem(objects_.map("frontends"), &key) != 0 && errno != ENOENT) {
    return MapError("frontends", errno);
  }
  const auto known = frontends_.find(change.key);
  if (known == frontends_.end()) return absl::OkStatus();
  filter_->Remove(PORTOLAN_FILTER_FRONTEND, change.key.address);
  portolan_address& counts = addresses_[change.key.address];
  counts.frontends--;
  if (known->second) counts.silent--;
  frontends_.erase(known);
  const portolan_address value = counts;
  const portolan_address_key address = ToKernel(change.key.address);
  const int fd = objects_.map("addresses");
  if (value.frontends > 0) {
    if (bpf_map_update_elem(fd, &address, &value, BPF_ANY) == 0) return absl::OkStatus();
    return MapError("addresses", errno);
  }
  addresses_.erase(change.key.address);
  if (bpf_map_delete_elem(fd, &address) == 0 || errno == ENOENT) return absl::OkStatus();
  return MapError("addresses", errno);
}

absl::Status KernelMaps::Do(const CloseFrontend& change) {
  portolan_frontend_info info{};
  info.epoch = change.next_epoch;
  if (bpf_map_update_elem(objects_.map("frontend_info"), &change.id, &info, BPF_ANY) == 0) {
    return absl::OkStatus();
  }
  return MapError("frontend_info", errno);
}

absl::Status KernelMaps::Do(const WriteSource& change) {
  const portolan_source_key key = ToKernel(change.group, change.prefix);
  const portolan_source value{.allowed = change.allowed ? 1u : 0u};
  if (bpf_map_update_elem(objects_.map("sources"), &key, &value, BPF_ANY) == 0) {
    return absl::OkStatus();
  }
  return MapError("sources", errno);
}

absl::Status KernelMaps::Do(const DeleteSource& change) {
  const portolan_source_key key = ToKernel(change.group, change.prefix);
  if (bpf_map_delete_elem(objects_.map("sources"), &key) == 0 || errno == ENOENT) {
    return absl::OkStatus();
  }
  return MapError("sources", errno);
}

absl::Status KernelMaps::Do(const RetireBackend& change) {
  portolan_backend value{};
  const int fd = objects_.map("backends");
  if (bpf_map_lookup_elem(fd, &change.id, &value) != 0) return MapError("backends", errno);
  // The rest stays for packets that are on their way.
  value.epoch = change.next_epoch;
  value.flags = 0;
  if (bpf_map_update_elem(fd, &change.id, &value, BPF_ANY) != 0) return MapError("backends", errno);
  const auto it = backends_.find(change.id);
  if (it != backends_.end()) {
    filter_->Remove(PORTOLAN_FILTER_BACKEND, it->second);
    backends_.erase(it);
  }
  return absl::OkStatus();
}

}  // namespace portolan::datapath
