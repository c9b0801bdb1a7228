// The engine's half that speaks: status of services and their frontends.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/datapath-loader/core/desired_states.h"
#include "services/datapath-loader/core/engine.h"

namespace portolan::datapath {
namespace {

constexpr char kSettings[] = "/portolan-datapath:datapath/settings";

std::string Plural(size_t count, const char* noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

std::string JoinAddresses(const std::vector<net::IpAddress>& addresses) {
  return absl::StrJoin(addresses, ", ", [](std::string* out, const net::IpAddress& address) {
    absl::StrAppend(out, address.ToString());
  });
}

std::string RemedyFor(const absl::Status& status) {
  if (absl::IsOutOfRange(status)) {
    return "split the service in several, or give it fewer backends";
  }
  if (!absl::IsResourceExhausted(status)) {
    return "it is tried again by itself; see the log of datapath-loader";
  }
  const bool frontends = absl::StrContains(status.message(), "map frontend");
  return absl::StrCat("remove services, or raise ", kSettings, "/",
                      frontends ? "max-frontends" : "max-backends",
                      " and restart datapath-loader, which takes over what is there");
}

}  // namespace

void Engine::Report(absl::Time, std::vector<Effect>& effects) {
  if (!unavailable_.has_value() && (!programmer_.has_value() || !inputs_synced_)) return;
  for (auto next = unreported_.begin(); next != unreported_.end();) {
    const std::string key = *next;
    const auto it = records_.find(key);
    if (it == records_.end()) {
      next = unreported_.erase(next);
      continue;
    }
    Record& record = it->second;
    // The kernel has still to answer for it.
    const bool settled = unavailable_.has_value() || programmer_->InSync(key) ||
                         (!programmer_->StatusOf(key).ok() && in_flight_ == nullptr);
    if (!settled) {
      ++next;
      continue;
    }
    next = unreported_.erase(next);
    ReportFrontends(key, record, effects);
    ReportBackends(key, record, effects);
    const bool gone =
        (!record.service.has_value() || record.service_gone) && !record.allocation.has_value();
    if (!gone) {
      ServiceStatus status = StatusOf(key, record);
      if (record.status == status) continue;
      record.status = status;
      effects.push_back(PublishStatus{std::move(status)});
      continue;
    }
    if (record.status.has_value()) effects.push_back(RemoveStatus{key});
    record.status.reset();
    if (record.lingering.empty() && record.views.empty() &&
        (!record.backends.has_value() || record.service_gone)) {
      timeline_.erase({record.due, key});
      records_.erase(it);
    }
  }
}

void Engine::ReportFrontends(const std::string& key, Record& record, std::vector<Effect>& effects) {
  std::map<FrontendKey, FrontendView> views;
  if (programmer_.has_value()) {
    for (const auto& [frontend, entry] : programmer_->Published(key)) {
      views[frontend] = {frontend, key, entry.id, entry.backends};
    }
  }
  for (const auto& [frontend, view] : record.views) {
    // What moved to another service is that service's to speak of.
    const bool moved = owners_.OwnerOf(frontend) != nullptr && !Owns(key, frontend);
    if (!views.contains(frontend) && !moved) effects.push_back(RemoveFrontend{frontend});
  }
  for (const auto& [frontend, view] : views) {
    const auto before = record.views.find(frontend);
    if (before != record.views.end() && before->second == view) continue;
    effects.push_back(PublishFrontend{view});
  }
  record.views = std::move(views);
}

void Engine::ReportBackends(const std::string& key, Record& record, std::vector<Effect>& effects) {
  std::vector<BackendView> views;
  views.reserve(record.chosen.size());
  for (const Chosen& chosen : record.chosen) {
    BackendView& view = views.emplace_back(chosen.view);
    const bool used = view.state != BackendState::kDown && view.state != BackendState::kUnused;
    if (used && programmer_.has_value()) {
      view.id = programmer_->IdOf(key, chosen.group, chosen.wanted);
    }
  }
  if (views == record.backend_views) return;
  effects.push_back(PublishBackends{key, views});
  record.backend_views = std::move(views);
}

// Addresses of the allocation on which every frontend of the service is in force, and whose family
// is forwarded. What another service has does not count. Under the traffic policy local one without
// a backend of this node is for other nodes to carry.
std::vector<net::IpAddress> Engine::Programmed(const std::string& key, const Record& record) const {
  std::vector<net::IpAddress> addresses;
  if (!programmer_.has_value() || !record.service.has_value()) return addresses;
  const std::map<FrontendKey, FrontendEntry> published = programmer_->Published(key);
  for (const Grant& grant : record.allocation->grants) {
    const net::IpAddress& address = grant.address;
    size_t owned = 0;
    bool whole = true;
    bool served = !record.service->traffic.local;
    for (const ServicePort& port : record.service->ports) {
      const FrontendKey frontend{address, port.port, port.protocol};
      if (!Owns(key, frontend)) continue;
      owned++;
      const auto entry = published.find(frontend);
      whole = whole && entry != published.end();
      served = served || (entry != published.end() && entry->second.table_size > 0);
    }
    const bool forwarded = address.is_ipv4() ? host_.ipv4_forwarding : host_.ipv6_forwarding;
    if (owned > 0 && whole && served && forwarded) addresses.push_back(address);
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

ServiceStatus Engine::StatusOf(const std::string& key, const Record& record) const {
  ServiceStatus status;
  status.key = key;
  status.generation = record.service.has_value()      ? record.service->generation
                      : record.allocation.has_value() ? record.allocation->generation
                                                      : 0;
  if (unavailable_.has_value()) {
    status.state = State::kFailed;
    status.reason = unavailable_->reason;
    status.message = unavailable_->message;
    status.remedy = unavailable_->remedy;
    return status;
  }
  if (!record.allocation.has_value() || record.allocation->grants.empty()) {
    status.reason = "no-address";
    status.message = "waits for an address";
    status.remedy = "see what ipam says about this service";
    return status;
  }
  if (!record.service.has_value()) {
    status.reason = "no-service";
    status.message = "has an address, but nobody has declared its ports yet";
    return status;
  }
  if (host_.attached_interfaces == 0) {
    status.reason = "no-interface";
    status.message = absl::StrCat("no interface of node ", node_, " carries the datapath");
    status.remedy =
        "add the interfaces that clients and backends are behind at "
        "/portolan-datapath:datapath/interfaces, or see the status of those that are there";
    return status;
  }
  status.addresses = Programmed(key, record);
  const absl::Status failure = programmer_->StatusOf(key);
  if (!failure.ok()) {
    status.state = State::kFailed;
    status.reason = "map-refused";
    status.message = std::string(failure.message());
    status.remedy = RemedyFor(failure);
    return status;
  }
  return StatusOfProgrammed(std::move(status), record);
}

std::vector<Finding> Engine::FindingsOf(const std::string& key, const Record& record,
                                        const net::IpAddress& address) const {
  std::vector<Finding> findings;
  for (const ServicePort& port : record.service->ports) {
    const FrontendKey frontend{address, port.port, port.protocol};
    const std::string* owner = owners_.OwnerOf(frontend);
    if (owner == nullptr || *owner == key) continue;
    findings.push_back(
        {absl::StrCat("frontend/", frontend.ToString()), "frontend-taken",
         absl::StrCat("is carried for ", DescribeService(*owner), ", which had it first")});
  }
  if (address.is_ipv4() ? !host_.ipv4_forwarding : !host_.ipv6_forwarding) {
    findings.push_back(
        {absl::StrCat("address/", address.ToString()), "forwarding-off",
         absl::StrCat(
             "node ", node_, " does not forward ", net::FamilyName(address.family()), ": set ",
             address.is_ipv4() ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding", " to 1")});
  }
  return findings;
}

// Under the traffic policy local, and no backend of this node takes flows.
ServiceStatus Engine::StatusWithoutBackends(ServiceStatus status, const Record& record) const {
  if (record.elsewhere || std::any_of(record.chosen.begin(), record.chosen.end(),
                                      [](const Chosen& each) { return each.wanted.inside; })) {
    status.state = State::kReady;
    status.reason = "no-local-backend";
    status.message = absl::StrCat("no backend of node ", node_,
                                  " takes new flows, and the traffic-policy is local: other nodes "
                                  "carry its addresses");
    return status;
  }
  status.state = State::kDegraded;
  status.reason = "no-backends";
  status.message = "no backend takes new flows, and the traffic-policy is local";
  status.remedy = "give the service a backend with a weight above 0, and say its node";
  return status;
}

ServiceStatus Engine::StatusOfProgrammed(ServiceStatus status, const Record& record) const {
  status.findings = record.findings;
  std::optional<Finding> why;  // an address is missing
  for (const Grant& grant : record.allocation->grants) {
    const std::vector<Finding> findings = FindingsOf(status.key, record, grant.address);
    const bool carried =
        std::binary_search(status.addresses.begin(), status.addresses.end(), grant.address);
    if (!carried && !findings.empty() && !why.has_value()) why = findings.back();
    status.findings.insert(status.findings.end(), findings.begin(), findings.end());
  }
  if (record.service->traffic.local && status.addresses.empty() && !why.has_value()) {
    return StatusWithoutBackends(std::move(status), record);
  }
  if (!why.has_value() && !status.findings.empty()) why = status.findings.back();
  if (status.addresses.size() < record.allocation->grants.size()) {
    status.state = status.addresses.empty() ? State::kFailed : State::kDegraded;
    status.reason = why.has_value() ? why->reason : "not-carried";
    status.message = absl::StrCat(
        "carries ", status.addresses.size(), " of ", record.allocation->grants.size(), " addresses",
        why.has_value() ? absl::StrCat(": ", why->subject, " ", why->message) : "");
    status.remedy = "see the findings";
    return status;
  }
  std::vector<std::string> empty;
  uint32_t most = 0;
  for (const auto& [key, entry] : programmer_->Published(status.key)) {
    most = std::max(most, entry.backends);
    if (entry.backends == 0) empty.push_back(key.ToString());
  }
  if (!empty.empty()) {
    status.state = State::kDegraded;
    status.reason = "no-backends";
    status.message = absl::StrCat("no backend takes new flows of ", absl::StrJoin(empty, ", "));
    status.remedy = "give the service a backend of this family with a weight above 0";
    return status;
  }
  status.state = status.findings.empty() ? State::kReady : State::kDegraded;
  status.reason = status.findings.empty() ? "programmed" : status.findings.front().reason;
  status.message =
      absl::StrCat("carries ", JoinAddresses(status.addresses), " to ", Plural(most, "backend"));
  if (!status.findings.empty()) {
    absl::StrAppend(&status.message, "; ", status.findings.front().subject, " ",
                    status.findings.front().message);
    status.remedy = "see the findings";
  }
  return status;
}

Engine::Usage Engine::InUse() const {
  Usage usage;
  std::set<uint32_t> backends;
  for (const auto& [key, record] : records_) {
    usage.frontends += record.views.size();
    for (const BackendView& view : record.backend_views) {
      if (view.id != 0) backends.insert(view.id);
    }
  }
  usage.backends = backends.size();
  return usage;
}

}  // namespace portolan::datapath
