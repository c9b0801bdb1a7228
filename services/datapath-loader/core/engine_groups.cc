// The engine's half that chooses: which backends each port of a service wants, and how packets go
// there.
#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/datapath-loader/core/engine.h"

namespace portolan::datapath {
namespace {

constexpr char kChooseMode[] = "or choose another forwarding-mode";

// Rules of one family, complete: none when everybody may come. A list of the other family that is
// the only one to let anybody in shuts this one.
SourceRules RulesFor(const Admission& admission, net::Family family) {
  SourceRules rules;
  const bool restricted = admission.only_allowed || !admission.denied.empty();
  if (!restricted) return rules;
  rules[net::Prefix::Of(net::IpAddress::FromValue(family, 0), 0)] = !admission.only_allowed;
  for (const net::Prefix& prefix : admission.allowed) {
    if (prefix.family() == family) rules[prefix] = true;
  }
  for (const net::Prefix& prefix : admission.denied) {
    if (prefix.family() == family) rules[prefix] = false;
  }
  return rules;
}

bool AnswersByItself(ForwardingMode mode) {
  return mode == ForwardingMode::kDirectReturn || mode == ForwardingMode::kTunnel;
}

std::string GroupName(const ServicePort& port, net::Family family) {
  return absl::StrCat("port/", ProtocolName(port.protocol), "/", port.port, "/",
                      net::FamilyName(family));
}

void AddFinding(std::vector<Finding>& findings, const Backend& backend, const char* reason,
                std::string message) {
  Finding finding{absl::StrCat("backend/", backend.id), reason, std::move(message)};
  if (std::find(findings.begin(), findings.end(), finding) == findings.end()) {
    findings.push_back(std::move(finding));
  }
}

// IPv4 packets travel to IPv6 backends in tunnels, where there are no others.
bool CarriesToIpv6(const Service& service, const BackendSet& set) {
  return service.traffic.mode == ForwardingMode::kTunnel &&
         std::none_of(set.backends.begin(), set.backends.end(),
                      [](const Backend& backend) { return backend.address.is_ipv4(); });
}

// Among those on the side that have a weight, in this order; 0 is nobody.
int RankOf(const BackendView& view, bool failing) {
  if (view.weight == 0) return 0;
  const bool drains = view.state == BackendState::kDraining;
  if (!failing) return drains ? 3 : 4;
  return drains ? 1 : 2;
}

}  // namespace

std::optional<net::IpAddress> Engine::SourceFor(const Backend& backend) const {
  const std::optional<net::IpAddress>& configured =
      backend.address.is_ipv4() ? self_.ipv4 : self_.ipv6;
  return configured.has_value() ? configured : backend.local_source;
}

Delivery Engine::DeliveryOf(const Backend& backend, ForwardingMode mode) const {
  switch (mode) {
    case ForwardingMode::kAuto:
      // Only where the replies are known to pass this node may the client's address stay.
      return backend.node == node_ ? Delivery::kDestinationNat : Delivery::kFullNat;
    case ForwardingMode::kFullNat:
      return Delivery::kFullNat;
    case ForwardingMode::kDestinationNat:
      return Delivery::kDestinationNat;
    case ForwardingMode::kDirectReturn:
      return Delivery::kDirectReturn;
    case ForwardingMode::kTunnel:
      return Delivery::kTunnel;
  }
  return Delivery::kFullNat;
}

// Absent: it cannot be used, see the findings.
std::optional<WantedBackend> Engine::Consider(Record& record, const Backend& backend,
                                              const Choice& choice) const {
  const ServicePort& port = choice.port;
  const ForwardingMode mode = choice.service.traffic.mode;
  const auto target = backend.ports.find(port.name);
  if (target == backend.ports.end() || target->second == 0) {
    AddFinding(record.findings, backend, "no-target-port",
               absl::StrCat("says no port for service port '", port.name, "'"));
    return std::nullopt;
  }
  if (target->second != port.port && (AnswersByItself(mode) || port.protocol == kSctp)) {
    AddFinding(
        record.findings, backend, "port-differs",
        absl::StrCat(
            "listens on port ", target->second, " for service port ", port.port,
            port.protocol == kSctp ? ", and ports of SCTP" : ", and ports", " are not translated",
            port.protocol == kSctp ? ": " : " in this forwarding-mode: ", "let it listen on ",
            port.port, AnswersByItself(mode) ? absl::StrCat(", ", kChooseMode) : ""));
    return std::nullopt;
  }
  WantedBackend wanted{.address = backend.address,
                       .port = target->second,
                       .weight = backend.weight,
                       .source = SourceFor(backend),
                       .delivery = DeliveryOf(backend, mode)};
  if (wanted.delivery == Delivery::kDirectReturn) wanted.source.reset();
  const bool needs_source =
      wanted.delivery == Delivery::kFullNat || wanted.delivery == Delivery::kTunnel;
  if (needs_source && !wanted.source.has_value()) {
    AddFinding(record.findings, backend, "no-source-address",
               absl::StrCat(wanted.delivery == Delivery::kTunnel
                                ? "is reached by a tunnel, and this node has no "
                                : "is not on this node, which has no ",
                            net::FamilyName(backend.address.family()),
                            " address to reach it from; set it at ",
                            "/portolan-system:system/nodes/node[name='", node_, "']"));
    return std::nullopt;
  }
  const bool here = backend.node == node_;
  wanted.outside = here || !choice.service.traffic.local;
  wanted.inside = here || !choice.service.traffic.internal_local;
  return wanted;
}

// Those that may get flows of the port, by what makes a backend; the others are noted.
Engine::Candidates Engine::CandidatesFor(Record& record, const std::string& group,
                                         const Choice& choice) const {
  Candidates candidates;
  for (const Backend& backend : record.backends->backends) {
    const bool fits = backend.address.family() == choice.family ||
                      (choice.other_family && choice.family == net::Family::kIpv4);
    if (!fits) continue;
    Chosen chosen{.group = group,
                  .wanted = {},
                  .view = {.protocol = choice.port.protocol,
                           .port = choice.port.port,
                           .family = choice.family,
                           .backend = backend.id,
                           .address = backend.address,
                           .weight = backend.weight}};
    const bool drains = backend.condition == Condition::kDraining;
    if (backend.condition == Condition::kDown || (drains && backend.drain_deadline <= choice.now)) {
      chosen.view.state = BackendState::kDown;
      record.chosen.push_back(std::move(chosen));
      continue;
    }
    const std::optional<WantedBackend> wanted = Consider(record, backend, choice);
    if (!wanted.has_value()) {
      chosen.view.state = BackendState::kUnused;
      record.chosen.push_back(std::move(chosen));
      continue;
    }
    if (!wanted->outside && !wanted->inside) {
      record.elsewhere = true;
      continue;
    }
    if (drains) {
      chosen.view.state = BackendState::kDraining;
      record.next_deadline = std::min(record.next_deadline, backend.drain_deadline);
    }
    chosen.wanted = *wanted;
    chosen.view.target_port = wanted->port;
    const auto [same, fresh] = candidates.try_emplace(
        {wanted->address, wanted->port, wanted->delivery}, std::move(chosen));
    if (fresh) continue;
    uint32_t& weight = same->second.wanted.weight;
    weight = std::max(weight, backend.weight);
    same->second.view.weight = weight;
  }
  return candidates;
}

std::vector<WantedBackend> Engine::BackendsFor(Record& record, const std::string& group,
                                               const Choice& choice) const {
  Candidates candidates = CandidatesFor(record, group, choice);
  const auto rank = [&](const Chosen& each) {
    return RankOf(each.view, record.failing.contains(each.view.backend));
  };
  int outside = 1;
  int inside = 1;
  for (const auto& [name, chosen] : candidates) {
    if (chosen.wanted.outside) outside = std::max(outside, rank(chosen));
    if (chosen.wanted.inside) inside = std::max(inside, rank(chosen));
  }
  std::vector<WantedBackend> backends;
  backends.reserve(candidates.size());
  for (auto& [name, chosen] : candidates) {
    WantedBackend& wanted = chosen.wanted;
    const auto failure = record.failing.find(chosen.view.backend);
    const int own = rank(chosen);
    wanted.outside = wanted.outside && own == outside;
    wanted.inside = wanted.inside && own == inside;
    const bool used = failure == record.failing.end() || wanted.outside || wanted.inside;
    if (failure != record.failing.end()) {
      chosen.view.state = BackendState::kFailing;
      AddFinding(record.findings, {.id = chosen.view.backend}, "health-check-failed",
                 absl::StrCat("fails its health check: ", failure->second,
                              used ? "; it is used because all fail" : ""));
    } else if (chosen.view.state == BackendState::kActive && wanted.weight == 0) {
      chosen.view.state = BackendState::kResting;
    }
    if (used) backends.push_back(wanted);
    record.chosen.push_back(std::move(chosen));
  }
  return backends;
}

std::set<net::IpAddress> Engine::AddressesOf(const Record& record) const {
  std::set<net::IpAddress> addresses;
  for (const auto& [address, until] : record.lingering) addresses.insert(address);
  if (record.allocation.has_value()) {
    for (const Grant& grant : record.allocation->grants) addresses.insert(grant.address);
  }
  return addresses;
}

// Backends that none of the service's addresses can use.
void Engine::CheckFamilies(Record& record, const std::set<net::IpAddress>& addresses) const {
  if (addresses.empty() || !record.backends.has_value()) return;
  const bool ipv4 = addresses.begin()->is_ipv4();
  const bool mixed = ipv4 != addresses.rbegin()->is_ipv4();
  if (mixed) return;
  const bool to_ipv6 = CarriesToIpv6(*record.service, *record.backends);
  for (const Backend& backend : record.backends->backends) {
    if (backend.address.is_ipv4() == ipv4 || (to_ipv6 && ipv4)) continue;
    AddFinding(record.findings, backend, "family-differs",
               absl::StrCat("is ", net::FamilyName(backend.address.family()),
                            ", and the service has only ", ipv4 ? "IPv4" : "IPv6",
                            " addresses: give it one of this family, or the backend's address of ",
                            "the other",
                            ipv4 ? "; forwarding-mode tunnel carries IPv4 to IPv6 "
                                   "backends where it has no other ones"
                                 : ""));
  }
}

// One group for each family that the service has addresses of.
void Engine::AddGroups(const std::string& key, Record& record, const ServicePort& port,
                       const std::set<net::IpAddress>& addresses, absl::Time now,
                       std::vector<WantedGroup>& groups) const {
  const Service& service = *record.service;
  for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    WantedGroup group;
    group.name = GroupName(port, family);
    group.protocol = port.protocol;
    for (const net::IpAddress& address : addresses) {
      const FrontendKey frontend{address, port.port, port.protocol};
      if (address.family() == family && Owns(key, frontend)) group.frontends.insert(frontend);
    }
    if (group.frontends.empty()) continue;
    if (record.backends.has_value()) {
      group.backends = BackendsFor(record, group.name,
                                   {.service = service,
                                    .port = port,
                                    .family = family,
                                    .other_family = CarriesToIpv6(service, *record.backends),
                                    .now = now});
    }
    group.sources = RulesFor(service.admission, family);
    group.affinity_s = service.admission.affinity_s;
    group.idle_s = service.traffic.idle_s;
    group.silent = service.traffic.silent.value_or(settings_.drop_unserved);
    groups.push_back(std::move(group));
  }
}

