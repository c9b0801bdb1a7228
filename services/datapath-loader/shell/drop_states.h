// What was dropped, by Service and reason: the stream DropState and the metric.
//
// A sweep reads the map "service_drops" in pieces, adds what has grown since the last one, and
// publishes what changed. Sums never fall while their Service lives: rows of its frontends may come
// and go. What concerns an address as a whole is kept under the address, as long as its row is
// there. Belongs to the publisher; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/base/metrics/page.h"
#include "services/base/wire/hub.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/shell/kernel_maps.h"

namespace portolan::datapath {

class DropStates {
 public:
  // Pairs of Service and reason that the metric names; what has dropped later is summed up under
  // the Service "others".
  static constexpr size_t kMostInMetric = 1000;

  // Creates the writer: before the first reader comes.
  DropStates(wire::Hub& hub, std::string node);

  void Put(const FrontendView& view);
  void Remove(const FrontendKey& key);

  // One piece of the work. True: there is more of this sweep, call again.
  bool Sweep(const KernelMaps& maps);
  // The rows of a piece; `last`: of the sweep's last one.
  void Take(const std::vector<ServiceDrop>& rows, bool last);
  void MarkSynced() { writer_.MarkSynced(); }
  void Collect(metrics::Page& page) const;

 private:
  using RowKey = std::tuple<uint32_t, uint16_t, std::optional<net::IpAddress>, portolan_drop>;
  // Service or address, and the reason.
  using SumKey = std::pair<std::string, portolan_drop>;
  struct Sum {
    bool of_address = false;
    portolan_counter counter{};
    bool in_metric = false;
  };
  struct Seen {
    portolan_counter counter{};
    bool in_this_sweep = false;
  };

  void ForgetRows();
  void Publish(const SumKey& key, const Sum& sum);
  void Erase(const SumKey& key);

  const std::string node_;
  wire::Writer writer_;
  std::map<FrontendKey, FrontendView> views_;
  absl::flat_hash_map<uint32_t, FrontendKey> ids_;
  std::map<std::string, int> frontends_;  // of each Service
  std::map<RowKey, Seen> seen_;
  std::map<SumKey, Sum> sums_;
  size_t in_metric_ = 0;
  std::optional<uint32_t> position_;
};

}  // namespace portolan::datapath
