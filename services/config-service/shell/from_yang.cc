#include "services/config-service/shell/from_yang.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace portolan::config {
namespace {

using Data = yang::Node;
using Json = nlohmann::json;

// The key of the streams that hold one message.
constexpr char kSettings[] = "settings";

std::string Text(const Data& parent, absl::string_view leaf) {
  const Data child = parent.Child(leaf);
  return child ? child.value() : "";
}

uint32_t Number(const Data& parent, absl::string_view leaf) {
  uint32_t number = 0;
  return absl::SimpleAtoi(Text(parent, leaf), &number) ? number : 0;
}

bool Flag(const Data& parent, absl::string_view leaf) { return Text(parent, leaf) == "true"; }

// In the order given.
std::vector<std::string> Texts(const Data& parent, absl::string_view leaf_list) {
  std::vector<std::string> texts;
  for (const Data& entry : parent.Children(leaf_list)) texts.push_back(entry.value());
  return texts;
}

std::vector<std::string> SortedTexts(const Data& parent, absl::string_view leaf_list) {
  std::vector<std::string> texts = Texts(parent, leaf_list);
  std::sort(texts.begin(), texts.end());
  return texts;
}

// Mostly it is in order already.
template <typename T, typename Key>
void SortBy(std::vector<T>* entries, Key T::*key) {
  const auto less = [key](const T& a, const T& b) { return a.*key < b.*key; };
  if (std::is_sorted(entries->begin(), entries->end(), less)) return;
  std::sort(entries->begin(), entries->end(), less);
}

Labels ReadLabels(const Data& parent, absl::string_view list) {
  Labels labels;
  for (const Data& entry : parent.Children(list)) labels[Text(entry, "key")] = Text(entry, "value");
  return labels;
}

MatchExpression::Operator ReadOperator(const std::string& text) {
  if (text == "not-in") return MatchExpression::Operator::kNotIn;
  if (text == "exists") return MatchExpression::Operator::kExists;
  if (text == "does-not-exist") return MatchExpression::Operator::kDoesNotExist;
  return MatchExpression::Operator::kIn;
}

Selector ReadSelector(const Data& data) {
  Selector selector;
  selector.match_labels = ReadLabels(data, "match-label");
  for (const Data& entry : data.Children("match-expression")) {
    selector.match_expressions.push_back(
        {Text(entry, "key"), ReadOperator(Text(entry, "operator")), SortedTexts(entry, "value")});
  }
  std::sort(selector.match_expressions.begin(), selector.match_expressions.end(),
            [](const MatchExpression& a, const MatchExpression& b) {
              return std::tie(a.key, a.op) < std::tie(b.key, b.op);
            });
  return selector;
}

std::optional<Selector> ReadSelector(const Data& parent, absl::string_view container) {
  const Data data = parent.Child(container);
  if (!data) return std::nullopt;
  return ReadSelector(data);
}

Namespaces ReadNamespaces(const Data& parent) {
  Namespaces namespaces{SortedTexts(parent, "namespace"), {}};
  for (const Data& entry : parent.Children("namespace-selector")) {
    namespaces.selectors[Text(entry, "name")] = ReadSelector(entry);
  }
  return namespaces;
}

net::Family ReadFamily(const std::string& text) {
  return text == "ipv6" ? net::Family::kIpv6 : net::Family::kIpv4;
}

// What a plugin is given of a module that it brought: the nodes of its container, as JSON (RFC
// 7951) with what holds by default. Such a module augments the entry, so its nodes are of another
// one.
std::string SettingsOf(const Data& plugin) {
  for (Data child = plugin.first_child(); child; child = child.next_sibling()) {
    if (child.module() == plugin.module()) continue;
    const Json whole = Json::parse(child.ToJson(), nullptr, /*allow_exceptions=*/false);
    if (whole.is_object() && !whole.empty()) return whole.begin()->dump();
  }
  return "";
}

void ReadSystem(const Data& system, Snapshot* snapshot) {
  for (const Data& data : system.Child("nodes").Children("node")) {
    Node node;
    node.name = Text(data, "name");
    node.labels = ReadLabels(data, "label");
    node.ipv4_address = Text(data, "ipv4-address");
    node.ipv6_address = Text(data, "ipv6-address");
    snapshot->nodes[node.name] = std::move(node);
  }
  for (const Data& data : system.Child("metrics").Children("endpoint")) {
    const std::string process = Text(data, "process");
    snapshot->metrics_endpoints[process] = {process, Text(data, "address"), Number(data, "port")};
  }
  for (const Data& data : system.Child("plugins").Children("plugin")) {
    Plugin plugin;
    plugin.extension_point = Text(data, "extension-point");
    plugin.name = Text(data, "name");
    plugin.path = Text(data, "path");
    plugin.endpoint = Text(data, "endpoint");
    plugin.deadline_ms = Number(data, "deadline");
    plugin.fail_open = Text(data, "fail-policy") == "open";
    plugin.settings = Text(data, "settings");
    if (plugin.settings.empty()) plugin.settings = SettingsOf(data);
    snapshot->plugins[absl::StrCat(plugin.extension_point, "/", plugin.name)] = std::move(plugin);
  }
}

std::vector<Block> ReadBlocks(const Data& container) {
  std::vector<Block> blocks;
  for (const Data& block : container.Children("block")) {
    blocks.push_back(
        {Text(block, "id"), Text(block, "cidr"), Text(block, "first"), Text(block, "last")});
  }
  SortBy(&blocks, &Block::id);
  return blocks;
}

std::optional<EtcdStore> ReadEtcd(const Data& data) {
  if (!data) return std::nullopt;
  const Data tls = data.Child("tls");
  EtcdStore etcd{.endpoints = SortedTexts(data, "endpoint"),
                 .key_prefix = Text(data, "key-prefix"),
                 .lease_ttl_s = Number(data, "lease-ttl"),
                 .user = Text(data, "user"),
                 .password = Text(data, "password")};
  if (tls) {
    etcd.ca_file = Text(tls, "ca-file");
    etcd.cert_file = Text(tls, "certificate-file");
    etcd.key_file = Text(tls, "key-file");
  }
  return etcd;
}

void ReadIpam(const Data& ipam, Snapshot* snapshot) {
  const Data settings = ipam.Child("settings");
  snapshot->ipam_settings[kSettings] = {.address_picker = Text(settings, "address-picker"),
                                        .drain_time_s = Number(settings, "drain-time"),
                                        .etcd = ReadEtcd(ipam.Child("store").Child("etcd"))};
  for (const Data& data : ipam.Child("pools").Children("pool")) {
    Pool pool;
    pool.name = Text(data, "name");
    pool.blocks = ReadBlocks(data.Child("blocks"));
    pool.excluded = ReadBlocks(data.Child("excluded"));
    pool.disabled = Flag(data, "disabled");
    pool.auto_assign = Flag(data, "auto-assign");
    pool.priority = Number(data, "priority");
    pool.allow_first_last = Flag(data, "allow-first-last");
    pool.avoid_buggy_ips = Flag(data, "avoid-buggy-ips");
    pool.service_selector = ReadSelector(data, "service-selector");
    pool.namespaces = ReadNamespaces(data);
    pool.address_picker = Text(data, "address-picker");
    snapshot->pools[pool.name] = std::move(pool);
  }
  for (const Data& data : ipam.Child("quotas").Children("quota")) {
    Quota quota;
    quota.name = Text(data, "name");
    quota.namespaces = ReadNamespaces(data);
    quota.pools = SortedTexts(data, "pool");
    quota.max_addresses = Number(data, "max-addresses");
    snapshot->quotas[quota.name] = std::move(quota);
  }
}

Protocol ReadProtocol(const std::string& text) {
  if (text == "udp") return Protocol::kUdp;
  return text == "sctp" ? Protocol::kSctp : Protocol::kTcp;
}

FamilyPolicy ReadFamilyPolicy(const std::string& text) {
  if (text == "prefer-dual-stack") return FamilyPolicy::kPreferDualStack;
  return text == "require-dual-stack" ? FamilyPolicy::kRequireDualStack
                                      : FamilyPolicy::kSingleStack;
}

TrafficPolicy ReadTrafficPolicy(const Data& parent, const char* leaf) {
  return Text(parent, leaf) == "local" ? TrafficPolicy::kLocal : TrafficPolicy::kCluster;
}

ForwardingMode ReadForwardingMode(const std::string& text) {
  if (text == "full-nat") return ForwardingMode::kFullNat;
  if (text == "destination-nat") return ForwardingMode::kDestinationNat;
  if (text == "direct-return") return ForwardingMode::kDirectReturn;
  return text == "tunnel" ? ForwardingMode::kTunnel : ForwardingMode::kAuto;
}

UnservedTraffic ReadUnserved(const std::string& text) {
  if (text == "refuse") return UnservedTraffic::kRefuse;
  return text == "drop" ? UnservedTraffic::kDrop : UnservedTraffic::kAsSettings;
}

std::optional<HealthCheck> ReadHealthCheck(const Data& data) {
  if (!data) return std::nullopt;
  return HealthCheck{.type = Text(data, "type"),
                     .port = Number(data, "port"),
                     .interval_ms = Number(data, "interval"),
                     .timeout_ms = Number(data, "timeout"),
                     .failures = Number(data, "failures"),
                     .successes = Number(data, "successes"),
                     .path = Text(data, "path"),
                     .host = Text(data, "host"),
                     .service_name = Text(data, "service-name"),
                     .send = Text(data, "send"),
                     .expect = Text(data, "expect")};
}

// What the service says of itself counts where its sharing says nothing.
std::optional<Sharing> ReadSharing(const Data& data, TrafficPolicy own) {
  if (!data) return std::nullopt;
  return Sharing{
      .key = Text(data, "key"),
      .namespaces = SortedTexts(data, "namespace"),
      .traffic_policy =
          data.Child("traffic-policy") ? ReadTrafficPolicy(data, "traffic-policy") : own,
      .backend_selector = Text(data, "backend-selector"),
      .different_backends = Flag(data, "different-backends"),
  };
}

int64_t ReadTime(const std::string& text) {
  absl::Time time;
  std::string error;
  return absl::ParseTime(absl::RFC3339_full, text, &time, &error) ? absl::ToUnixMillis(time) : 0;
}

Backend ReadBackend(const Data& data) {
  Backend backend{.id = Text(data, "id"),
                  .address = Text(data, "address"),
                  .weight = Number(data, "weight"),
                  .node = Text(data, "node")};
  const std::string state = Text(data, "state");
  if (state == "down") backend.condition = BackendCondition::kDown;
  if (state == "draining") {
    backend.condition = BackendCondition::kDraining;
    backend.drain_deadline_unix_ms = ReadTime(Text(data, "drain-deadline"));
  }
  return backend;
}

void ReadTraffic(const Data& data, Service* service) {
  service->forwarding_mode = ReadForwardingMode(Text(data, "forwarding-mode"));
  service->traffic_policy = ReadTrafficPolicy(data, "traffic-policy");
  service->internal_traffic_policy = ReadTrafficPolicy(data, "internal-traffic-policy");
  service->sharing = ReadSharing(data.Child("sharing"), service->traffic_policy);
  service->allowed_sources = SortedTexts(data, "allowed-source");
  service->denied_sources = SortedTexts(data, "denied-source");
  if (Text(data, "session-affinity") == "client-address") {
    service->client_affinity_s = Number(data, "session-affinity-timeout");
  }
  service->idle_timeout_s = Number(data, "idle-timeout");
  service->unserved_traffic = ReadUnserved(Text(data, "unserved-traffic"));
  service->health_check = ReadHealthCheck(data.Child("health-check"));
}

void ReadNamespaceLabels(const Data& services, Snapshot* snapshot) {
  for (const Data& data : services.Children("namespace")) {
    const std::string name = Text(data, "name");
    snapshot->namespaces[name] = {name, ReadLabels(data, "label")};
  }
}

Service ReadService(const Data& data) {
  Service service;
  service.name_space = Text(data, "namespace");
  service.name = Text(data, "name");
  service.labels = ReadLabels(data, "label");
  for (const Data& entry : data.Children("port")) {
    Port port;
    port.name = Text(entry, "name");
    port.protocol = ReadProtocol(Text(entry, "protocol"));
    port.port = Number(entry, "port");
    port.target_port = entry.Child("target-port") ? Number(entry, "target-port") : port.port;
    service.ports.push_back(std::move(port));
  }
  SortBy(&service.ports, &Port::name);
  service.family_policy = ReadFamilyPolicy(Text(data, "family-policy"));
  for (const std::string& family : Texts(data, "family")) {
    service.families.push_back(ReadFamily(family));
  }
  service.requested_addresses = Texts(data, "requested-address");
  service.requested_pool = Text(data, "requested-pool");
  service.addresses_per_family = Number(data, "addresses-per-family");
  service.addresses_in_use = Texts(data, "address-in-use");
  ReadTraffic(data, &service);
  const std::vector<Data> backends = data.Children("backend");
  service.backends.reserve(backends.size());
  for (const Data& entry : backends) service.backends.push_back(ReadBackend(entry));
  SortBy(&service.backends, &Backend::id);
  return service;
}

void ReadL2(const Data& l2, Snapshot* snapshot) {
  const Data settings = l2.Child("settings");
  snapshot->l2_settings[kSettings] = {
      .heartbeat_interval_ms = Number(settings, "heartbeat-interval"),
      .dead_interval_ms = Number(settings, "dead-interval"),
      .gratuitous_count = Number(settings, "gratuitous-count"),
      .gratuitous_interval_ms = Number(settings, "gratuitous-interval"),
      .owner_election = Text(settings, "owner-election"),
  };
  for (const Data& data : l2.Child("policies").Children("policy")) {
    L2Policy policy;
    policy.name = Text(data, "name");
    policy.service_selector = ReadSelector(data, "service-selector");
    policy.pools = SortedTexts(data, "pool");
    policy.node_selector = ReadSelector(data, "node-selector");
    policy.interfaces = SortedTexts(data, "interface");
    snapshot->l2_policies[policy.name] = std::move(policy);
  }
}

BgpPeer ReadPeer(const std::string& instance, const Data& data) {
  BgpPeer peer;
  peer.instance = instance;
  peer.name = Text(data, "name");
  peer.address = Text(data, "address");
  peer.port = Number(data, "port");
  peer.remote_as = Number(data, "remote-as");
  peer.hold_time_s = Number(data, "hold-time");
  peer.connect_retry_time_s = Number(data, "connect-retry-time");
  for (const Data& family : data.Child("families").Children("family")) {
    peer.families.push_back({ReadFamily(Text(family, "name")), Text(family, "next-hop")});
  }
  SortBy(&peer.families, &BgpFamily::family);
  peer.password = Text(data, "password");
  peer.ebgp_multihop = Flag(data, "ebgp-multihop");
  peer.local_address = Text(data, "local-address");
  peer.enabled = Flag(data, "enabled");
  peer.node_selector = ReadSelector(data, "node-selector");
  return peer;
}

void ReadBgp(const Data& bgp, Snapshot* snapshot) {
  for (const Data& data : bgp.Child("instances").Children("instance")) {
    BgpInstance instance;
    instance.name = Text(data, "name");
    instance.local_as = Number(data, "local-as");
    instance.router_id = Text(data, "router-id");
    instance.listen_port = Number(data, "listen-port");
    instance.graceful_restart_time_s = Number(data, "graceful-restart-time");
    for (const Data& entry : data.Child("peers").Children("peer")) {
      BgpPeer peer = ReadPeer(instance.name, entry);
      if (const Data profile = entry.Child("bfd-profile")) {
        snapshot->not_in_force.push_back(profile.path());
      }
      snapshot->bgp_peers[absl::StrCat(instance.name, "/", peer.name)] = std::move(peer);
    }
    for (const Data& entry : data.Child("advertisements").Children("advertisement")) {
      BgpAdvertisement advertisement;
      advertisement.instance = instance.name;
      advertisement.name = Text(entry, "name");
      advertisement.service_selector = ReadSelector(entry, "service-selector");
      advertisement.pools = SortedTexts(entry, "pool");
      advertisement.peers = SortedTexts(entry, "peer");
      advertisement.communities = SortedTexts(entry, "community");
      advertisement.local_preference = Number(entry, "local-preference");
      snapshot->bgp_advertisements[absl::StrCat(instance.name, "/", advertisement.name)] =
          std::move(advertisement);
    }
    snapshot->bgp_instances[instance.name] = std::move(instance);
  }
}

void ReadDatapath(const Data& datapath, Snapshot* snapshot) {
  const Data settings = datapath.Child("settings");
  snapshot->datapath_settings[kSettings] = {
      .max_flows = Number(settings, "max-flows"),
      .max_frontends = Number(settings, "max-frontends"),
      .max_backends = Number(settings, "max-backends"),
      .tcp_idle_timeout_s = Number(settings, "tcp-idle-timeout"),
      .udp_idle_timeout_s = Number(settings, "udp-idle-timeout"),
      .removal_delay_ms = Number(settings, "removal-delay"),
      .hash_seed = Number(settings, "hash-seed"),
      .ignore_echo = !Flag(settings, "answer-echo"),
      .drop_unserved = Text(settings, "unserved-traffic") == "drop",
      .tunnel_sources = SortedTexts(settings, "tunnel-source"),
  };
  for (const Data& data : datapath.Child("interfaces").Children("interface")) {
    const std::string name = Text(data, "name");
    snapshot->datapath_interfaces[name] = {name, Text(data, "mode"), SortedTexts(data, "node"),
                                           Text(data, "side") == "inside"};
  }
}

// "portolan-pipeline:l2" is "l2"; a stage of another module keeps its module's name.
std::string StageName(std::string identity) {
  constexpr absl::string_view kOurs = "portolan-pipeline:";
  if (identity.compare(0, kOurs.size(), std::string(kOurs)) == 0) identity.erase(0, kOurs.size());
  return identity;
}

void ReadPipeline(const Data& pipeline, Snapshot* snapshot) {
  for (const Data& data : pipeline.Child("stages").Children("stage")) {
    const std::string name = StageName(Text(data, "name"));
    snapshot->pipeline_stages[name] = {name, Flag(data, "enabled")};
  }
}

}  // namespace

