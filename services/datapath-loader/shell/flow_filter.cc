#include "services/datapath-loader/shell/flow_filter.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

std::set<uint32_t> SetOf(const std::vector<uint32_t>& ids) { return {ids.begin(), ids.end()}; }

}  // namespace

absl::StatusOr<FlowFilter> FlowFilter::Read(const v1alpha1::FlowFilter& filter,
                                            const Directory& directory, const ServiceNames& names) {
  FlowFilter read;
  if (!filter.service().empty()) {
    read.frontends_ = SetOf(names.FrontendsOf(filter.service()));
    if (read.frontends_->empty()) {
      return absl::NotFoundError(absl::StrCat("filter.service: this node carries no Service \"",
                                              filter.service(), "\"; see `portolan get services`"));
    }
  }
  if (!filter.backend().empty()) {
    const auto address = net::IpAddress::Parse(filter.backend());
    if (!address.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("filter.backend: \"", filter.backend(),
                                                     "\" is not an address; give one without "
                                                     "port or length"));
    }
    read.backends_ = SetOf(directory.BackendsAt(*address));
    if (read.backends_->empty()) {
      return absl::NotFoundError(
          absl::StrCat("filter.backend: no Service of this node has a "
                       "backend ",
                       filter.backend()));
    }
  }
  if (!filter.client().empty()) {
    const auto address = net::IpAddress::Parse(filter.client());
    const auto prefix =
        address.ok() ? net::Prefix::Host(*address) : net::Prefix::Parse(filter.client());
    if (!prefix.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("filter.client: ", std::string(prefix.status().message())));
    }
    read.client_ = *prefix;
  }
  return read;
}

bool FlowFilter::Matches(const portolan_flow& flow, const __be32* client, bool ipv6) const {
  if (frontends_.has_value() && !frontends_->contains(flow.frontend)) return false;
  if (backends_.has_value() && !backends_->contains(flow.backend)) return false;
  if (!client_.has_value()) return true;
  if ((client_->family() == net::Family::kIpv6) != ipv6) return false;
  return client_->Contains(AddressOf(client, ipv6));
}

}  // namespace portolan::datapath
