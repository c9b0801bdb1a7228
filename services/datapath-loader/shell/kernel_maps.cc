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

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/layout.h"
#include "services/datapath-loader/shell/map_rows.h"
#include "services/datapath-loader/shell/map_scan.h"

namespace portolan::datapath {
namespace {

constexpr absl::Duration kClosingIdle = absl::Seconds(30);

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

// Entries of an array map, zeroes for what cannot be read; `values_per_entry` each.
template <typename Value>
std::vector<Value> ReadRange(int fd, uint32_t first, uint32_t count, size_t values_per_entry = 1) {
  std::vector<Value> values(count * values_per_entry);
  std::vector<uint32_t> keys(count);
  uint32_t before = first - 1;  // a batch begins after a key, and those of an array are its indices
  uint32_t next = 0;
  uint32_t read = count;
  const int error = bpf_map_lookup_batch(fd, first == 0 ? nullptr : &before, &next, keys.data(),
                                         values.data(), &read, nullptr);
  // ENOENT: the map ended. Everything else: this kernel reads this map one by one only.
  if (error != 0 && errno != ENOENT) read = 0;
  for (uint32_t i = read; i < count; i++) {
    const uint32_t key = first + i;
    if (bpf_map_lookup_elem(fd, &key, &values[i * values_per_entry]) != 0) break;
  }
  return values;
}

// All keys of a map; one by one, because not every kind of map is read in batches alike.
template <typename Key>
std::vector<Key> KeysOf(int fd) {
  std::vector<Key> keys;
  Key next{};
  for (const Key* previous = nullptr; bpf_map_get_next_key(fd, previous, &next) == 0;) {
    keys.push_back(next);
    previous = &keys.back();
  }
  return keys;
}

// All of it, up to the index `last`.
template <typename Value>
std::vector<Value> ReadArray(int fd, uint32_t last) {
  return ReadRange<Value>(fd, 0, last + 1);
}

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

std::vector<uint32_t>& KernelMaps::Filter::CountsOf(uint8_t bit) {
  return bit == PORTOLAN_FILTER_FRONTEND ? frontends_ : backends_;
}

void KernelMaps::Filter::Add(uint8_t bit, const net::IpAddress& address) {
  const uint32_t index = FilterIndex(address);
  if (CountsOf(bit)[index]++ == 0) std::atomic_ref<uint8_t>(bits_->bits[index]).fetch_or(bit);
}

void KernelMaps::Filter::Remove(uint8_t bit, const net::IpAddress& address) {
  const uint32_t index = FilterIndex(address);
  uint32_t& count = CountsOf(bit)[index];
  if (count == 0 || --count > 0) return;
  std::atomic_ref<uint8_t>(bits_->bits[index]).fetch_and(static_cast<uint8_t>(~bit));
}

void KernelMaps::Filter::DropStrangers() {
  for (uint32_t index = 0; index < PORTOLAN_FILTER_SIZE; index++) {
    uint8_t wanted = 0;
    if (frontends_[index] > 0) wanted |= PORTOLAN_FILTER_FRONTEND;
    if (backends_[index] > 0) wanted |= PORTOLAN_FILTER_BACKEND;
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
    frontends_[key] = entry.silent;
    addresses_[key.address].frontends++;
    if (entry.silent) addresses_[key.address].silent++;
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
  for (const portolan_address_key& key : KeysOf<portolan_address_key>(fd)) {
    ASSIGN_OR_RETURN(const net::IpAddress address, FromKernel(key));
    if (!addresses_.contains(address)) strangers.push_back(key);
  }
  for (const portolan_address_key& stranger : strangers) bpf_map_delete_elem(fd, &stranger);
  Rows<portolan_address_key, portolan_address> rows;
  for (const auto& [address, counts] : addresses_) rows.Add(ToKernel(address), counts);
  for (const int error : rows.Write(fd)) {
    if (error != 0) return MapError("addresses", error);
  }
  return absl::OkStatus();
}

absl::Status KernelMaps::ReadFrontends(MapImage& image) const {
  const int fd = objects_.map("frontends");
  for (const portolan_frontend_key& key : KeysOf<portolan_frontend_key>(fd)) {
    portolan_frontend value{};
    if (bpf_map_lookup_elem(fd, &key, &value) != 0) continue;
    ASSIGN_OR_RETURN(const FrontendKey frontend, FromKernel(key));
    portolan_frontend_info info{};
    bpf_map_lookup_elem(objects_.map("frontend_info"), &value.id, &info);
    const FrontendEntry entry = FromKernel(value, info);
    const uint64_t internal_end =
        static_cast<uint64_t>(entry.internal_offset) + entry.internal_size;
    const uint64_t end = static_cast<uint64_t>(entry.table_offset) + entry.table_size;
    if (entry.id > objects_.limits().frontends || end > objects_.limits().table_slots ||
        internal_end > objects_.limits().table_slots) {
      return absl::FailedPreconditionError(
          absl::StrCat("map frontends: ", frontend.ToString(), " points outside the maps"));
    }
    image.frontends[frontend] = entry;
    if (entry.table_size > 0) {
      image.tables[entry.table_offset] = {row_ + entry.table_offset, row_ + end};
    }
    if (entry.internal_size > 0) {
      image.tables[entry.internal_offset] = {row_ + entry.internal_offset, row_ + internal_end};
    }
  }
  const std::vector<portolan_frontend_info> infos =
      ReadArray<portolan_frontend_info>(objects_.map("frontend_info"), objects_.limits().frontends);
  for (const portolan_frontend_info& info : infos) image.frontend_epochs.push_back(info.epoch);
  return absl::OkStatus();
}

absl::Status KernelMaps::ReadBackends(MapImage& image) const {
  const std::vector<portolan_backend> backends =
      ReadArray<portolan_backend>(objects_.map("backends"), objects_.limits().backends);
  for (uint32_t id = 0; id < backends.size(); id++) {
    image.backend_epochs.push_back(backends[id].epoch);
    if (!(backends[id].flags & PORTOLAN_BACKEND_ALIVE)) continue;
    ASSIGN_OR_RETURN(image.backends[id], FromKernel(backends[id]));
  }
  return absl::OkStatus();
}

absl::Status KernelMaps::ReadSources(MapImage& image) const {
  const int fd = objects_.map("sources");
  for (const portolan_source_key& key : KeysOf<portolan_source_key>(fd)) {
    portolan_source value{};
    if (bpf_map_lookup_elem(fd, &key, &value) != 0) continue;
    if (key.group == PORTOLAN_SOURCE_TUNNELS) continue;  // of no service
    ASSIGN_OR_RETURN(const net::Prefix prefix, FromKernel(key));
    image.sources[key.group][prefix] = value.allowed != 0;
  }
  return absl::OkStatus();
}

portolan_counter KernelMaps::Drops(portolan_drop reason) const {
  std::vector<portolan_counter> counters;
  ReadCounters("drops", reason, 1, counters);
  return counters.front();
}

std::vector<ServiceDrop> KernelMaps::ServiceDrops(std::optional<uint32_t>& position) const {
  const int fd = objects_.map("service_drops");
  const int infos = objects_.map("frontend_info");
  const size_t cpus = libbpf_num_possible_cpus();
  MapScan<portolan_service_drop_key, portolan_counter> scan(fd, position, cpus);
  position.reset();
  std::vector<ServiceDrop> rows;
  const absl::StatusOr<bool> more = scan.Next();
  if (!more.ok() || !*more) return rows;
  for (size_t i = 0; i < scan.size(); i++) {
    const portolan_service_drop_key& key = scan.key(i);
    ServiceDrop row{.frontend = key.frontend,
                    .epoch = key.epoch,
                    .reason = static_cast<portolan_drop>(key.reason)};
    portolan_frontend_info info{};
    if (key.frontend == 0) {
      portolan_address_key address{};
      memcpy(address.address, key.address, sizeof(address.address));
      address.family = key.family;
      const absl::StatusOr<net::IpAddress> parsed = FromKernel(address);
      if (!parsed.ok()) continue;
      row.address = *parsed;
    } else if (bpf_map_lookup_elem(infos, &key.frontend, &info) != 0 || info.epoch != key.epoch ||
               !(info.flags & PORTOLAN_FRONTEND_ALIVE)) {
      bpf_map_delete_elem(fd, &key);
      continue;
    }
    for (size_t cpu = 0; cpu < cpus; cpu++) {
      row.counter.packets += scan.values(i)[cpu].packets;
      row.counter.bytes += scan.values(i)[cpu].bytes;
    }
    rows.push_back(std::move(row));
  }
  if (!scan.ended()) position = scan.position();
  return rows;
}

void KernelMaps::FrontendCounters(uint32_t first, uint32_t count,
                                  std::vector<portolan_counter>& counters) const {
  ReadCounters("counters", first, count, counters);
}

void KernelMaps::BackendCounters(uint32_t first, uint32_t count,
                                 std::vector<portolan_counter>& counters) const {
  ReadCounters("backend_counters", first, count, counters);
}

void KernelMaps::ReadCounters(const char* map, uint32_t first, uint32_t count,
                              std::vector<portolan_counter>& counters) const {
  const int fd = objects_.map(map);
  const size_t cpus = libbpf_num_possible_cpus();
  counters.assign(count, {});
  const std::vector<portolan_counter> values = ReadRange<portolan_counter>(fd, first, count, cpus);
  for (uint32_t i = 0; i < count; i++) {
    for (size_t cpu = 0; cpu < cpus; cpu++) {
      const portolan_counter& value = values[i * cpus + cpu];
      counters[i].packets += value.packets;
      counters[i].bytes += value.bytes;
      counters[i].flows += value.flows;
    }
  }
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
  // Who is not to be told anything is known by address.
  kernel.flags = (settings.answer_echo ? PORTOLAN_SETTING_ECHO : 0) |
                 (settings.keep_routes ? PORTOLAN_SETTING_KEEP_ROUTES : 0);
  kernel.port_first = settings.port_first;
  kernel.port_count = settings.port_last - settings.port_first + 1;
  if (bpf_map_update_elem(objects_.map("settings_map"), &zero, &kernel, BPF_ANY) != 0) {
    return MapError("settings_map", errno);
  }
  RETURN_IF_ERROR(WriteTunnels(settings.tunnels));
  settings_ = settings;
  return absl::OkStatus();
}

absl::Status KernelMaps::WriteTunnels(const SourceRules& wanted) {
  const int fd = objects_.map("sources");
  std::vector<portolan_source_key> strangers;
  for (const portolan_source_key& key : KeysOf<portolan_source_key>(fd)) {
    if (key.group != PORTOLAN_SOURCE_TUNNELS) continue;
    ASSIGN_OR_RETURN(const net::Prefix prefix, FromKernel(key));
    if (!wanted.contains(prefix)) strangers.push_back(key);
  }
  for (const portolan_source_key& stranger : strangers) bpf_map_delete_elem(fd, &stranger);
  for (const auto& [prefix, allowed] : wanted) {
    const portolan_source_key wanted_key = ToKernel(PORTOLAN_SOURCE_TUNNELS, prefix);
    const portolan_source value{.allowed = allowed ? 1u : 0u};
    if (bpf_map_update_elem(fd, &wanted_key, &value, BPF_ANY) != 0) {
      return MapError("sources", errno);
    }
  }
  return absl::OkStatus();
}

}  // namespace portolan::datapath
