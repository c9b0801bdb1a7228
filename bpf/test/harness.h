// Both programs over one set of private, unpinned maps, fed through BPF_PROG_RUN: packet in,
// packet out. Needs root. Not thread-safe.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bpf/include/datapath_maps.h"
#include "bpf/test/packets.h"

struct bpf_object;

namespace portolan::bpf {

enum class Program { kXdp, kTc };

struct Outcome {
  int verdict = -100;  // XDP_* or TC_ACT_*
  Bytes packet;
  uint32_t nanoseconds = 0;  // average of the repetitions

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

struct BackendSpec {
  bool ipv6 = false;
  std::string address;
  uint16_t port = 0;
  uint8_t protocol = 6;
  std::string source;         // not empty: source translation
  bool keeps_client = false;  // `source` is only known, for hairpins
  bool rests = false;         // takes no new flows
  uint16_t flags = 0;         // PORTOLAN_BACKEND_DSR, PORTOLAN_BACKEND_TUNNEL
};

// Who may come: a prefix and whether.
struct SourceSpec {
  std::string address;
  uint32_t prefix_length = 0;
  bool allowed = true;
};

class Harness {
 public:
  struct Sizes {
    uint32_t flows = 4096;  // entries per family
    uint32_t flows6 = 0;    // IPv6 only; 0: as above
    uint32_t frontends = 64;
    uint32_t backends = 256;
    uint32_t chunks = 512;
  };

  static absl::StatusOr<std::unique_ptr<Harness>> Load(const Sizes& sizes);
  ~Harness();

  // As after Load(): empty maps, first settings. Loading takes the verifier a while.
  void Reset();

  Outcome Run(Program program, const Bytes& packet, uint32_t repeat = 1);
  // An XDP program that is not ours.
  Outcome RunXdp(int program, const Bytes& packet, uint32_t repeat = 1) const;
  // The interface that packets seem to come from; its MAC must be that of the packets.
  void set_ifindex(uint32_t ifindex);
  // What the programs know of an interface; PORTOLAN_INTERFACE_*.
  void SetInterface(uint32_t ifindex, const uint8_t mac[6], uint16_t flags);

  portolan_settings settings() const { return settings_; }
  void SetSettings(const portolan_settings& settings);
  // Puts a backend in force under `id`, one epoch further than what had the id before.
  void SetBackend(uint32_t id, const BackendSpec& spec);
  void RetireBackend(uint32_t id);
  // The same life of the backend, with other flags.
  void RestBackend(uint32_t id);
  // A frontend whose table has one slot per entry of `slots`, at chunk `chunk`.
  void SetFrontend(uint32_t id, bool ipv6, const std::string& address, uint16_t port,
                   uint8_t protocol, uint32_t chunk, const std::vector<uint32_t>& slots);
  void RemoveFrontend(uint32_t id, bool ipv6, const std::string& address, uint16_t port,
                      uint8_t protocol);

  // Of a frontend that is there: session affinity (a tick counts as a second); sources (none: all).
  void SetAffinity(bool ipv6, const std::string& address, uint16_t port, uint8_t protocol,
                   uint32_t seconds);
  void SetSources(uint32_t id, bool ipv6, const std::string& address, uint16_t port,
                  uint8_t protocol, const std::vector<SourceSpec>& sources);

  // Opens tunnels that come from there.
  void OpenTunnelsFrom(bool ipv6, const SourceSpec& source);

  // What a frontend has beside its table: PORTOLAN_FRONTEND_SILENT, its own idle time, and a table
  // for the inside.
  void SetSilent(bool ipv6, const std::string& address);
  // All frontends that are set from now on are of services that refuse nobody.
  void set_silent() { silent_ = true; }
  void SetIdle(uint32_t id, uint32_t seconds);
  void SetInternalTable(bool ipv6, const std::string& address, uint16_t port, uint8_t protocol,
                        uint32_t chunk, uint32_t slots);

  // ARP and ND are answered for an address, by the key's interface and VLAN, for `lease_ns` more
  // nanoseconds (negative: it has run out). In place `place` of its bucket.
  struct NeighbourEntry {
    bool ipv6 = false;
    std::string address;
    uint32_t ifindex = 1;
    uint16_t vlan = 0;
    Bytes mac = {0x02, 0, 0, 0, 0, 1};
    int64_t lease_ns = 3'600'000'000'000;
    int place = 0;
  };
  void SetNeighbour(const NeighbourEntry& entry);

  // Instructions that the verifier went through.
  uint32_t VerifiedInstructions(Program program) const;
  portolan_counter Counter(const char* map, uint32_t index) const;  // summed over CPUs
  // Rows of map "service_drops".
  struct ServiceDrop {
    portolan_service_drop_key key{};
    portolan_counter counter{};  // summed over CPUs
  };
  std::vector<ServiceDrop> ServiceDrops() const;
  int FlowCount(bool ipv6) const;
  void ForgetFlows();
  // Removes the entry that `packet` would hit, as the LRU might.
  void DeleteFlow(const PacketSpec& packet);
  int map(const char* name) const;  // -1: there is none
  int program(Program program) const;
  // BTF of an object, to check the layout: owned by the harness.
  const bpf_object* object(Program program) const;

 private:
  Harness() = default;
  absl::Status Open(const Sizes& sizes);
  void AddFilter(bool ipv6, const std::string& address, uint8_t bits);
  void CountAddress(bool ipv6, const std::string& address, int change);

  bpf_object* tc_ = nullptr;
  bpf_object* xdp_ = nullptr;
  int tc_fd_ = -1;
  int xdp_fd_ = -1;
  Sizes sizes_;
  bool silent_ = false;
  uint32_t ifindex_ = 1;
  portolan_settings settings_{};
};

}  // namespace portolan::bpf
