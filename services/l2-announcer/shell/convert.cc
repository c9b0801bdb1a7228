#include "services/l2-announcer/shell/convert.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/selector/selector_proto.h"
#include "services/base/status/status_macros.h"

namespace portolan::l2 {
namespace {

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

absl::Duration Or(uint32_t milliseconds, absl::Duration otherwise) {
  return milliseconds == 0 ? otherwise : absl::Milliseconds(milliseconds);
}

}  // namespace

absl::StatusOr<Allocation> FromProto(const allocation::v1alpha1::Allocation& proto) {
  Allocation allocation{.generation = proto.generation(),
                        .labels = portolan::FromProto(proto.labels())};
  for (const auto& grant : proto.grants()) {
    absl::StatusOr<net::IpAddress> address = net::IpAddress::Parse(grant.address());
    if (!address.ok()) {
      return Annotate(address.status(), absl::StrCat("allocation of ", proto.key()));
    }
    allocation.grants.push_back({*address, grant.pool()});
  }
  return allocation;
}

Policy FromProto(const config::v1alpha1::L2Policy& proto) {
  return {.services = portolan::FromProto(proto.service_selector()),
          .pools = {proto.pools().begin(), proto.pools().end()},
          .nodes = portolan::FromProto(proto.node_selector()),
          .interfaces = {proto.interfaces().begin(), proto.interfaces().end()}};
}

Settings FromProto(const config::v1alpha1::L2Settings& proto) {
  Settings settings;
  settings.heartbeat_interval = Or(proto.heartbeat_interval_ms(), settings.heartbeat_interval);
  settings.dead_interval = Or(proto.dead_interval_ms(), settings.dead_interval);
  settings.gratuitous_interval = Or(proto.gratuitous_interval_ms(), settings.gratuitous_interval);
  if (proto.gratuitous_count() != 0) {
    settings.gratuitous_count = static_cast<int>(proto.gratuitous_count());
  }
  if (!proto.owner_election().empty()) settings.owner_election = proto.owner_election();
  return settings;
}

absl::StatusOr<GateChanged> GateFromProto(const status::v1alpha1::ObjectStatus& proto) {
  GateChanged gate{.service = proto.key()};
  for (const std::string& text : proto.addresses()) {
    absl::StatusOr<net::IpAddress> address = net::IpAddress::Parse(text);
    if (!address.ok()) {
      return Annotate(address.status(), absl::StrCat("datapath status of ", proto.key()));
    }
    gate.carried.insert(*address);
  }
  return gate;
}

std::string StatusKey(absl::string_view node, absl::string_view kind, absl::string_view key) {
  return absl::StrCat("l2/", node, "/", kind, "/", key);
}

status::v1alpha1::ObjectStatus ToProto(absl::string_view node, absl::string_view kind,
                                       absl::string_view key, const Status& status) {
  status::v1alpha1::ObjectStatus proto;
  proto.set_component("l2");
  proto.set_node(std::string(node));
  proto.set_kind(std::string(kind));
  proto.set_key(std::string(key));
  proto.set_generation(status.generation);
  proto.set_state(ToProto(status.state));
  proto.set_reason(status.reason);
  proto.set_message(status.message);
  proto.set_remedy(status.remedy);
  for (const Finding& finding : status.findings) {
    auto* added = proto.add_findings();
    added->set_subject(finding.subject);
    added->set_reason(finding.reason);
    added->set_message(finding.message);
  }
  for (const net::IpAddress& address : status.addresses) proto.add_addresses(address.ToString());
  return proto;
}

std::string AnnouncementKey(absl::string_view node, const PublishAnnouncement& published) {
  return absl::StrCat(node, "/", published.interface, "/", published.address.ToString());
}

l2::v1alpha1::Announcement ToProto(absl::string_view node, const PublishAnnouncement& published,
                                   absl::Time wall_since) {
  l2::v1alpha1::Announcement proto;
  proto.set_node(std::string(node));
  proto.set_interface(published.interface);
  proto.set_address(published.address.ToString());
  proto.set_mac(published.announcement->mac.ToString());
  proto.set_service(published.announcement->service);
  proto.set_state(published.announcement->owner ? "owner" : "standby");
  proto.set_owner(published.announcement->owner_node);
  proto.set_since_unix_ms(absl::ToUnixMillis(wall_since));
  if (published.announcement->rival.has_value()) {
    proto.set_rival(published.announcement->rival->ToString());
  }
  return proto;
}

}  // namespace portolan::l2
