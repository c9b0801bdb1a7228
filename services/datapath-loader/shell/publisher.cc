#include "services/datapath-loader/shell/publisher.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/datapath-loader/shell/convert.h"
#include "services/datapath-loader/shell/drop_reason.h"

namespace portolan::datapath {
namespace {

using status::v1alpha1::ObjectStatus;

void AddFinding(ObjectStatus& status, const std::string& subject, const std::string& reason,
                const std::string& message) {
  status::v1alpha1::Finding* finding = status.add_findings();
  finding->set_subject(subject);
  finding->set_reason(reason);
  finding->set_message(message);
}

bool Overlap(const NodeReport& report) {
  return report.local_ports.has_value() && report.local_ports->first <= report.settings.port_last &&
         report.settings.port_first <= report.local_ports->second;
}

ObjectStatus StatusOf(const NodeReport& report, const std::string& node) {
  ObjectStatus status;
  status.set_component("datapath");
  status.set_node(node);
  status.set_kind("node");
  status.set_key(node);
  if (report.unavailable.has_value()) {
    status.set_state(status::v1alpha1::STATE_FAILED);
    status.set_reason(report.unavailable->reason);
    status.set_message(report.unavailable->message);
    status.set_remedy(report.unavailable->remedy);
    return status;
  }
  status.set_state(status::v1alpha1::STATE_READY);
  status.set_reason("loaded");
  status.set_message(absl::StrCat(report.adopted ? "adopted" : "loaded", " the datapath at ",
                                  report.pin_directory));
  if (!report.ipv4_forwarding) {
    AddFinding(status, "sysctl/net.ipv4.ip_forward", "forwarding-off",
               "is 0: no IPv4 address is carried");
  }
  if (!report.ipv6_forwarding) {
    AddFinding(status, "sysctl/net.ipv6.conf.all.forwarding", "forwarding-off",
               "is 0: no IPv6 address is carried");
  }
  for (const auto& [reason, counter] : report.drops) {
    if (counter.packets == 0) continue;
    const auto [name, meaning] = NameOf(reason);
    AddFinding(status, absl::StrCat("drops/", name), name,
               absl::StrCat(counter.packets, " packets dropped: ", meaning));
  }
  if (Overlap(report)) {
    status.set_state(status::v1alpha1::STATE_DEGRADED);
    status.set_reason("port-overlap");
    status.set_message(absl::StrCat("the kernel gives its own connections ports ",
                                    report.local_ports->first, "-", report.local_ports->second,
                                    ", and flows to backends of other nodes take ",
                                    report.settings.port_first, "-", report.settings.port_last));
    status.set_remedy(
        absl::StrCat("set net.ipv4.ip_local_port_range to end below ", report.settings.port_first));
  }
  if (report.sizes_changed) {
    status.set_state(status::v1alpha1::STATE_DEGRADED);
    status.set_reason("sizes-changed");
    status.set_message(
        "max-flows, max-frontends or max-backends has changed since the datapath "
        "was loaded, and is not in force");
    status.set_remedy(
        "restart datapath-loader: it makes the maps anew with what is in them, flows included");
  }
  return status;
}

}  // namespace

Publisher::Publisher(const process::Context& context)
    : node_(context.node),
      log_(*context.log),
      statuses_(context.hub->NewWriter<ObjectStatus>()),
      interfaces_(context.hub->NewWriter<datapath::v1alpha1::InterfaceState>()),
      traffic_(*context.hub, context.node),
      drops_(*context.hub, context.node) {}

void Publisher::Publish(const Effect& effect) {
  if (const auto* status = std::get_if<datapath::PublishStatus>(&effect)) {
    PublishService(status->status);
  } else if (const auto* removed = std::get_if<RemoveStatus>(&effect)) {
    statuses_.Remove(absl::StrCat("datapath/", node_, "/service/", removed->key));
  } else if (const auto* frontend = std::get_if<PublishFrontend>(&effect)) {
    traffic_.Put(frontend->view);
    drops_.Put(frontend->view);
  } else if (const auto* gone = std::get_if<RemoveFrontend>(&effect)) {
    traffic_.Remove(gone->key);
    drops_.Remove(gone->key);
  } else if (const auto* backends = std::get_if<PublishBackends>(&effect)) {
    traffic_.Put(backends->key, backends->views);
  }
}

void Publisher::PublishService(const ServiceStatus& status) {
  const ObjectStatus message = ToProto(status, node_);
  statuses_.Upsert(StatusKey(message), message);
  log_.Info("service", {{"key", status.key},
                        {"generation", absl::StrCat(status.generation)},
                        {"reason", status.reason},
                        {"message", status.message}});
}

void Publisher::Interfaces(const std::vector<InterfaceReport>& reports) {
  std::set<std::string> names;
  for (const InterfaceReport& report : reports) {
    names.insert(report.name);
    const auto before = reports_.find(report.name);
    if (before != reports_.end() && before->second == report) continue;
    reports_[report.name] = report;
    const ObjectStatus status = datapath::ToStatus(report, node_);
    statuses_.Upsert(StatusKey(status), status);
    interfaces_.Upsert(absl::StrCat(node_, "/", report.name), ToState(report, node_));
    log_.Info("interface", {{"name", report.name},
                            {"mode", report.mode},
                            {"reason", report.reason},
                            {"message", report.message}});
  }
  for (auto it = reports_.begin(); it != reports_.end();) {
    if (names.contains(it->first)) {
      ++it;
      continue;
    }
    statuses_.Remove(absl::StrCat("datapath/", node_, "/interface/", it->first));
    interfaces_.Remove(absl::StrCat(node_, "/", it->first));
    log_.Info("interface detached", {{"name", it->first}});
    it = reports_.erase(it);
  }
}

void Publisher::Node(const NodeReport& report) {
  loaded_ = !report.unavailable.has_value();
  node_drops_ = report.drops;
  const ObjectStatus status = StatusOf(report, node_);
  statuses_.Upsert(StatusKey(status), status);
}

void Publisher::Log(const std::vector<std::string>& problems) const {
  for (const std::string& problem : problems) {
    log_.Warning("left out what cannot be understood", {{"problem", problem}});
  }
}

void Publisher::Collect(metrics::Page& page) const {
  page.AddGauge("portolan_datapath_loaded", "1: programs and maps are in the kernel.", {},
                loaded_ ? 1 : 0);
  page.AddGauge("portolan_datapath_interfaces", "Interfaces that are wanted.", {},
                static_cast<double>(reports_.size()));
  page.AddGauge("portolan_datapath_frontends", "Frontends in the maps.", {},
                static_cast<double>(traffic_.frontends()));
  for (const auto& [reason, counter] : node_drops_) {
    page.AddCounter("portolan_datapath_dropped_packets_total",
                    "Packets that the programs dropped; read once a second.",
                    {{"reason", NameOf(reason).first}}, static_cast<double>(counter.packets));
  }
  drops_.Collect(page);
}

void Publisher::MarkSynced() {
  statuses_.MarkSynced();
  interfaces_.MarkSynced();
  traffic_.MarkSynced();
  drops_.MarkSynced();
}

}  // namespace portolan::datapath