void Engine::Refresh(const std::string& key, Record& record, absl::Time now) {
  record.findings.clear();
  record.chosen.clear();
  record.next_deadline = absl::InfiniteFuture();
  record.elsewhere = false;
  std::vector<WantedGroup> groups;
  if (record.service.has_value()) {
    if (!record.service->health_problem.empty()) {
      record.findings.push_back({"health-check", "health-check", record.service->health_problem});
    }
    const std::set<net::IpAddress> addresses = AddressesOf(record);
    CheckFamilies(record, addresses);
    std::set<std::pair<uint8_t, uint16_t>> seen;
    for (const ServicePort& port : record.service->ports) {
      const std::string subject =
          absl::StrCat("port/", ProtocolName(port.protocol), "/", port.port);
      if (!IsCarried(port)) {
        record.findings.push_back({subject, "port-not-carried",
                                   "the datapath carries TCP, UDP and SCTP ports from 1 to 65535"});
      } else if (!seen.insert({port.protocol, port.port}).second) {
        record.findings.push_back(
            {subject, "duplicate-port",
             absl::StrCat("the service has it twice: '", port.name, "' is left out, remove it")});
      } else {
        AddGroups(key, record, port, addresses, now, groups);
      }
    }
  }
  programmer_->Want(key, std::move(groups));
  Schedule(key, record);
}

}  // namespace portolan::datapath
