#include "services/datapath-loader/shell/convert.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

constexpr char kComponent[] = "datapath";
constexpr uint32_t kLeastTimeMs = 10;       // between checks, whoever asks for less
constexpr uint32_t kHashSeed = 1347375700;  // of portolan-datapath

std::optional<net::IpAddress> Address(const std::string& text, const std::string& where,
                                      Problems& problems) {
  if (text.empty()) return std::nullopt;
  absl::StatusOr<net::IpAddress> address = net::IpAddress::Parse(text);
  if (address.ok()) return *address;
  problems.push_back(absl::StrCat(where, ": ", std::string(address.status().message())));
  return std::nullopt;
}

// 0 for what is no port.
uint16_t Port(uint32_t port) { return port <= 65535 ? port : 0; }

status::v1alpha1::State ToProto(State state) {
  switch (state) {
    case State::kPending:
      return status::v1alpha1::STATE_PENDING;
    case State::kReady:
      return status::v1alpha1::STATE_READY;
    case State::kDegraded:
      return status::v1alpha1::STATE_DEGRADED;
    case State::kRejected:
      return status::v1alpha1::STATE_REJECTED;
    case State::kFailed:
      return status::v1alpha1::STATE_FAILED;
  }
  return status::v1alpha1::STATE_UNSPECIFIED;
}

std::vector<net::Prefix> Prefixes(const google::protobuf::RepeatedPtrField<std::string>& texts,
                                  const std::string& where, Problems& problems) {
  std::vector<net::Prefix> prefixes;
  for (const std::string& text : texts) {
    const absl::StatusOr<net::Prefix> prefix = net::Prefix::Parse(text);
    if (prefix.ok()) {
      prefixes.push_back(*prefix);
    } else {
      problems.push_back(absl::StrCat(where, ": ", std::string(prefix.status().message())));
    }
  }
  return prefixes;
}

Admission AdmissionOf(const intent::v1alpha1::ServiceIntent& message, Problems& problems) {
  const std::string where = absl::StrCat("service ", message.key());
  return {.allowed = Prefixes(message.allowed_sources(), where, problems),
          .denied = Prefixes(message.denied_sources(), where, problems),
          // Also when none of them can be understood: nobody comes in by mistake.
          .only_allowed = !message.allowed_sources().empty(),
          .affinity_s = message.client_affinity_s()};
}

ForwardingMode ModeOf(intent::v1alpha1::ForwardingMode mode) {
  switch (mode) {
    case intent::v1alpha1::FORWARDING_MODE_FULL_NAT:
      return ForwardingMode::kFullNat;
    case intent::v1alpha1::FORWARDING_MODE_DESTINATION_NAT:
      return ForwardingMode::kDestinationNat;
    case intent::v1alpha1::FORWARDING_MODE_DIRECT_RETURN:
      return ForwardingMode::kDirectReturn;
    case intent::v1alpha1::FORWARDING_MODE_TUNNEL:
      return ForwardingMode::kTunnel;
    default:
      return ForwardingMode::kAuto;
  }
}

std::optional<bool> SilenceOf(intent::v1alpha1::UnservedTraffic unserved) {
  if (unserved == intent::v1alpha1::UNSERVED_TRAFFIC_REFUSE) return false;
  if (unserved == intent::v1alpha1::UNSERVED_TRAFFIC_DROP) return true;
  return std::nullopt;
}

Traffic TrafficOf(const intent::v1alpha1::ServiceIntent& message) {
  constexpr auto kLocal = intent::v1alpha1::TRAFFIC_POLICY_LOCAL;
  return {.mode = ModeOf(message.forwarding_mode()),
          .local = message.traffic_policy() == kLocal,
          .internal_local = message.internal_traffic_policy() == kLocal,
          .idle_s = message.idle_timeout_s(),
          .silent = SilenceOf(message.unserved_traffic())};
}

Condition ConditionOf(intent::v1alpha1::BackendCondition condition) {
  if (condition == intent::v1alpha1::BACKEND_CONDITION_DRAINING) return Condition::kDraining;
  if (condition == intent::v1alpha1::BACKEND_CONDITION_DOWN) return Condition::kDown;
  return Condition::kActive;
}

const char* NameOf(Origin origin) {
  switch (origin) {
    case Origin::kConfiguration:
      return "configuration";
    case Origin::kAttach:
      return "attach";
    case Origin::kDetach:
      return "detach";
  }
  return "";
}

