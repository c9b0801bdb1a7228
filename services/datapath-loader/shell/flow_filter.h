// Which flows are meant: v1alpha1.FlowFilter, read once and compared by ids and numbers.
// Belongs to the control thread; true for the Directory that it was made with.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "absl/status/statusor.h"
#include "api/proto/datapath/v1alpha1/control.pb.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/net/prefix.h"
#include "services/datapath-loader/shell/directory.h"
#include "services/datapath-loader/shell/service_names.h"

namespace portolan::datapath {

class FlowFilter {
 public:
  // INVALID_ARGUMENT: a backend that is no address, a client that is no prefix. NOT_FOUND: a
  // Service or a backend that this node does not carry.
  static absl::StatusOr<FlowFilter> Read(const v1alpha1::FlowFilter& filter,
                                         const Directory& directory, const ServiceNames& names);

  bool has_conditions() const {
    return frontends_.has_value() || backends_.has_value() || client_.has_value();
  }
  // `client`: words as in the flow's key.
  bool Matches(const portolan_flow& flow, const __be32* client, bool ipv6) const;

 private:
  std::optional<std::set<uint32_t>> frontends_;
  std::optional<std::set<uint32_t>> backends_;
  std::optional<net::Prefix> client_;
};

}  // namespace portolan::datapath
