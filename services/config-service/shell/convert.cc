#include "services/config-service/shell/convert.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/net/prefix.h"
#include "services/config-service/core/validate.h"

namespace portolan::config {
namespace {

namespace intent_pb = intent::v1alpha1;

template <typename Repeated>
void Copy(const std::vector<std::string>& from, Repeated* to) {
  to->Assign(from.begin(), from.end());
}

template <typename ProtoMap>
void CopyLabels(const Labels& from, ProtoMap* to) {
  for (const auto& [key, value] : from) (*to)[key] = value;
}

v1alpha1::SelectorOperator ToProto(MatchExpression::Operator op) {
  switch (op) {
    case MatchExpression::Operator::kIn:
      return v1alpha1::SELECTOR_OPERATOR_IN;
    case MatchExpression::Operator::kNotIn:
      return v1alpha1::SELECTOR_OPERATOR_NOT_IN;
    case MatchExpression::Operator::kExists:
      return v1alpha1::SELECTOR_OPERATOR_EXISTS;
    case MatchExpression::Operator::kDoesNotExist:
      return v1alpha1::SELECTOR_OPERATOR_DOES_NOT_EXIST;
  }
  return v1alpha1::SELECTOR_OPERATOR_UNSPECIFIED;
}

void CopySelector(const Selector& from, v1alpha1::LabelSelector* to) {
  CopyLabels(from.match_labels, to->mutable_match_labels());
  for (const MatchExpression& expression : from.match_expressions) {
    v1alpha1::MatchExpression* out = to->add_match_expressions();
    out->set_key(expression.key);
    out->set_operator_(ToProto(expression.op));
    Copy(expression.values, out->mutable_values());
  }
}

// The blocks passed Validate(): none is left out.
template <typename Repeated>
void CopyBlocks(const std::vector<Block>& from, Repeated* to) {
  for (const Block& block : from) {
    const absl::StatusOr<net::Range> range = ResolveBlock(block);
    if (!range.ok()) continue;
    v1alpha1::AddressBlock* out = to->Add();
    out->set_id(block.id);
    out->set_first(range->first().ToString());
    out->set_last(range->last().ToString());
    if (!block.cidr.empty()) {
      out->set_prefix_length(static_cast<uint32_t>(net::Prefix::Parse(block.cidr)->length()));
    }
  }
}

// Into a Pool or a Quota.
template <typename Message>
void CopyNamespaces(const Namespaces& from, Message* to) {
  Copy(from.names, to->mutable_namespaces());
  for (const auto& [name, selector] : from.selectors) {
    CopySelector(selector, to->add_namespace_selectors());
  }
}

intent_pb::IpFamily ToProto(net::Family family) {
  return family == net::Family::kIpv4 ? intent_pb::IP_FAMILY_IPV4 : intent_pb::IP_FAMILY_IPV6;
}

intent_pb::FamilyPolicy ToProto(FamilyPolicy policy) {
  switch (policy) {
    case FamilyPolicy::kSingleStack:
      return intent_pb::FAMILY_POLICY_SINGLE_STACK;
    case FamilyPolicy::kPreferDualStack:
      return intent_pb::FAMILY_POLICY_PREFER_DUAL_STACK;
    case FamilyPolicy::kRequireDualStack:
      return intent_pb::FAMILY_POLICY_REQUIRE_DUAL_STACK;
  }
  return intent_pb::FAMILY_POLICY_UNSPECIFIED;
}

intent_pb::TrafficPolicy ToProto(TrafficPolicy policy) {
  return policy == TrafficPolicy::kLocal ? intent_pb::TRAFFIC_POLICY_LOCAL
                                         : intent_pb::TRAFFIC_POLICY_CLUSTER;
}

intent_pb::ForwardingMode ToProto(ForwardingMode mode) {
  switch (mode) {
    case ForwardingMode::kAuto:
      return intent_pb::FORWARDING_MODE_AUTO;
    case ForwardingMode::kFullNat:
      return intent_pb::FORWARDING_MODE_FULL_NAT;
    case ForwardingMode::kDestinationNat:
      return intent_pb::FORWARDING_MODE_DESTINATION_NAT;
    case ForwardingMode::kDirectReturn:
      return intent_pb::FORWARDING_MODE_DIRECT_RETURN;
    case ForwardingMode::kTunnel:
      return intent_pb::FORWARDING_MODE_TUNNEL;
  }
  return intent_pb::FORWARDING_MODE_UNSPECIFIED;
}

intent_pb::UnservedTraffic ToProto(UnservedTraffic unserved) {
  switch (unserved) {
    case UnservedTraffic::kAsSettings:
      return intent_pb::UNSERVED_TRAFFIC_UNSPECIFIED;
    case UnservedTraffic::kRefuse:
      return intent_pb::UNSERVED_TRAFFIC_REFUSE;
    case UnservedTraffic::kDrop:
      return intent_pb::UNSERVED_TRAFFIC_DROP;
  }
  return intent_pb::UNSERVED_TRAFFIC_UNSPECIFIED;
}

intent_pb::BackendCondition ToProto(BackendCondition condition) {
  switch (condition) {
    case BackendCondition::kActive:
      return intent_pb::BACKEND_CONDITION_ACTIVE;
    case BackendCondition::kDraining:
      return intent_pb::BACKEND_CONDITION_DRAINING;
    case BackendCondition::kDown:
      return intent_pb::BACKEND_CONDITION_DOWN;
  }
  return intent_pb::BACKEND_CONDITION_UNSPECIFIED;
}

void CopyHealthCheck(const HealthCheck& from, intent_pb::HealthCheck* to) {
  to->set_type(from.type);
  to->set_port(from.port);
  to->set_interval_ms(from.interval_ms);
  to->set_timeout_ms(from.timeout_ms);
  to->set_failures(from.failures);
  to->set_successes(from.successes);
  to->set_path(from.path);
  to->set_host(from.host);
  to->set_service_name(from.service_name);
  to->set_send(from.send);
  to->set_expect(from.expect);
}

void CopySharing(const Sharing& from, intent_pb::Sharing* to) {
  to->set_key(from.key);
  Copy(from.namespaces, to->mutable_namespaces());
  to->set_traffic_policy(ToProto(from.traffic_policy));
  to->set_backend_selector(from.backend_selector);
  to->set_different_backends(from.different_backends);
}

std::string KeyOf(const Service& service) {
  return absl::StrCat(service.name_space, "/", service.name);
}

}  // namespace

v1alpha1::Pool ToProto(const Pool& pool) {
  v1alpha1::Pool proto;
  proto.set_name(pool.name);
  CopyBlocks(pool.blocks, proto.mutable_blocks());
  CopyBlocks(pool.excluded, proto.mutable_excluded());
  proto.set_disabled(pool.disabled);
  proto.set_auto_assign(pool.auto_assign);
  proto.set_priority(pool.priority);
  proto.set_allow_first_last(pool.allow_first_last);
  proto.set_avoid_buggy_ips(pool.avoid_buggy_ips);
  if (pool.service_selector.has_value()) {
    CopySelector(*pool.service_selector, proto.mutable_service_selector());
  }
  CopyNamespaces(pool.namespaces, &proto);
  proto.set_address_picker(pool.address_picker);
  return proto;
}

v1alpha1::IpamSettings ToProto(const IpamSettings& settings) {
  v1alpha1::IpamSettings proto;
  proto.set_address_picker(settings.address_picker);
  proto.set_drain_time_s(settings.drain_time_s);
  proto.set_allow_renumber(settings.allow_renumber);
  if (settings.etcd.has_value()) {
    const EtcdStore& etcd = *settings.etcd;
    v1alpha1::EtcdStore& store = *proto.mutable_store()->mutable_etcd();
    store.mutable_endpoints()->Add(etcd.endpoints.begin(), etcd.endpoints.end());
    store.set_key_prefix(etcd.key_prefix);
    store.set_lease_ttl_s(etcd.lease_ttl_s);
    store.set_ca_file(etcd.ca_file);
    store.set_cert_file(etcd.cert_file);
    store.set_key_file(etcd.key_file);
    store.set_user(etcd.user);
    store.set_password(etcd.password);
  }
  return proto;
}

v1alpha1::Quota ToProto(const Quota& quota) {
  v1alpha1::Quota proto;
  proto.set_name(quota.name);
  CopyNamespaces(quota.namespaces, &proto);
  Copy(quota.pools, proto.mutable_pools());
  proto.set_max_addresses(quota.max_addresses);
  return proto;
}

v1alpha1::Plugin ToProto(const Plugin& plugin) {
  v1alpha1::Plugin proto;
  proto.set_extension_point(plugin.extension_point);
  proto.set_name(plugin.name);
  proto.set_path(plugin.path);
  proto.set_endpoint(plugin.endpoint);
  proto.set_deadline_ms(plugin.deadline_ms);
  proto.set_fail_open(plugin.fail_open);
  proto.set_settings(plugin.settings);
  return proto;
}

v1alpha1::Node ToProto(const Node& node) {
  v1alpha1::Node proto;
  proto.set_name(node.name);
  CopyLabels(node.labels, proto.mutable_labels());
  proto.set_ipv4_address(node.ipv4_address);
  proto.set_ipv6_address(node.ipv6_address);
  return proto;
}

v1alpha1::L2Policy ToProto(const L2Policy& policy) {
  v1alpha1::L2Policy proto;
  proto.set_name(policy.name);
  if (policy.service_selector.has_value()) {
    CopySelector(*policy.service_selector, proto.mutable_service_selector());
  }
  Copy(policy.pools, proto.mutable_pools());
  if (policy.node_selector.has_value()) {
    CopySelector(*policy.node_selector, proto.mutable_node_selector());
  }
  Copy(policy.interfaces, proto.mutable_interfaces());
  return proto;
}

v1alpha1::L2Settings ToProto(const L2Settings& settings) {
  v1alpha1::L2Settings proto;
  proto.set_heartbeat_interval_ms(settings.heartbeat_interval_ms);
  proto.set_dead_interval_ms(settings.dead_interval_ms);
  proto.set_gratuitous_count(settings.gratuitous_count);
  proto.set_gratuitous_interval_ms(settings.gratuitous_interval_ms);
  proto.set_owner_election(settings.owner_election);
  return proto;
}

v1alpha1::BgpInstance ToProto(const BgpInstance& instance) {
  v1alpha1::BgpInstance proto;
  proto.set_name(instance.name);
  proto.set_local_as(instance.local_as);
  proto.set_router_id(instance.router_id);
  proto.set_listen_port(instance.listen_port);
  proto.set_graceful_restart_time_s(instance.graceful_restart_time_s);
  return proto;
}

v1alpha1::BgpPeer ToProto(const BgpPeer& peer) {
  v1alpha1::BgpPeer proto;
  proto.set_instance(peer.instance);
  proto.set_name(peer.name);
  proto.set_address(peer.address);
  proto.set_port(peer.port);
  proto.set_remote_as(peer.remote_as);
  proto.set_hold_time_s(peer.hold_time_s);
  proto.set_connect_retry_time_s(peer.connect_retry_time_s);
  for (const BgpFamily& family : peer.families) {
    v1alpha1::BgpFamily* out = proto.add_families();
    out->set_family(ToProto(family.family));
    out->set_next_hop(family.next_hop);
  }
  proto.set_password(peer.password);
  proto.set_ebgp_multihop(peer.ebgp_multihop);
  proto.set_local_address(peer.local_address);
  proto.set_enabled(peer.enabled);
  if (peer.node_selector.has_value()) {
    CopySelector(*peer.node_selector, proto.mutable_node_selector());
  }
  return proto;
}

v1alpha1::BgpAdvertisement ToProto(const BgpAdvertisement& advertisement) {
  v1alpha1::BgpAdvertisement proto;
  proto.set_instance(advertisement.instance);
  proto.set_name(advertisement.name);
  if (advertisement.service_selector.has_value()) {
    CopySelector(*advertisement.service_selector, proto.mutable_service_selector());
  }
  Copy(advertisement.pools, proto.mutable_pools());
  Copy(advertisement.peers, proto.mutable_peers());
  Copy(advertisement.communities, proto.mutable_communities());
  proto.set_local_preference(advertisement.local_preference);
  return proto;
}

v1alpha1::DatapathInterface ToProto(const DatapathInterface& interface) {
  v1alpha1::DatapathInterface proto;
  proto.set_name(interface.name);
  proto.set_mode(interface.mode);
  Copy(interface.nodes, proto.mutable_nodes());
  proto.set_inside(interface.inside);
  return proto;
}

v1alpha1::DatapathSettings ToProto(const DatapathSettings& settings) {
  v1alpha1::DatapathSettings proto;
  proto.set_max_flows(settings.max_flows);
  proto.set_max_frontends(settings.max_frontends);
  proto.set_max_backends(settings.max_backends);
  proto.set_tcp_idle_timeout_s(settings.tcp_idle_timeout_s);
  proto.set_udp_idle_timeout_s(settings.udp_idle_timeout_s);
  proto.set_removal_delay_ms(settings.removal_delay_ms);
  proto.set_hash_seed(settings.hash_seed);
  proto.set_ignore_echo(settings.ignore_echo);
  proto.set_drop_unserved(settings.drop_unserved);
  Copy(settings.tunnel_sources, proto.mutable_tunnel_sources());
  return proto;
}

v1alpha1::PipelineStage ToProto(const PipelineStage& stage) {
  v1alpha1::PipelineStage proto;
  proto.set_name(stage.name);
  proto.set_enabled(stage.enabled);
  return proto;
}

v1alpha1::MetricsEndpoint ToProto(const MetricsEndpoint& endpoint) {
  v1alpha1::MetricsEndpoint proto;
  proto.set_process(endpoint.process);
  proto.set_address(endpoint.address);
  proto.set_port(endpoint.port);
  return proto;
}

v1alpha1::Problem ToProto(const Problem& problem) {
  v1alpha1::Problem proto;
  proto.set_source(problem.source);
  proto.set_path(problem.path);
  proto.set_rule(problem.rule);
  proto.set_message(problem.message);
  proto.set_remedy(problem.remedy);
  return proto;
}

v1alpha1::AddressMove ToProto(const AddressMove& move) {
  v1alpha1::AddressMove proto;
  proto.set_service(move.service);
  proto.set_address(move.address);
  proto.set_pool(move.pool);
  proto.set_new_address(move.new_address);
  proto.set_new_pool(move.new_pool);
  proto.set_reason(move.reason);
  proto.set_message(move.message);
  return proto;
}

v1alpha1::AddressGain ToProto(const AddressGain& gain) {
  v1alpha1::AddressGain proto;
  proto.set_service(gain.service);
  proto.set_address(gain.address);
  proto.set_pool(gain.pool);
  return proto;
}

AddressPlan FromProto(const ipam::v1alpha1::PlanResponse& proto) {
  AddressPlan plan;
  for (const v1alpha1::AddressMove& move : proto.moves()) {
    plan.moves.push_back({.service = move.service(),
                          .address = move.address(),
                          .pool = move.pool(),
                          .new_address = move.new_address(),
                          .new_pool = move.new_pool(),
                          .reason = move.reason(),
                          .message = move.message()});
  }
  for (const v1alpha1::AddressGain& gain : proto.gains()) {
    plan.gains.push_back({gain.service(), gain.address(), gain.pool()});
  }
  return plan;
}

ipam::v1alpha1::PlanRequest ToProto(const AskPlan& ask) {
  ipam::v1alpha1::PlanRequest proto;
  for (const auto& [name, pool] : ask.pools) *proto.add_pools() = ToProto(pool);
  *proto.mutable_settings() = ToProto(ask.settings);
  for (const auto& [name, quota] : ask.quotas) *proto.add_quotas() = ToProto(quota);
  return proto;
}

intent_pb::Namespace ToProto(const Namespace& name_space) {
  intent_pb::Namespace proto;
  proto.set_name(name_space.name);
  CopyLabels(name_space.labels, proto.mutable_labels());
  return proto;
}

intent_pb::ServiceIntent ToIntent(const Service& service, uint64_t generation) {
  intent_pb::ServiceIntent proto;
  proto.set_key(KeyOf(service));
  proto.set_generation(generation);
  CopyLabels(service.labels, proto.mutable_labels());
  for (const Port& port : service.ports) {
    intent_pb::ServicePort* out = proto.add_ports();
    out->set_name(port.name);
    out->set_protocol(static_cast<intent_pb::Protocol>(port.protocol));
    out->set_port(port.port);
  }
  for (const net::Family family : service.families) proto.add_families(ToProto(family));
  proto.set_family_policy(ToProto(service.family_policy));
  Copy(service.requested_addresses, proto.mutable_requested_addresses());
  proto.set_requested_pool(service.requested_pool);
  proto.set_addresses_per_family(service.addresses_per_family);
  Copy(service.addresses_in_use, proto.mutable_addresses_in_use());
  if (service.sharing.has_value()) CopySharing(*service.sharing, proto.mutable_sharing());
  Copy(service.allowed_sources, proto.mutable_allowed_sources());
  Copy(service.denied_sources, proto.mutable_denied_sources());
  proto.set_client_affinity_s(service.client_affinity_s);
  proto.set_forwarding_mode(ToProto(service.forwarding_mode));
  proto.set_traffic_policy(ToProto(service.traffic_policy));
  proto.set_internal_traffic_policy(ToProto(service.internal_traffic_policy));
  proto.set_idle_timeout_s(service.idle_timeout_s);
  proto.set_unserved_traffic(ToProto(service.unserved_traffic));
  if (service.health_check.has_value()) {
    CopyHealthCheck(*service.health_check, proto.mutable_health_check());
  }
  return proto;
}

intent_pb::BackendSet ToBackends(const Service& service, uint64_t generation) {
  intent_pb::BackendSet proto;
  proto.set_key(KeyOf(service));
  proto.set_generation(generation);
  for (const Backend& backend : service.backends) {
    intent_pb::Backend* out = proto.add_backends();
    out->set_id(backend.id);
    out->set_address(backend.address);
    for (const Port& port : service.ports) {
      intent_pb::BackendPort* target = out->add_ports();
      target->set_name(port.name);
      target->set_port(port.target_port);
    }
    out->set_weight(backend.weight);
    out->set_node(backend.node);
    out->set_condition(ToProto(backend.condition));
    out->set_drain_deadline_unix_ms(backend.drain_deadline_unix_ms);
  }
  return proto;
}

}  // namespace portolan::config