const char* NameOf(BackendState state) {
  switch (state) {
    case BackendState::kActive:
      return "active";
    case BackendState::kResting:
      return "resting";
    case BackendState::kDraining:
      return "draining";
    case BackendState::kDown:
      return "down";
    case BackendState::kFailing:
      return "failing";
    case BackendState::kUnused:
      return "unused";
  }
  return "";
}

}  // namespace

Service FromProto(const intent::v1alpha1::ServiceIntent& message, Problems& problems) {
  Service service{.key = message.key(),
                  .generation = message.generation(),
                  .ports = {},
                  .admission = AdmissionOf(message, problems),
                  .traffic = TrafficOf(message)};
  for (const intent::v1alpha1::ServicePort& port : message.ports()) {
    if (port.protocol() < 0 || port.protocol() > 255) {
      problems.push_back(absl::StrCat("service ", message.key(), ": no such protocol"));
      continue;
    }
    const uint8_t protocol = port.protocol() == 0 ? kTcp : static_cast<uint8_t>(port.protocol());
    service.ports.push_back({port.name(), protocol, Port(port.port())});
  }
  return service;
}

std::optional<HealthPlan> HealthPlanOf(const intent::v1alpha1::ServiceIntent& message) {
  if (!message.has_health_check()) return std::nullopt;
  const intent::v1alpha1::HealthCheck& check = message.health_check();
  return HealthPlan{.type = check.type(),
                    .target = {.address = {},
                               .port = Port(check.port()),
                               .path = check.path(),
                               .host = check.host(),
                               .service_name = check.service_name(),
                               .send = check.send(),
                               .expect = check.expect()},
                    .interval = absl::Milliseconds(std::max(check.interval_ms(), kLeastTimeMs)),
                    .timeout = absl::Milliseconds(std::max(check.timeout_ms(), kLeastTimeMs)),
                    .failures = std::max(check.failures(), 1u),
                    .successes = std::max(check.successes(), 1u)};
}

BackendSet FromProto(const intent::v1alpha1::BackendSet& message, Problems& problems) {
  BackendSet set{.key = message.key(), .generation = message.generation(), .backends = {}};
  for (const intent::v1alpha1::Backend& entry : message.backends()) {
    const auto address = Address(
        entry.address(), absl::StrCat("backend ", message.key(), "/", entry.id()), problems);
    if (!address.has_value()) continue;
    Backend backend{.id = entry.id(),
                    .address = *address,
                    .ports = {},
                    .weight = entry.weight(),
                    .node = entry.node(),
                    .local_source = std::nullopt,
                    .condition = ConditionOf(entry.condition())};
    if (entry.drain_deadline_unix_ms() != 0) {
      backend.drain_deadline = absl::FromUnixMillis(entry.drain_deadline_unix_ms());
    }
    for (const intent::v1alpha1::BackendPort& port : entry.ports()) {
      backend.ports[port.name()] = Port(port.port());
    }
    set.backends.push_back(std::move(backend));
  }
  return set;
}

Allocation FromProto(const allocation::v1alpha1::Allocation& message, Problems& problems) {
  Allocation allocation{.key = message.key(), .generation = message.generation(), .grants = {}};
  for (const allocation::v1alpha1::AddressGrant& grant : message.grants()) {
    const auto address =
        Address(grant.address(), absl::StrCat("allocation ", message.key()), problems);
    if (address.has_value()) allocation.grants.push_back({*address, grant.since_unix_ms()});
  }
  return allocation;
}

Node FromProto(const config::v1alpha1::Node& message, Problems& problems) {
  const std::string where = absl::StrCat("node ", message.name());
  return {.name = message.name(),
          .ipv4 = Address(message.ipv4_address(), where, problems),
          .ipv6 = Address(message.ipv6_address(), where, problems)};
}

config::v1alpha1::DatapathSettings DefaultSettings() {
  config::v1alpha1::DatapathSettings settings;
  settings.set_removal_delay_ms(1000);
  settings.set_hash_seed(kHashSeed);
  return settings;
}

Settings EngineSettings(const config::v1alpha1::DatapathSettings& message) {
  return {.removal_delay = absl::Milliseconds(message.removal_delay_ms()),
          .hash_seed = message.hash_seed(),
          .drop_unserved = message.drop_unserved()};
}

