#include "services/datapath-loader/shell/kernel_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <set>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/layout.h"

namespace portolan::datapath {
namespace {

constexpr absl::Duration kClosingIdle = absl::Seconds(30);

absl::Status MapError(const char* map, int error) {
  const std::string message = absl::StrCat("map ", map, ": ", strerror(error));
  if (error == E2BIG || error == ENOMEM || error == ENOSPC) {
    return absl::ResourceExhaustedError(message);
  }
  return absl::UnavailableError(message);
}

absl::Status Update(const Objects& objects, const char* map, const void* key, const void* value) {
  if (bpf_map_update_elem(objects.map(map), key, value, BPF_ANY) == 0) return absl::OkStatus();
  return MapError(map, errno);
}

void* Map(int fd, size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

// The programs count time in ticks of a power of two of jiffies, of about a second.
struct Ticks {
  uint32_t shift = 0;
  double per_second = 1;

  static Ticks OfThisKernel() {
    timespec resolution{};
    clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);  // one jiffy
    const double hz = 1e9 / std::max<long>(resolution.tv_nsec, 1);
    const uint32_t shift = std::bit_width(static_cast<uint32_t>(hz)) - 1;
    return {shift, hz / (1u << shift)};
  }
  uint32_t In256Seconds() const { return std::lround(256 * per_second); }
  uint32_t Count(absl::Duration duration) const {
    return std::ceil(absl::ToDoubleSeconds(duration) * per_second);
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<KernelMaps>> KernelMaps::Open(const Objects& objects) {
  std::unique_ptr<KernelMaps> maps(new KernelMaps(objects));
  const size_t slots = objects.limits().table_slots;
  maps->row_ = static_cast<uint32_t*>(Map(objects.map("maglev"), slots * sizeof(uint32_t)));
  if (maps->row_ == nullptr) return MapError("maglev", errno);
  maps->filter_bits_ = static_cast<portolan_address_filter*>(
      Map(objects.map("address_filter"), sizeof(portolan_address_filter)));
  if (maps->filter_bits_ == nullptr) return MapError("address_filter", errno);
  maps->filter_ = std::make_unique<Filter>(maps->filter_bits_);
  return maps;
}

KernelMaps::~KernelMaps() {
  if (row_ != nullptr) munmap(row_, objects_.limits().table_slots * sizeof(uint32_t));
  if (filter_bits_ != nullptr) munmap(filter_bits_, sizeof(*filter_bits_));
}

// ---- the filter ----

std::map<uint32_t, uint32_t>& KernelMaps::Filter::CountsOf(uint8_t bit) {
  return bit == PORTOLAN_FILTER_FRONTEND ? frontends_ : backends_;
}

void KernelMaps::Filter::Add(uint8_t bit, const net::IpAddress& address) {
  const uint32_t index = FilterIndex(address);
  if (CountsOf(bit)[index]++ == 0) std::atomic_ref<uint8_t>(bits_->bits[index]).fetch_or(bit);
}

void KernelMaps::Filter::Remove(uint8_t bit, const net::IpAddress& address) {
  const uint32_t index = FilterIndex(address);
  auto& counts = CountsOf(bit);
  const auto it = counts.find(index);
  if (it == counts.end() || --it->second > 0) return;
  counts.erase(it);
  std::atomic_ref<uint8_t>(bits_->bits[index]).fetch_and(static_cast<uint8_t>(~bit));
}

void KernelMaps::Filter::DropStrangers() {
  for (uint32_t index = 0; index < PORTOLAN_FILTER_SIZE; index++) {
    uint8_t wanted = 0;
    if (frontends_.contains(index)) wanted |= PORTOLAN_FILTER_FRONTEND;
    if (backends_.contains(index)) wanted |= PORTOLAN_FILTER_BACKEND;
    std::atomic_ref<uint8_t>(bits_->bits[index]).store(wanted);
  }
}

// ---- reading ----

absl::StatusOr<MapImage> KernelMaps::Read() {
  MapImage image;
  RETURN_IF_ERROR(ReadFrontends(image));
  RETURN_IF_ERROR(ReadBackends(image));
  RETURN_IF_ERROR(ReadSources(image));
  frontends_.clear();
  addresses_.clear();
  backends_.clear();
  filter_ = std::make_unique<Filter>(filter_bits_);
  for (const auto& [key, entry] : image.frontends) {
    frontends_[key] = entry.id;
    addresses_[key.address]++;
    filter_->Add(PORTOLAN_FILTER_FRONTEND, key.address);
  }
  for (const auto& [id, entry] : image.backends) {
    backends_[id] = entry.address;
    filter_->Add(PORTOLAN_FILTER_BACKEND, entry.address);
  }
  filter_->DropStrangers();
  RETURN_IF_ERROR(ResetAddresses());
  return image;
}

absl::Status KernelMaps::ResetAddresses() {
  const int fd = objects_.map("addresses");
  std::vector<portolan_address_key> strangers;
  portolan_address_key key{};
  portolan_address_key next{};
  for (void* previous = nullptr; bpf_map_get_next_key(fd, previous, &next) == 0;) {
    key = next;
    previous = &key;
    ASSIGN_OR_RETURN(const net::IpAddress address, FromKernel(key));
    if (!addresses_.contains(address)) strangers.push_back(key);
  }
  for (const portolan_address_key& stranger : strangers) bpf_map_delete_elem(fd, &stranger);
  for (const auto& [address, count] : addresses_) RETURN_IF_ERROR(CountAddress(address, 0));
  return absl::OkStatus();
}

absl::Status KernelMaps::CountAddress(const net::IpAddress& address, int change) {
  uint32_t& count = addresses_[address];
  count += change;
  const portolan_address_key key = ToKernel(address);
  const portolan_address value{.frontends = count};
  if (count > 0) return Update(objects_, "addresses", &key, &value);
  addresses_.erase(address);
  if (bpf_map_delete_elem(objects_.map("addresses"), &key) == 0 || errno == ENOENT) {
    return absl::OkStatus();
  }
  return MapError("addresses", errno);
}

absl::Status KernelMaps::ReadFrontends(MapImage& image) const {
  const int fd = objects_.map("frontends");
  portolan_frontend_key key{};
  portolan_frontend_key next{};
  for (void* previous = nullptr; bpf_map_get_next_key(fd, previous, &next) == 0;) {
    key = next;
    previous = &key;
    portolan_frontend value{};
    if (bpf_map_lookup_elem(fd, &key, &value) != 0) continue;
    ASSIGN_OR_RETURN(const FrontendKey frontend, FromKernel(key));
    const FrontendEntry entry = FromKernel(value);
    const uint64_t end = static_cast<uint64_t>(entry.table_offset) + entry.table_size;
    if (entry.id > objects_.limits().frontends || end > objects_.limits().table_slots) {
      return absl::FailedPreconditionError(
          absl::StrCat("map frontends: ", frontend.ToString(), " points outside the maps"));
    }
    image.frontends[frontend] = entry;
    if (entry.table_size > 0) {
      image.tables[entry.table_offset] = {row_ + entry.table_offset, row_ + end};
    }
  }
  image.frontend_epochs.resize(objects_.limits().frontends + 1);
  for (uint32_t id = 1; id <= objects_.limits().frontends; id++) {
    portolan_frontend_info info{};
    bpf_map_lookup_elem(objects_.map("frontend_info"), &id, &info);
    image.frontend_epochs[id] = info.epoch;
  }
  return absl::OkStatus();
}

absl::Status KernelMaps::ReadBackends(MapImage& image) const {
  image.backend_epochs.resize(objects_.limits().backends + 1);
  const int fd = objects_.map("backends");
  for (uint32_t id = 1; id <= objects_.limits().backends; id++) {
    portolan_backend value{};
    if (bpf_map_lookup_elem(fd, &id, &value) != 0) return MapError("backends", errno);
    image.backend_epochs[id] = value.epoch;
    if (!(value.flags & PORTOLAN_BACKEND_ALIVE)) continue;
    ASSIGN_OR_RETURN(image.backends[id], FromKernel(value));
  }
  return absl::OkStatus();
}

absl::Status KernelMaps::ReadSources(MapImage& image) const {
  const int fd = objects_.map("sources");
  portolan_source_key key{};
  portolan_source_key next{};
  for (void* previous = nullptr; bpf_map_get_next_key(fd, previous, &next) == 0;) {
    key = next;
    previous = &key;
    portolan_source value{};
    if (bpf_map_lookup_elem(fd, &key, &value) != 0) continue;
    ASSIGN_OR_RETURN(const net::Prefix prefix, FromKernel(key));
    image.sources[key.group][prefix] = value.allowed != 0;
  }
  return absl::OkStatus();
}

portolan_counter KernelMaps::Sum(int fd, uint32_t index) const {
  std::vector<portolan_counter> values(libbpf_num_possible_cpus());
  portolan_counter sum{};
  if (bpf_map_lookup_elem(fd, &index, values.data()) != 0) return sum;
  for (const portolan_counter& value : values) {
    sum.packets += value.packets;
    sum.bytes += value.bytes;
    sum.flows += value.flows;
  }
  return sum;
}

portolan_counter KernelMaps::Counter(uint32_t frontend_id) const {
  return Sum(objects_.map("counters"), frontend_id);
}

portolan_counter KernelMaps::Drops(portolan_drop reason) const {
  return Sum(objects_.map("drops"), reason);
}

// ---- writing ----

absl::Status KernelMaps::Write(const ProgramSettings& settings) {
  if (settings_ == settings) return absl::OkStatus();
  const uint32_t zero = 0;
  portolan_settings kernel{};
  if (bpf_map_lookup_elem(objects_.map("settings_map"), &zero, &kernel) != 0) {
    return MapError("settings_map", errno);
  }
  const Ticks ticks = Ticks::OfThisKernel();
  kernel.hash_seed = settings.hash_seed;
  kernel.tick_shift = ticks.shift;
  kernel.tcp_idle = ticks.Count(settings.tcp_idle);
  kernel.udp_idle = ticks.Count(settings.udp_idle);
  kernel.closing_idle = ticks.Count(kClosingIdle);
  kernel.ticks_per_256s = ticks.In256Seconds();
  kernel.flags = (settings.answer_echo ? PORTOLAN_SETTING_ECHO : 0) |
                 (settings.refuse_unserved ? PORTOLAN_SETTING_REFUSE : 0) |
                 (settings.keep_routes ? PORTOLAN_SETTING_KEEP_ROUTES : 0);
  kernel.port_first = settings.port_first;
  kernel.port_count = settings.port_last - settings.port_first + 1;
  RETURN_IF_ERROR(Update(objects_, "settings_map", &zero, &kernel));
  settings_ = settings;
  return absl::OkStatus();
}

std::vector<absl::Status> KernelMaps::Execute(const MapBatch& batch) {
  std::vector<absl::Status> results;
  results.reserve(batch.size());
  std::set<std::pair<std::string, std::string>> failed;
  for (const MapOp& op : batch) {
    if (failed.contains({op.service, op.group})) {
      results.push_back(absl::AbortedError("an operation before it failed"));
      continue;
    }
    results.push_back(std::visit([&](const auto& change) { return Do(change); }, op.change));
    if (!results.back().ok()) failed.insert({op.service, op.group});
  }
  return results;
}

absl::Status KernelMaps::Do(const WriteBackend& change) {
  const portolan_backend value = ToKernel(change.entry);
  if (backends_.insert({change.id, change.entry.address}).second) {
    filter_->Add(PORTOLAN_FILTER_BACKEND, change.entry.address);
  }
  return Update(objects_, "backends", &change.id, &value);
}

absl::Status KernelMaps::Do(const WriteTable& change) {
  const uint64_t end = static_cast<uint64_t>(change.offset) + change.slots.size();
  if (end > objects_.limits().table_slots) return MapError("maglev", E2BIG);
  std::copy(change.slots.begin(), change.slots.end(), row_ + change.offset);
  std::atomic_thread_fence(std::memory_order_release);
  return absl::OkStatus();
}

absl::Status KernelMaps::Do(const OpenFrontend& change) {
  const std::vector<portolan_counter> zeros(libbpf_num_possible_cpus());
  RETURN_IF_ERROR(Update(objects_, "counters", &change.id, zeros.data()));
  portolan_frontend_info info{};
  info.epoch = change.epoch;
  info.flags = PORTOLAN_FRONTEND_ALIVE;
  info.group = change.group;
  return Update(objects_, "frontend_info", &change.id, &info);
}

absl::Status KernelMaps::Do(const WriteFrontend& change) {
  const portolan_frontend_key key = ToKernel(change.key);
  const portolan_frontend value = ToKernel(change.entry);
  portolan_frontend_info info{};
  info.epoch = change.entry.epoch;
  info.flags = PORTOLAN_FRONTEND_ALIVE | value.flags;
  info.group = change.entry.group;
  RETURN_IF_ERROR(Update(objects_, "frontend_info", &change.entry.id, &info));
  const bool known = frontends_.contains(change.key);
  if (!known) filter_->Add(PORTOLAN_FILTER_FRONTEND, change.key.address);
  absl::Status status = Update(objects_, "frontends", &key, &value);
  // Last: an address of ours whose frontends are not there yet would refuse its clients.
  if (status.ok() && !known) status = CountAddress(change.key.address, 1);
  if (status.ok()) frontends_[change.key] = change.entry.id;
  if (!status.ok() && !known) filter_->Remove(PORTOLAN_FILTER_FRONTEND, change.key.address);
  return status;
}

absl::Status KernelMaps::Do(const DeleteFrontend& change) {
  const portolan_frontend_key key = ToKernel(change.key);
  if (bpf_map_delete_elem(objects_.map("frontends"), &key) != 0 && errno != ENOENT) {
    return MapError("frontends", errno);
  }
  if (frontends_.erase(change.key) == 0) return absl::OkStatus();
  filter_->Remove(PORTOLAN_FILTER_FRONTEND, change.key.address);
  return CountAddress(change.key.address, -1);
}

absl::Status KernelMaps::Do(const CloseFrontend& change) {
  portolan_frontend_info info{};
  info.epoch = change.next_epoch;
  return Update(objects_, "frontend_info", &change.id, &info);
}

absl::Status KernelMaps::Do(const WriteSource& change) {
  const portolan_source_key key = ToKernel(change.group, change.prefix);
  const portolan_source value{.allowed = change.allowed ? 1u : 0u};
  return Update(objects_, "sources", &key, &value);
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
  if (bpf_map_lookup_elem(objects_.map("backends"), &change.id, &value) != 0) {
    return MapError("backends", errno);
  }
  // The rest stays for packets that are on their way.
  value.epoch = change.next_epoch;
  value.flags = 0;
  RETURN_IF_ERROR(Update(objects_, "backends", &change.id, &value));
  const auto it = backends_.find(change.id);
  if (it != backends_.end()) {
    filter_->Remove(PORTOLAN_FILTER_BACKEND, it->second);
    backends_.erase(it);
  }
  return absl::OkStatus();
}

}  // namespace portolan::datapath