// Of modules that no service reads yet.
void ReadNotInForce(const yang::Tree& tree, Snapshot* snapshot) {
  const Data bfd = tree.Top("portolan-bfd", "bfd");
  if (bfd) {
    for (const Data& profile : bfd.Child("profiles").Children("profile")) {
      snapshot->not_in_force.push_back(profile.path());
    }
  }
  if (const Data router = tree.Top("portolan-router", "router-integration")) {
    snapshot->not_in_force.push_back(router.path());
  }
}

Snapshot RestFromYang(const yang::Tree& tree) {
  Snapshot snapshot;
  ReadSystem(tree.Top("portolan-system", "system"), &snapshot);
  ReadIpam(tree.Top("portolan-ipam", "ipam"), &snapshot);
  ReadNamespaceLabels(tree.Top("portolan-service", "services"), &snapshot);
  ReadL2(tree.Top("portolan-l2", "l2"), &snapshot);
  ReadBgp(tree.Top("portolan-bgp", "bgp"), &snapshot);
  ReadDatapath(tree.Top("portolan-datapath", "datapath"), &snapshot);
  ReadPipeline(tree.Top("portolan-pipeline", "pipeline"), &snapshot);
  ReadNotInForce(tree, &snapshot);
  return snapshot;
}

Service ServiceFromYang(const yang::Tree& tree) {
  return ReadService(tree.Top("portolan-service", "services").Child("service"));
}

}  // namespace portolan::config