ProgramSettings ToProgramSettings(const config::v1alpha1::DatapathSettings& message) {
  ProgramSettings settings;
  settings.hash_seed = message.hash_seed();
  settings.answer_echo = !message.ignore_echo();
  if (message.tcp_idle_timeout_s() != 0) {
    settings.tcp_idle = absl::Seconds(message.tcp_idle_timeout_s());
  }
  if (message.udp_idle_timeout_s() != 0) {
    settings.udp_idle = absl::Seconds(message.udp_idle_timeout_s());
  }
  for (const std::string& text : message.tunnel_sources()) {
    const absl::StatusOr<net::Prefix> prefix = net::Prefix::Parse(text);
    if (prefix.ok()) settings.tunnels[*prefix] = true;  // config-service has refused the others
  }
  return settings;
}

Sizes ToSizes(const config::v1alpha1::DatapathSettings& message) {
  return {.max_flows = message.max_flows(),
          .max_frontends = message.max_frontends(),
          .max_backends = message.max_backends()};
}

bool Concerns(const config::v1alpha1::DatapathInterface& message, const std::string& node) {
  return message.nodes().empty() ||
         std::find(message.nodes().begin(), message.nodes().end(), node) != message.nodes().end();
}

status::v1alpha1::ObjectStatus ToProto(const ServiceStatus& status, const std::string& node) {
  status::v1alpha1::ObjectStatus message;
  message.set_component(kComponent);
  message.set_node(node);
  message.set_kind("service");
  message.set_key(status.key);
  message.set_generation(status.generation);
  message.set_state(ToProto(status.state));
  message.set_reason(status.reason);
  message.set_message(status.message);
  message.set_remedy(status.remedy);
  for (const Finding& finding : status.findings) {
    status::v1alpha1::Finding* entry = message.add_findings();
    entry->set_subject(finding.subject);
    entry->set_reason(finding.reason);
    entry->set_message(finding.message);
  }
  for (const net::IpAddress& address : status.addresses) {
    message.add_addresses(address.ToString());
  }
  return message;
}

status::v1alpha1::ObjectStatus ToStatus(const InterfaceReport& report, const std::string& node) {
  status::v1alpha1::ObjectStatus message;
  message.set_component(kComponent);
  message.set_node(node);
  message.set_kind("interface");
  message.set_key(report.name);
  message.set_state(ToProto(report.state));
  message.set_reason(report.reason);
  message.set_message(report.message);
  message.set_remedy(report.remedy);
  return message;
}

datapath::v1alpha1::InterfaceState ToState(const InterfaceReport& report, const std::string& node) {
  datapath::v1alpha1::InterfaceState message;
  message.set_node(node);
  message.set_interface(report.name);
  message.set_mode(report.mode);
  message.set_message(report.message);
  message.set_origin(NameOf(report.origin));
  return message;
}

datapath::v1alpha1::FrontendState ToProto(const FrontendView& view, const portolan_counter& counter,
                                          const std::string& node) {
  datapath::v1alpha1::FrontendState message;
  message.set_node(node);
  message.set_service(view.service);
  message.set_address(view.key.address.ToString());
  message.set_protocol(ProtocolName(view.key.protocol));
  message.set_port(view.key.port);
  message.set_backends(view.backends);
  message.set_packets(counter.packets);
  message.set_bytes(counter.bytes);
  message.set_flows(counter.flows);
  return message;
}

datapath::v1alpha1::BackendState ToProto(const std::string& service, const BackendView& view,
                                         const portolan_counter& counter, const std::string& node) {
  datapath::v1alpha1::BackendState message;
  message.set_node(node);
  message.set_service(service);
  message.set_protocol(ProtocolName(view.protocol));
  message.set_port(view.port);
  message.set_backend(view.backend);
  message.set_address(view.address.ToString());
  message.set_target_port(view.target_port);
  message.set_weight(view.weight);
  message.set_state(NameOf(view.state));
  message.set_packets(counter.packets);
  message.set_bytes(counter.bytes);
  message.set_flows(counter.flows);
  return message;
}

std::string StatusKey(const status::v1alpha1::ObjectStatus& status) {
  return absl::StrCat(status.component(), "/", status.node(), "/", status.kind(), "/",
                      status.key());
}

std::string BackendStateKey(const std::string& service, const BackendView& view,
                            const std::string& node) {
  return absl::StrCat(node, "/", service, "/", ProtocolName(view.protocol), "/", view.port, "/",
                      net::FamilyName(view.family), "/", view.backend);
}

std::string FrontendStateKey(const FrontendKey& key, const std::string& node) {
  return absl::StrCat(node, "/", key.ToString());
}

}  // namespace portolan::datapath
