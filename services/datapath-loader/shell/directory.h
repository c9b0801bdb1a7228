// What the ids in the maps stood for when it was read: frontends, backends, the rules by which a
// flow lives. Read whole, by batches; some milliseconds for the largest maps.
// Belongs to the control thread; a value, true for the moment of Read() only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/net/ip_address.h"
#include "services/datapath-loader/core/types.h"
#include "services/datapath-loader/shell/live_maps.h"

namespace portolan::datapath {

class Directory {
 public:
  struct Frontend {
    FrontendKey key;
    uint32_t id = 0;
    uint16_t epoch = 0;
    uint32_t group = 0;
  };
  struct Backend {
    uint32_t id = 0;
    portolan_backend entry{};
    net::IpAddress address;
    uint16_t port = 0;
    std::optional<net::IpAddress> source;
  };

  static absl::StatusOr<Directory> Read(const LiveMaps& maps);

  const Frontend* FindFrontend(uint32_t id) const;
  const Frontend* FindFrontend(const FrontendKey& key) const;
  const Backend* FindBackend(uint32_t id) const;
  const Backend* FindBackend(uint32_t group, const net::IpAddress& address, uint16_t port,
                             uint8_t protocol) const;
  // All lives that are in force of an address.
  std::vector<uint32_t> BackendsAt(const net::IpAddress& address) const;

  bool IsLiving(const portolan_flow& flow, uint8_t protocol) const;
  uint32_t IdleSeconds(const portolan_flow& flow) const;
  uint32_t TickBefore(uint32_t idle_s) const;
  uint32_t tick() const { return tick_; }

 private:
  absl::Status ReadFrontends(const LiveMaps& maps);
  absl::Status ReadBackends(const LiveMaps& maps);
  uint32_t Ticks(uint32_t seconds) const;

  portolan_settings settings_{};
  uint32_t tick_ = 0;
  std::vector<portolan_frontend_info> infos_;  // index = id
  std::map<uint32_t, Frontend> frontends_;     // by id
  std::map<FrontendKey, uint32_t> ids_;
  std::vector<Backend> backends_;  // index = id; entry.flags 0: not in force
  std::map<std::tuple<uint32_t, net::IpAddress, uint16_t, uint8_t>, uint32_t> backend_ids_;
};

// Address words as in the maps.
net::IpAddress AddressOf(const __be32* words, bool ipv6);
// "10.0.0.1:8080", "[fd00::1]:8080"
std::string EndpointOf(const portolan_backend& backend);
// Four of them; those that an IPv4 address does not need are 0.
void PutAddress(const net::IpAddress& address, __be32* words);

}  // namespace portolan::datapath
