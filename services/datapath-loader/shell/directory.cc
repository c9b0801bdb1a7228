#include "services/datapath-loader/shell/directory.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/kernel_tick.h"
#include "services/datapath-loader/shell/layout.h"
#include "services/datapath-loader/shell/map_scan.h"

namespace portolan::datapath {

net::IpAddress AddressOf(const __be32* words, bool ipv6) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(words);
  return *net::IpAddress::FromBytes(absl::MakeConstSpan(bytes, ipv6 ? 16 : 4));
}

void PutAddress(const net::IpAddress& address, __be32* words) {
  const std::string bytes = address.ToBytes();
  memset(words, 0, 16);
  memcpy(words, bytes.data(), bytes.size());
}

std::string EndpointOf(const portolan_backend& backend) {
  const bool ipv6 = backend.family == PORTOLAN_FAMILY_IPV6;
  const std::string address = AddressOf(backend.address, ipv6).ToString();
  return absl::StrCat(ipv6 ? "[" : "", address, ipv6 ? "]:" : ":", ntohs(backend.port));
}

absl::StatusOr<Directory> Directory::Read(const LiveMaps& maps) {
  Directory directory;
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(maps.map("settings_map"), &zero, &directory.settings_) != 0) {
    return absl::UnavailableError(absl::StrCat("map settings_map: ", strerror(errno)));
  }
  ASSIGN_OR_RETURN(directory.tick_, CurrentTick(directory.settings_.tick_shift));
  RETURN_IF_ERROR(directory.ReadFrontends(maps));
  RETURN_IF_ERROR(directory.ReadBackends(maps));
  return directory;
}

absl::Status Directory::ReadFrontends(const LiveMaps& maps) {
  MapScan<uint32_t, portolan_frontend_info> infos(maps.map("frontend_info"));
  infos_.resize(maps.limits().frontends + 1);
  while (true) {
    ASSIGN_OR_RETURN(const bool more, infos.Next());
    if (!more) break;
    for (size_t i = 0; i < infos.size(); i++) {
      if (infos.key(i) < infos_.size()) infos_[infos.key(i)] = infos.value(i);
    }
  }
  MapScan<portolan_frontend_key, portolan_frontend> scan(maps.map("frontends"));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, scan.Next());
    if (!more) break;
    for (size_t i = 0; i < scan.size(); i++) {
      ASSIGN_OR_RETURN(const FrontendKey key, FromKernel(scan.key(i)));
      const portolan_frontend& value = scan.value(i);
      frontends_[value.id] = {key, value.id, value.epoch, value.group};
      ids_[key] = value.id;
    }
  }
  return absl::OkStatus();
}

absl::Status Directory::ReadBackends(const LiveMaps& maps) {
  MapScan<uint32_t, portolan_backend> scan(maps.map("backends"));
  backends_.resize(maps.limits().backends + 1);
  while (true) {
    ASSIGN_OR_RETURN(const bool more, scan.Next());
    if (!more) return absl::OkStatus();
    for (size_t i = 0; i < scan.size(); i++) {
      const portolan_backend& entry = scan.value(i);
      if (scan.key(i) >= backends_.size() || !(entry.flags & PORTOLAN_BACKEND_ALIVE)) continue;
      Backend& backend = backends_[scan.key(i)];
      const bool ipv6 = entry.family == PORTOLAN_FAMILY_IPV6;
      backend.id = scan.key(i);
      backend.entry = entry;
      backend.address = AddressOf(entry.address, ipv6);
      backend.port = ntohs(entry.port);
      const net::IpAddress source = AddressOf(entry.source, ipv6);
      if (!source.IsUnspecified()) backend.source = source;
      backend_ids_[{entry.group, backend.address, backend.port, entry.protocol}] = backend.id;
    }
  }
}

const Directory::Frontend* Directory::FindFrontend(uint32_t id) const {
  const auto frontend = frontends_.find(id);
  return frontend == frontends_.end() ? nullptr : &frontend->second;
}

const Directory::Frontend* Directory::FindFrontend(const FrontendKey& key) const {
  const auto id = ids_.find(key);
  return id == ids_.end() ? nullptr : FindFrontend(id->second);
}

const Directory::Backend* Directory::FindBackend(uint32_t id) const {
  return id < backends_.size() && backends_[id].id != 0 ? &backends_[id] : nullptr;
}

const Directory::Backend* Directory::FindBackend(uint32_t group, const net::IpAddress& address,
                                                 uint16_t port, uint8_t protocol) const {
  const auto id = backend_ids_.find({group, address, port, protocol});
  return id == backend_ids_.end() ? nullptr : FindBackend(id->second);
}

std::vector<uint32_t> Directory::BackendsAt(const net::IpAddress& address) const {
  std::vector<uint32_t> ids;
  for (const Backend& backend : backends_) {
    if (backend.id != 0 && backend.address == address) ids.push_back(backend.id);
  }
  return ids;
}

// As living_flow() in bpf/lib/flow.h.
bool Directory::IsLiving(const portolan_flow& flow, uint8_t protocol) const {
  if (flow.frontend >= infos_.size()) return false;
  const portolan_frontend_info& info = infos_[flow.frontend];
  const Backend* backend = FindBackend(flow.backend);
  if (info.epoch != flow.frontend_epoch || backend == nullptr ||
      backend->entry.epoch != flow.backend_epoch) {
    return false;
  }
  constexpr uint32_t kFinBoth = PORTOLAN_FLOW_FIN_FORWARD | PORTOLAN_FLOW_FIN_REVERSE;
  uint32_t limit = protocol == kTcp ? settings_.tcp_idle : settings_.udp_idle;
  if (info.idle_s != 0) limit = Ticks(info.idle_s);
  if ((flow.flags & PORTOLAN_FLOW_RST) || (flow.flags & kFinBoth) == kFinBoth) {
    limit = settings_.closing_idle;
  }
  return tick_ - flow.last <= limit;
}

uint32_t Directory::Ticks(uint32_t seconds) const {
  return static_cast<uint64_t>(seconds) * settings_.ticks_per_256s / 256;
}

uint32_t Directory::IdleSeconds(const portolan_flow& flow) const {
  if (settings_.ticks_per_256s == 0) return 0;
  return static_cast<uint64_t>(tick_ - flow.last) * 256 / settings_.ticks_per_256s;
}

uint32_t Directory::TickBefore(uint32_t idle_s) const { return tick_ - Ticks(idle_s); }

}  // namespace portolan::datapath
