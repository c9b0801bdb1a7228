// Reads and writes the maps. Executes batches, keeps the address filter in step, reads counters.
//
// Borrows the descriptors of Objects, which must outlive it. Single-threaded; calls do not block
// longer than the system calls take.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

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
  bool refuse_unserved = true;
  bool keep_routes = false;  // addresses alone decide on routes
  friend bool operator==(const ProgramSettings&, const ProgramSettings&) = default;
};

class KernelMaps {
 public:
  static absl::StatusOr<std::unique_ptr<KernelMaps>> Open(const Objects& objects);
  ~KernelMaps();

  // Everything that is there, and the filter made to fit it. Once, before the first batch.
  absl::StatusOr<MapImage> Read();
  // Nothing when they are as last written.
  absl::Status Write(const ProgramSettings& settings);
  // One result per operation; after a failure the rest of that group is ABORTED. Messages begin
  // with "map NAME: ".
  std::vector<absl::Status> Execute(const MapBatch& batch);

  portolan_counter Counter(uint32_t frontend_id) const;
  portolan_counter Drops(portolan_drop reason) const;

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
    std::map<uint32_t, uint32_t>& CountsOf(uint8_t bit);
    portolan_address_filter* bits_;
    std::map<uint32_t, uint32_t> frontends_;
    std::map<uint32_t, uint32_t> backends_;
  };

  explicit KernelMaps(const Objects& objects) : objects_(objects) {}
  absl::Status ReadFrontends(MapImage& image) const;
  absl::Status ReadBackends(MapImage& image) const;
  absl::Status ReadSources(MapImage& image) const;
  // Makes the map "addresses" name those of the frontends, and no others.
  absl::Status ResetAddresses();
  absl::Status CountAddress(const net::IpAddress& address, int change);
  absl::Status Do(const WriteBackend& change);
  absl::Status Do(const WriteTable& change);
  absl::Status Do(const OpenFrontend& change);
  absl::Status Do(const WriteFrontend& change);
  absl::Status Do(const DeleteFrontend& change);
  absl::Status Do(const CloseFrontend& change);
  absl::Status Do(const RetireBackend& change);
  absl::Status Do(const WriteSource& change);
  absl::Status Do(const DeleteSource& change);
  portolan_counter Sum(int fd, uint32_t index) const;

  const Objects& objects_;
  std::optional<ProgramSettings> settings_;  // as written
  uint32_t* row_ = nullptr;  // the mapped tables
  portolan_address_filter* filter_bits_ = nullptr;
  std::unique_ptr<Filter> filter_;
  std::map<FrontendKey, uint32_t> frontends_;     // living, with ids
  std::map<net::IpAddress, uint32_t> addresses_;  // of those, how many each has
  std::map<uint32_t, net::IpAddress> backends_;   // living
};

}  // namespace portolan::datapath
