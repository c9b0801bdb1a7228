// Between the wire form and the core's values. Pure functions.
//
// Nothing is refused here: what cannot be read leaves a sentence in `problem` of the value, and the
// engine answers with a status on that object.
#pragma once

#include <string>

#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/bgp/v1alpha1/bgp.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/bgp-exporter/core/events.h"

namespace portolan::bgp {

InstanceConfig FromProto(const config::v1alpha1::BgpInstance& proto);
PeerConfig FromProto(const config::v1alpha1::BgpPeer& proto);
AdvertisementConfig FromProto(const config::v1alpha1::BgpAdvertisement& proto);
NodeConfig FromProto(const config::v1alpha1::Node& proto);
// An address that cannot be read is left out: ipam-service does not write such.
AllocationInput FromProto(const allocation::v1alpha1::Allocation& proto);
DatapathInput FromProto(const status::v1alpha1::ObjectStatus& proto);

// `since` is the wall time of PeerView::since.
v1alpha1::PeerState ToProto(const PeerView& view, const std::string& node, absl::Time since);
v1alpha1::Route ToProto(const RouteView& view, const std::string& node);
status::v1alpha1::ObjectStatus ToProto(const StatusView& view, const std::string& node);

// Keys of the published streams.
std::string PeerKey(const std::string& node, const std::string& peer);
std::string RouteKey(const std::string& node, const std::string& peer, const net::Prefix& prefix);
std::string StatusKey(const std::string& node, const std::string& kind, const std::string& key);

}  // namespace portolan::bgp
