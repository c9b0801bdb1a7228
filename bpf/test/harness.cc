#include "bpf/test/harness.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>

#include "absl/strings/str_cat.h"
#include "bpf/programs/object.h"

namespace portolan::bpf {
namespace {

absl::Status LastError(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

int Silent(enum libbpf_print_level, const char*, va_list) { return 0; }

absl::StatusOr<bpf_object*> OpenObject(const Object& bytes, const Harness::Sizes& sizes) {
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = bytes.name);
  bpf_object* object = bpf_object__open_mem(bytes.data, bytes.size, &options);
  if (object == nullptr) return LastError("open");
  const std::map<std::string, uint32_t> entries = {
      {"flows4", sizes.flows},
      {"flows6", sizes.flows6 != 0 ? sizes.flows6 : sizes.flows},
      {"frontends", sizes.frontends},
      {"frontend_info", sizes.frontends + 1},
      {"addresses", sizes.frontends},
      {"backends", sizes.backends + 1},
      {"counters", sizes.frontends + 1},
      {"maglev", sizes.chunks},
      {"backend_counters", sizes.backends + 1}};
  for (const auto& [name, count] : entries) {
    bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
    if (map == nullptr || bpf_map__set_max_entries(map, count) != 0) return LastError(name);
  }
  return object;
}

// What packets of the tests are addressed to.
constexpr uint8_t kMac[6] = {0x02, 0, 0, 0, 0, 1};

// Of every frontend and backend here.
constexpr uint32_t kGroup = 1;

portolan_settings FirstSettings() {
  portolan_settings settings{};
  settings.layout_version = PORTOLAN_LAYOUT_VERSION;
  settings.tick_shift = 8;
  settings.tcp_idle = 1000;
  settings.udp_idle = 100;
  settings.closing_idle = 30;
  settings.port_first = 61000;
  settings.port_count = 4536;
  settings.ticks_per_256s = 256;
  settings.flags = PORTOLAN_SETTING_ECHO | PORTOLAN_SETTING_KEEP_ROUTES;
  return settings;
}

void ZeroArray(int fd, uint32_t entries, size_t value_size) {
  const std::vector<unsigned char> zeros(value_size);
  for (uint32_t i = 0; i < entries; i++) bpf_map_update_elem(fd, &i, zeros.data(), BPF_ANY);
}

void EmptyHash(int fd) {
  unsigned char key[sizeof(portolan_flow_key6)];
  while (bpf_map_get_next_key(fd, nullptr, key) == 0) bpf_map_delete_elem(fd, key);
}

// Of an entry of a map that each CPU has for itself.
portolan_counter SumAt(int fd, const void* key) {
  std::vector<portolan_counter> values(libbpf_num_possible_cpus());
  bpf_map_lookup_elem(fd, key, values.data());
  portolan_counter sum{};
  for (const portolan_counter& value : values) {
    sum.packets += value.packets;
    sum.bytes += value.bytes;
    sum.flows += value.flows;
  }
  return sum;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Harness>> Harness::Load(const Sizes& sizes) {
  libbpf_set_print(getenv("BPF_VERBOSE") ? nullptr : Silent);
  std::unique_ptr<Harness> harness(new Harness);
  if (absl::Status status = harness->Open(sizes); !status.ok()) return status;
  return harness;
}

absl::Status Harness::Open(const Sizes& sizes) {
  absl::StatusOr<bpf_object*> tc = OpenObject(LbTc(), sizes);
  if (!tc.ok()) return tc.status();
  tc_ = *tc;
  if (bpf_object__load(tc_) != 0) return LastError("load lb_tc");
  absl::StatusOr<bpf_object*> xdp = OpenObject(LbXdp(), sizes);
  if (!xdp.ok()) return xdp.status();
  xdp_ = *xdp;
  bpf_map* map;
  bpf_object__for_each_map(map, xdp_) {
    const int shared = this->map(bpf_map__name(map));
    if (!bpf_map__is_internal(map) && shared >= 0) bpf_map__reuse_fd(map, shared);
  }
  if (bpf_object__load(xdp_) != 0) return LastError("load lb_xdp");
  tc_fd_ = bpf_program__fd(bpf_object__find_program_by_name(tc_, "portolan_lb_tc"));
  xdp_fd_ = bpf_program__fd(bpf_object__find_program_by_name(xdp_, "portolan_lb_xdp"));
  sizes_ = sizes;
  SetSettings(FirstSettings());
  set_ifindex(ifindex_);
  return absl::OkStatus();
}

void Harness::set_ifindex(uint32_t ifindex) {
  ifindex_ = ifindex;
  SetInterface(ifindex, kMac, PORTOLAN_INTERFACE_ATTACHED);
}

void Harness::Reset() {
  silent_ = false;
  ForgetFlows();
  for (const char* name :
       {"frontends", "addresses", "sources", "affinity", "fragments", "service_drops"}) {
    EmptyHash(map(name));
  }
  ZeroArray(map("frontend_info"), sizes_.frontends + 1, sizeof(portolan_frontend_info));
  ZeroArray(map("counters"), sizes_.frontends + 1,
            sizeof(portolan_counter) * libbpf_num_possible_cpus());
  ZeroArray(map("drops"), PORTOLAN_DROP_REASONS,
            sizeof(portolan_counter) * libbpf_num_possible_cpus());
  ZeroArray(map("backend_counters"), sizes_.backends + 1,
            sizeof(portolan_counter) * libbpf_num_possible_cpus());
  ZeroArray(map("answers"), PORTOLAN_ANSWERS,
            sizeof(portolan_counter) * libbpf_num_possible_cpus());
  ZeroArray(map("interfaces"), PORTOLAN_INTERFACES, sizeof(portolan_interface));
  ZeroArray(map("neighbours"), PORTOLAN_NEIGHBOUR_BUCKETS, sizeof(portolan_neighbours));
  ZeroArray(map("refusals"), 1, sizeof(portolan_refusals) * libbpf_num_possible_cpus());
  ZeroArray(map("backends"), sizes_.backends + 1, sizeof(portolan_backend));
  ZeroArray(map("maglev"), sizes_.chunks, sizeof(portolan_table_chunk));
  ZeroArray(map("address_filter"), 1, sizeof(portolan_address_filter));
  SetSettings(FirstSettings());
  set_ifindex(ifindex_);
}

Harness::~Harness() {
  if (xdp_ != nullptr) bpf_object__close(xdp_);
  if (tc_ != nullptr) bpf_object__close(tc_);
}

namespace {
// `context`: a program's, for a packet of that size.
template <typename Context>
Outcome RunWith(int program, const Bytes& packet, uint32_t repeat, const Context& context) {
  Outcome outcome;
  outcome.packet.resize(packet.size() + 256);
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data(), .data_out = outcome.packet.data(),
              .data_size_in = static_cast<__u32>(packet.size()),
              .data_size_out = static_cast<__u32>(outcome.packet.size()), .ctx_in = &context,
              .ctx_size_in = sizeof(context), .repeat = static_cast<int>(repeat));
  if (bpf_prog_test_run_opts(program, &run) != 0) {
    outcome.packet.clear();
    return outcome;
  }
  outcome.packet.resize(run.data_size_out);
  outcome.verdict = static_cast<int>(run.retval);
  outcome.nanoseconds = run.duration;
  return outcome;
}
}  // namespace

Outcome Harness::Run(Program program, const Bytes& packet, uint32_t repeat) {
  if (program == Program::kTc) {
    __sk_buff buffer{};
    buffer.ifindex = ifindex_;
    return RunWith(tc_fd_, packet, repeat, buffer);
  }
  return RunXdp(xdp_fd_, packet, repeat);
}

Outcome Harness::RunXdp(int program, const Bytes& packet, uint32_t repeat) const {
  xdp_md frame{};
  frame.data_end = packet.size();
  frame.ingress_ifindex = ifindex_;
  return RunWith(program, packet, repeat, frame);
}

void Harness::SetSettings(const portolan_settings& settings) {
  settings_ = settings;
  const uint32_t zero = 0;
  bpf_map_update_elem(map("settings_map"), &zero, &settings_, BPF_ANY);
}

void Harness::SetInterface(uint32_t ifindex, const uint8_t mac[6], uint16_t flags) {
  portolan_interface interface {};
  interface.ifindex = ifindex;
  memcpy(interface.mac, mac, sizeof(interface.mac));
  interface.flags = flags;
  const uint32_t slot = portolan_interface_slot(ifindex);
  bpf_map_update_elem(map("interfaces"), &slot, &interface, BPF_ANY);
}

void Harness::AddFilter(bool ipv6, const std::string& address, uint8_t bits) {
  uint32_t words[4];
  AddressWords(ipv6, address, words);
  static portolan_address_filter filter;
  const uint32_t zero = 0;
  bpf_map_lookup_elem(map("address_filter"), &zero, &filter);
  filter.bits[ipv6 ? portolan_filter_index6(words) : portolan_filter_index4(words[0])] |= bits;
  bpf_map_update_elem(map("address_filter"), &zero, &filter, BPF_ANY);
}

void Harness::SetBackend(uint32_t id, const BackendSpec& spec) {
  portolan_backend backend{};
  bpf_map_lookup_elem(map("backends"), &id, &backend);
  const uint16_t epoch = backend.epoch + 1;
  backend = {};
  backend.epoch = epoch;
  const bool snat = !spec.source.empty() && !spec.keeps_client && spec.flags == 0;
  backend.flags = PORTOLAN_BACKEND_ALIVE | (snat ? PORTOLAN_BACKEND_SNAT : 0) |
                  (spec.rests ? PORTOLAN_BACKEND_RESTS : 0) | spec.flags;
  backend.port = htons(spec.port);
  backend.family = spec.ipv6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  backend.protocol = spec.protocol;
  backend.group = kGroup;
  AddressWords(spec.ipv6, spec.address, backend.address);
  if (!spec.source.empty()) AddressWords(spec.ipv6, spec.source, backend.source);
  bpf_map_update_elem(map("backends"), &id, &backend, BPF_ANY);
  AddFilter(spec.ipv6, spec.address, PORTOLAN_FILTER_BACKEND);
}

void Harness::RetireBackend(uint32_t id) {
  portolan_backend backend{};
  bpf_map_lookup_elem(map("backends"), &id, &backend);
  backend.epoch += 1;
  backend.flags = 0;
  bpf_map_update_elem(map("backends"), &id, &backend, BPF_ANY);
}

void Harness::RestBackend(uint32_t id) {
  portolan_backend backend{};
  bpf_map_lookup_elem(map("backends"), &id, &backend);
  backend.flags |= PORTOLAN_BACKEND_RESTS;
  bpf_map_update_elem(map("backends"), &id, &backend, BPF_ANY);
}

void Harness::CountAddress(bool ipv6, const std::string& address, int change) {
  portolan_address_key key{};
  AddressWords(ipv6, address, key.address);
  key.family = ipv6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  portolan_address value{};
  bpf_map_lookup_elem(map("addresses"), &key, &value);
  value.frontends += change;
  if (silent_) value.silent = value.frontends;
  if (value.frontends == 0) {
    bpf_map_delete_elem(map("addresses"), &key);
  } else {
    bpf_map_update_elem(map("addresses"), &key, &value, BPF_ANY);
  }
}

namespace {
portolan_frontend_key FrontendKey(bool ipv6, const std::string& address, uint16_t port,
                                  uint8_t protocol) {
  portolan_frontend_key key{};
  AddressWords(ipv6, address, key.address);
  key.port = htons(port);
  key.protocol = protocol;
  key.family = ipv6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  return key;
}
}  // namespace

void Harness::SetFrontend(uint32_t id, bool ipv6, const std::string& address, uint16_t port,
                          uint8_t protocol, uint32_t chunk, const std::vector<uint32_t>& slots) {
  for (size_t first = 0; first < slots.size(); first += PORTOLAN_CHUNK_SLOTS) {
    portolan_table_chunk row{};
    for (size_t i = first; i < slots.size() && i < first + PORTOLAN_CHUNK_SLOTS; i++) {
      row.backend[i - first] = slots[i];
    }
    const uint32_t index = chunk + first / PORTOLAN_CHUNK_SLOTS;
    bpf_map_update_elem(map("maglev"), &index, &row, BPF_ANY);
  }
  portolan_frontend_info info{};
  bpf_map_lookup_elem(map("frontend_info"), &id, &info);
  info.flags = PORTOLAN_FRONTEND_ALIVE;
  info.group = kGroup;
  bpf_map_update_elem(map("frontend_info"), &id, &info, BPF_ANY);
  const portolan_frontend_key key = FrontendKey(ipv6, address, port, protocol);
  portolan_frontend frontend{};
  if (bpf_map_lookup_elem(map("frontends"), &key, &frontend) != 0) CountAddress(ipv6, address, 1);
  frontend = {};
  frontend.id = id;
  frontend.group = kGroup;
  frontend.epoch = info.epoch;
  frontend.table_offset = chunk * PORTOLAN_CHUNK_SLOTS;
  frontend.table_size = slots.size();
  frontend.internal_offset = frontend.table_offset;
  frontend.internal_size = frontend.table_size;
  bpf_map_update_elem(map("frontends"), &key, &frontend, BPF_ANY);
  AddFilter(ipv6, address, PORTOLAN_FILTER_FRONTEND);
}

void Harness::RemoveFrontend(uint32_t id, bool ipv6, const std::string& address, uint16_t port,
                             uint8_t protocol) {
  const portolan_frontend_key key = FrontendKey(ipv6, address, port, protocol);
  if (bpf_map_delete_elem(map("frontends"), &key) == 0) CountAddress(ipv6, address, -1);
  portolan_frontend_info info{};
  bpf_map_lookup_elem(map("frontend_info"), &id, &info);
  info.epoch += 1;
  info.flags = 0;
  bpf_map_update_elem(map("frontend_info"), &id, &info, BPF_ANY);
}

void Harness::SetAffinity(bool ipv6, const std::string& address, uint16_t port, uint8_t protocol,
                          uint32_t seconds) {
  const portolan_frontend_key key = FrontendKey(ipv6, address, port, protocol);
  portolan_frontend frontend{};
  bpf_map_lookup_elem(map("frontends"), &key, &frontend);
  frontend.affinity_s = seconds;
  bpf_map_update_elem(map("frontends"), &key, &frontend, BPF_ANY);
}

void Harness::SetSources(uint32_t id, bool ipv6, const std::string& address, uint16_t port,
                         uint8_t protocol, const std::vector<SourceSpec>& sources) {
  for (const SourceSpec& source : sources) {
    portolan_source_key key{};
    key.group = kGroup;
    key.prefix_length = PORTOLAN_SOURCE_FIXED_BITS + source.prefix_length;
    key.family = ipv6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
    AddressWords(ipv6, source.address, key.address);
    const portolan_source value{.allowed = source.allowed ? 1u : 0u};
    bpf_map_update_elem(map("sources"), &key, &value, BPF_ANY);
  }
  portolan_frontend_info info{};
  bpf_map_lookup_elem(map("frontend_info"), &id, &info);
  const uint16_t flags = sources.empty() ? 0 : PORTOLAN_FRONTEND_SOURCES;
  info.flags = PORTOLAN_FRONTEND_ALIVE | flags;
  bpf_map_update_elem(map("frontend_info"), &id, &info, BPF_ANY);
  const portolan_frontend_key key = FrontendKey(ipv6, address, port, protocol);
  portolan_frontend frontend{};
  bpf_map_lookup_elem(map("frontends"), &key, &frontend);
  frontend.flags = flags;
  bpf_map_update_elem(map("frontends"), &key, &frontend, BPF_ANY);
}

void Harness::OpenTunnelsFrom(bool ipv6, const SourceSpec& source) {
  portolan_source_key key{};
  key.group = PORTOLAN_SOURCE_TUNNELS;
  key.prefix_length = PORTOLAN_SOURCE_FIXED_BITS + source.prefix_length;
  key.family = ipv6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  AddressWords(ipv6, source.address, key.address);
  const portolan_source value{.allowed = source.allowed ? 1u : 0u};
  bpf_map_update_elem(map("sources"), &key, &value, BPF_ANY);
}

void Harness::SetSilent(bool ipv6, const std::string& address) {
  portolan_address_key key{};
  AddressWords(ipv6, address, key.address);
  key.family = ipv6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  portolan_address value{};
  bpf_map_lookup_elem(map("addresses"), &key, &value);
  value.silent = 1;
  bpf_map_update_elem(map("addresses"), &key, &value, BPF_ANY);
}

void Harness::SetIdle(uint32_t id, uint32_t seconds) {
  portolan_frontend_info info{};
  bpf_map_lookup_elem(map("frontend_info"), &id, &info);
  info.idle_s = seconds;
  bpf_map_update_elem(map("frontend_info"), &id, &info, BPF_ANY);
}

void Harness::SetInternalTable(bool ipv6, const std::string& address, uint16_t port,
                               uint8_t protocol, uint32_t chunk, uint32_t slots) {
  const portolan_frontend_key key = FrontendKey(ipv6, address, port, protocol);
  portolan_frontend frontend{};
  bpf_map_lookup_elem(map("frontends"), &key, &frontend);
  frontend.internal_offset = chunk * PORTOLAN_CHUNK_SLOTS;
  frontend.internal_size = slots;
  bpf_map_update_elem(map("frontends"), &key, &frontend, BPF_ANY);
}

uint32_t Harness::VerifiedInstructions(Program program) const {
  bpf_prog_info info{};
  __u32 size = sizeof(info);
  bpf_obj_get_info_by_fd(this->program(program), &info, &size);
  return info.verified_insns;
}

void Harness::SetNeighbour(const NeighbourEntry& entry) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  portolan_neighbour neighbour{};
  AddressWords(entry.ipv6, entry.address, neighbour.key.address);
  neighbour.key.ifindex = entry.ifindex;
  neighbour.key.vlan = entry.vlan;
  neighbour.key.family = entry.ipv6 ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  neighbour.until_ns = now.tv_sec * 1'000'000'000ll + now.tv_nsec + entry.lease_ns;
  memcpy(neighbour.mac, entry.mac.data(), sizeof(neighbour.mac));
  const uint32_t index = portolan_neighbour_bucket(&neighbour.key);
  portolan_neighbours bucket{};
  bpf_map_lookup_elem(map("neighbours"), &index, &bucket);
  bucket.place[entry.place] = neighbour;
  bpf_map_update_elem(map("neighbours"), &index, &bucket, BPF_ANY);
}

portolan_counter Harness::Counter(const char* name, uint32_t index) const {
  return SumAt(map(name), &index);
}

std::vector<Harness::ServiceDrop> Harness::ServiceDrops() const {
  std::vector<ServiceDrop> rows;
  ServiceDrop row;
  const int fd = map("service_drops");
  const portolan_service_drop_key* previous = nullptr;
  while (bpf_map_get_next_key(fd, previous, &row.key) == 0) {
    row.counter = SumAt(fd, &row.key);
    rows.push_back(row);
    previous = &row.key;
  }
  return rows;
}

int Harness::FlowCount(bool ipv6) const {
  const int fd = map(ipv6 ? "flows6" : "flows4");
  portolan_flow_key6 key{};
  portolan_flow_key6 next{};
  int count = 0;
  void* previous = nullptr;
  while (bpf_map_get_next_key(fd, previous, &next) == 0) {
    key = next;
    previous = &key;
    count++;
  }
  return count;
}

void Harness::ForgetFlows() {
  // In batches: there may be millions.
  constexpr uint32_t kBatch = 1 << 16;
  std::vector<portolan_flow_key6> keys(kBatch);
  std::vector<portolan_flow6> values(kBatch);
  for (const char* name : {"flows4", "flows6"}) {
    uint32_t position = 0;
    int error = 0;
    for (void* from = nullptr; error == 0; from = &position) {
      uint32_t count = kBatch;
      error = bpf_map_lookup_and_delete_batch(map(name), from, &position, keys.data(),
                                              values.data(), &count, nullptr);
    }
  }
}

void Harness::DeleteFlow(const PacketSpec& packet) {
  uint32_t source[4], destination[4];
  AddressWords(packet.ipv6, packet.source, source);
  AddressWords(packet.ipv6, packet.destination, destination);
  if (packet.ipv6) {
    portolan_flow_key6 key{};
    memcpy(key.saddr, source, sizeof(source));
    memcpy(key.daddr, destination, sizeof(destination));
    key.sport = htons(packet.source_port);
    key.dport = htons(packet.destination_port);
    key.protocol = packet.protocol;
    bpf_map_delete_elem(map("flows6"), &key);
    return;
  }
  portolan_flow_key4 key{};
  key.saddr = source[0];
  key.daddr = destination[0];
  key.sport = htons(packet.source_port);
  key.dport = htons(packet.destination_port);
  key.protocol = packet.protocol;
  bpf_map_delete_elem(map("flows4"), &key);
}

int Harness::map(const char* name) const {
  const int shared = bpf_object__find_map_fd_by_name(tc_, name);
  return shared >= 0 || xdp_ == nullptr ? shared : bpf_object__find_map_fd_by_name(xdp_, name);
}

int Harness::program(Program program) const { return program == Program::kXdp ? xdp_fd_ : tc_fd_; }

const bpf_object* Harness::object(Program program) const {
  return program == Program::kXdp ? xdp_ : tc_;
}

}  // namespace portolan::bpf
