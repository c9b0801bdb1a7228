#include "services/bgp-exporter/shell/convert.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/selector/selector_proto.h"
#include "services/bgp-exporter/core/community.h"

namespace portolan::bgp {
namespace {

constexpr absl::string_view kComponent = "bgp";

void Complain(std::string& problem, std::string text) {
  if (problem.empty()) problem = std::move(text);
}

// Empty text: absent.
std::optional<net::IpAddress> ReadAddress(const std::string& text, absl::string_view field,
                                          std::string& problem) {
  if (text.empty()) return std::nullopt;
  auto address = net::IpAddress::Parse(text);
  if (address.ok()) return *address;
  Complain(problem, absl::StrCat(field, ": ", address.status().message()));
  return std::nullopt;
}

uint16_t ReadU16(uint32_t value, uint32_t largest, absl::string_view field, std::string& problem) {
  if (value <= largest) return static_cast<uint16_t>(value);
  Complain(problem, absl::StrCat(field, " is ", value, ", the largest is ", largest));
  return 0;
}

status::v1alpha1::State ToProto(StatusState state) {
  switch (state) {
    case StatusState::kPending:
      return status::v1alpha1::STATE_PENDING;
    case StatusState::kReady:
      return status::v1alpha1::STATE_READY;
    case StatusState::kDegraded:
      return status::v1alpha1::STATE_DEGRADED;
    case StatusState::kRejected:
      return status::v1alpha1::STATE_REJECTED;
    case StatusState::kFailed:
      return status::v1alpha1::STATE_FAILED;
  }
  return status::v1alpha1::STATE_UNSPECIFIED;
}

}  // namespace

InstanceConfig FromProto(const config::v1alpha1::BgpInstance& proto) {
  InstanceConfig config;
  config.name = proto.name();
  config.local_as = proto.local_as();
  config.router_id = ReadAddress(proto.router_id(), "router-id", config.problem);
  config.listen_port = ReadU16(proto.listen_port(), 65535, "listen-port", config.problem);
  config.graceful_restart_time_s =
      ReadU16(proto.graceful_restart_time_s(), 4095, "graceful-restart-time", config.problem);
  return config;
}

PeerConfig FromProto(const config::v1alpha1::BgpPeer& proto) {
  PeerConfig config;
  config.instance = proto.instance();
  config.name = proto.name();
  const auto address = ReadAddress(proto.address(), "address", config.problem);
  if (address.has_value()) config.address = *address;
  config.port = ReadU16(proto.port(), 65535, "port", config.problem);
  config.remote_as = proto.remote_as();
  config.hold_time_s = ReadU16(proto.hold_time_s(), 65535, "hold-time", config.problem);
  config.connect_retry_time_s =
      ReadU16(proto.connect_retry_time_s(), 65535, "connect-retry-time", config.problem);
  for (const config::v1alpha1::BgpFamily& family : proto.families()) {
    FamilyConfig each;
    if (family.family() == intent::v1alpha1::IP_FAMILY_UNSPECIFIED) {
      Complain(config.problem, "a family has no name");
      continue;
    }
    each.family = family.family() == intent::v1alpha1::IP_FAMILY_IPV4 ? net::Family::kIpv4
                                                                      : net::Family::kIpv6;
    each.next_hop = ReadAddress(family.next_hop(), "next-hop", config.problem);
    config.families.push_back(each);
  }
  // The order of OPEN and of everything else; a list may come in any.
  std::sort(config.families.begin(), config.families.end(),
            [](const FamilyConfig& a, const FamilyConfig& b) { return a.family < b.family; });
  config.password = proto.password();
  if (config.password.size() > 80) Complain(config.problem, "password is longer than 80 octets");
  config.ebgp_multihop = proto.ebgp_multihop();
  config.local_address = ReadAddress(proto.local_address(), "local-address", config.problem);
  config.enabled = proto.enabled();
  config.node_selector = portolan::FromProto(proto.node_selector());
  return config;
}

AdvertisementConfig FromProto(const config::v1alpha1::BgpAdvertisement& proto) {
  AdvertisementConfig config;
  config.instance = proto.instance();
  config.name = proto.name();
  config.service_selector = portolan::FromProto(proto.service_selector());
  config.pools = {proto.pools().begin(), proto.pools().end()};
  config.peers = {proto.peers().begin(), proto.peers().end()};
  for (const std::string& text : proto.communities()) {
    const auto community = ParseCommunity(text);
    if (community.ok()) {
      config.communities.push_back(*community);
    } else {
      Complain(config.problem, std::string(community.status().message()));
    }
  }
  config.local_preference = proto.local_preference();
  return config;
}

NodeConfig FromProto(const config::v1alpha1::Node& proto) {
  NodeConfig config;
  config.name = proto.name();
  config.labels = portolan::FromProto(proto.labels());
  std::string problem;  // of an address that is only one of several ways to get an identifier
  config.ipv4_address = ReadAddress(proto.ipv4_address(), "ipv4-address", problem);
  if (config.ipv4_address && !config.ipv4_address->is_ipv4()) config.ipv4_address.reset();
  return config;
}

AllocationInput FromProto(const allocation::v1alpha1::Allocation& proto) {
  AllocationInput allocation;
  allocation.key = proto.key();
  allocation.generation = proto.generation();
  for (const allocation::v1alpha1::AddressGrant& grant : proto.grants()) {
    const auto address = net::IpAddress::Parse(grant.address());
    if (address.ok()) allocation.grants.push_back({*address, grant.pool()});
  }
  allocation.labels = portolan::FromProto(proto.labels());
  return allocation;
}

DatapathInput FromProto(const status::v1alpha1::ObjectStatus& proto) {
  DatapathInput datapath;
  datapath.key = proto.key();
  for (const std::string& text : proto.addresses()) {
    const auto address = net::IpAddress::Parse(text);
    if (address.ok()) datapath.addresses.insert(*address);
  }
  if (proto.state() != status::v1alpha1::STATE_READY) datapath.message = proto.message();
  return datapath;
}

v1alpha1::PeerState ToProto(const PeerView& view, const std::string& node, absl::Time since) {
  v1alpha1::PeerState proto;
  proto.set_name(view.name);
  proto.set_instance(view.instance);
  proto.set_node(node);
  proto.set_address(view.address.ToString());
  proto.set_remote_as(view.remote_as);
  proto.set_local_as(view.local_as);
  proto.set_session_state(std::string(SessionStateName(view.state)));
  proto.set_since_unix_ms(absl::ToUnixMillis(since));
  proto.set_prefixes_sent(view.prefixes_sent);
  proto.set_last_error(view.last_error);
  proto.set_hold_time_s(view.hold_time_s);
  return proto;
}

v1alpha1::Route ToProto(const RouteView& view, const std::string& node) {
  v1alpha1::Route proto;
  proto.set_node(node);
  const size_t slash = view.peer.find('/');
  proto.set_instance(view.peer.substr(0, slash));
  proto.set_peer(view.peer.substr(slash + 1));
  proto.set_prefix(view.prefix.ToString());
  proto.set_next_hop(view.next_hop.ToString());
  proto.set_service(view.service);
  for (const uint32_t community : view.communities) {
    proto.add_communities(CommunityText(community));
  }
  return proto;
}

status::v1alpha1::ObjectStatus ToProto(const StatusView& view, const std::string& node) {
  status::v1alpha1::ObjectStatus proto;
  proto.set_component(std::string(kComponent));
  proto.set_node(node);
  proto.set_kind(view.kind);
  proto.set_key(view.key);
  proto.set_generation(view.generation);
  proto.set_state(ToProto(view.state));
  proto.set_reason(view.reason);
  proto.set_message(view.message);
  proto.set_remedy(view.remedy);
  for (const Finding& finding : view.findings) {
    status::v1alpha1::Finding& each = *proto.add_findings();
    each.set_subject(finding.subject);
    each.set_reason(finding.reason);
    each.set_message(finding.message);
  }
  for (const std::string& address : view.addresses) proto.add_addresses(address);
  return proto;
}

std::string PeerKey(const std::string& node, const std::string& peer) {
  return absl::StrCat(node, "/", peer);
}

std::string RouteKey(const std::string& node, const std::string& peer, const net::Prefix& prefix) {
  return absl::StrCat(node, "/", peer, "/", prefix.ToString());
}

std::string StatusKey(const std::string& node, const std::string& kind, const std::string& key) {
  return absl::StrCat(kComponent, "/", node, "/", kind, "/", key);
}

}  // namespace portolan::bgp
