// Reads and writes the maps. Executes batches, keeps the address filter in step, reads counters.
//
// Operations of one kind in a row are done with as few system calls as the kernel allows.
//
// Borrows the descriptors of Objects, which must outlive it. Single-threaded; calls do not block
// longer than the system calls take.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bpf/include/datapath_maps.h"
#include "services/datapath-loader/core/map_image.h"
#include "services/datapath-loader/shell/objects.h"

namespace portolan::datapath {

// What the programs take from the configuration and the machine.
struct ProgramSettings {
  uint32_t hash_seed = 0;
  absl::Duration tcp_idle = absl::Seconds(8000);
  absl::Duration udp_idle = absl::Seconds(300);
  uint16_t port_first = 61000;  // source ports of translated flows, inclusive
  uint16_t port_last = 65535;
  bool answer_echo = true;
  bool keep_routes = false;  // addresses alone decide on routes
  SourceRules tunnels;       // whose tunnels end here
  friend bool operator==(const ProgramSettings&, const ProgramSettings&) = default;
};

// One row of the map "service_drops", summed over the processors.
struct ServiceDrop {
  uint32_t frontend = 0;                  // id; 0: it concerns an address as a whole
  std::optional<net::IpAddress> address;  // then
  uint16_t epoch = 0;
  portolan_drop reason = PORTOLAN_DROP_NO_PORT;
  portolan_counter counter{};
};

class KernelMaps {
 public:
  static absl::StatusOr<std::unique_ptr<KernelMaps>> Open(const Objects& objects);
  ~KernelMaps();

  // Everything that is there, and the filter made to fit it. Once, before the first batch.
  absl::StatusOr<MapImage> Read();
  // Nothing when they are as last written.
  absl::Status Write(const ProgramSettings& settings);
  // One result per operation; after a failure what of that group has another kind is ABORTED.
  // Messages begin with "map NAME: ".
  std::vector<absl::Status> Execute(const MapBatch& batch);

  portolan_counter Drops(portolan_drop reason) const;
  // The next rows, from `position` on (absent: from the start), which moves on; absent again: that
  // were all. Rows of frontends that are no more are deleted.
  std::vector<ServiceDrop> ServiceDrops(std::optional<uint32_t>& position) const;
  // Of `count` ids from `first` on, summed over the processors; 0 for what cannot be read.
  void FrontendCounters(uint32_t first, uint32_t count,
                        std::vector<portolan_counter>& counters) const;
  void BackendCounters(uint32_t first, uint32_t count,
                       std::vector<portolan_counter>& counters) const;

 private:
  // How many living things stand behind each bit of the filter.
  class Filter {
   public:
    explicit Filter(portolan_address_filter* bits) : bits_(bits) {}
    void Add(uint8_t bit, const net::IpAddress& address);
    void Remove(uint8_t bit, const net::IpAddress& address);
    // Takes away the bits that nobody has added.
    void DropStrangers();

   private:
    std::vector<uint32_t>& CountsOf(uint8_t bit);
    portolan_address_filter* bits_;
    std::vector<uint32_t> frontends_ = std::vector<uint32_t>(PORTOLAN_FILTER_SIZE);
    std::vector<uint32_t> backends_ = std::vector<uint32_t>(PORTOLAN_FILTER_SIZE);
  };

  explicit KernelMaps(const Objects& objects) : objects_(objects) {}
  absl::Status ReadFrontends(MapImage& image) const;
  absl::Status ReadBackends(MapImage& image) const;
  absl::Status ReadSources(MapImage& image) const;
  absl::Status WriteTunnels(const SourceRules& wanted);
  // Makes the map "addresses" name those of the frontends, and no others.
  absl::Status ResetAddresses();
  // The operations of `batch` at the places `run`, all of one kind; `results` are OK before.
  template <typename C>
  void DoAll(const C& kind, const MapBatch& batch, const std::vector<size_t>& run,
             std::vector<absl::Status>& results);
  void DoAll(const WriteBackend& kind, const MapBatch& batch, const std::vector<size_t>& run,
             std::vector<absl::Status>& results);
  void DoAll(const OpenFrontend& kind, const MapBatch& batch, const std::vector<size_t>& run,
             std::vector<absl::Status>& results);
  void DoAll(const WriteFrontend& kind, const MapBatch& batch, const std::vector<size_t>& run,
             std::vector<absl::Status>& results);
  absl::Status Do(const WriteTable& change);
  absl::Status Do(const DeleteFrontend& change);
  absl::Status Do(const CloseFrontend& change);
  absl::Status Do(const RetireBackend& change);
  absl::Status Do(const WriteSource& change);
  absl::Status Do(const DeleteSource& change);
  void ReadCounters(const char* map, uint32_t first, uint32_t count,
                    std::vector<portolan_counter>& counters) const;

  const Objects& objects_;
  std::optional<ProgramSettings> settings_;  // as written
  uint32_t* row_ = nullptr;                  // the mapped tables
  portolan_address_filter* filter_bits_ = nullptr;
  std::unique_ptr<Filter> filter_;
  std::map<FrontendKey, bool> frontends_;                   // living; is it silent
  std::map<net::IpAddress, portolan_address> addresses_;    // of those
  absl::flat_hash_map<uint32_t, net::IpAddress> backends_;  // living
};

}  // namespace portolan::datapath
