#include "services/config-service/shell/state_text.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/bgp/v1alpha1/bgp.pb.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "api/proto/l2/v1alpha1/l2.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"

namespace portolan::config {
namespace {

using Json = nlohmann::json;

// RFC 7951, section 6.1: numbers of 64 bits are texts.
std::string Long(uint64_t number) { return absl::StrCat(number); }

// What is empty is not said.
void Put(Json* row, const char* leaf, const std::string& text) {
  if (!text.empty()) (*row)[leaf] = text;
}

void PutTime(Json* row, const char* leaf, int64_t unix_ms) {
  if (unix_ms == 0) return;
  (*row)[leaf] =
      absl::FormatTime(absl::RFC3339_full, absl::FromUnixMillis(unix_ms), absl::UTCTimeZone());
}

template <typename M>
void PutTraffic(const M& message, Json* row) {
  (*row)["packets"] = Long(message.packets());
  (*row)["bytes"] = Long(message.bytes());
  (*row)["flows"] = Long(message.flows());
}

// ---- rows; several of one message, or none ----

void Rows(const status::v1alpha1::ObjectStatus& status, Json* rows) {
  Json row = {{"component", status.component()},
              {"node", status.node()},
              {"kind", status.kind()},
              {"object", status.key()},
              {"generation", Long(status.generation())}};
  if (status.state() != status::v1alpha1::STATE_UNSPECIFIED) {
    // STATE_READY is "ready".
    const std::string name = status::v1alpha1::State_Name(status.state());
    row["state"] = absl::AsciiStrToLower(absl::string_view(name).substr(sizeof("STATE_") - 1));
  }
  Put(&row, "reason", status.reason());
  Put(&row, "message", status.message());
  Put(&row, "remedy", status.remedy());
  if (!status.component().empty() && !status.kind().empty()) rows->push_back(std::move(row));
}

void Rows(const allocation::v1alpha1::Allocation& allocation, Json* rows) {
  for (const auto& grant : allocation.grants()) {
    Json row = {
        {"address", grant.address()}, {"service", allocation.key()}, {"adopted", grant.adopted()}};
    Put(&row, "pool", grant.pool());
    PutTime(&row, "since", grant.since_unix_ms());
    PutTime(&row, "draining-until", grant.draining_until_unix_ms());
    rows->push_back(std::move(row));
  }
}

void Rows(const allocation::v1alpha1::PoolState& pool, Json* rows) {
  for (const auto& count : pool.counts()) {
    Json row = {{"pool", pool.name()},          {"family", count.family()},
                {"total", count.total()},       {"used", count.used()},
                {"reserved", count.reserved()}, {"available", count.available()}};
    Put(&row, "state", pool.state());
    Put(&row, "message", pool.message());
    Put(&row, "conflicts-with", pool.conflicts_with());
    if (count.exhausted_in_s() > 0) row["exhausted-in"] = Long(count.exhausted_in_s());
    rows->push_back(std::move(row));
  }
}

void Rows(const l2::v1alpha1::Announcement& announcement, Json* rows) {
  Json row = {{"node", announcement.node()},
              {"interface", announcement.interface()},
              {"address", announcement.address()}};
  Put(&row, "service", announcement.service());
  Put(&row, "mac", announcement.mac());
  Put(&row, "state", announcement.state());
  Put(&row, "owner", announcement.owner());
  Put(&row, "rival", announcement.rival());
  PutTime(&row, "since", announcement.since_unix_ms());
  rows->push_back(std::move(row));
}

void Rows(const bgp::v1alpha1::PeerState& peer, Json* rows) {
  Json row = {{"node", peer.node()},
              {"instance", peer.instance()},
              {"peer", peer.name()},
              {"remote-as", peer.remote_as()},
              {"local-as", peer.local_as()},
              {"prefixes-sent", peer.prefixes_sent()},
              {"hold-time", peer.hold_time_s()}};
  Put(&row, "address", peer.address());
  Put(&row, "state", peer.session_state());
  Put(&row, "last-error", peer.last_error());
  PutTime(&row, "since", peer.since_unix_ms());
  rows->push_back(std::move(row));
}

void Rows(const bgp::v1alpha1::Route& route, Json* rows) {
  Json row = {{"node", route.node()},
              {"instance", route.instance()},
              {"peer", route.peer()},
              {"prefix", route.prefix()}};
  Put(&row, "next-hop", route.next_hop());
  Put(&row, "service", route.service());
  for (const std::string& community : route.communities()) row["community"].push_back(community);
  rows->push_back(std::move(row));
}

void Rows(const datapath::v1alpha1::InterfaceState& interface, Json* rows) {
  Json row = {{"node", interface.node()}, {"interface", interface.interface()}};
  Put(&row, "program", interface.mode());
  Put(&row, "message", interface.message());
  rows->push_back(std::move(row));
}

void Rows(const datapath::v1alpha1::FrontendState& frontend, Json* rows) {
  Json row = {{"node", frontend.node()},
              {"address", frontend.address()},
              {"protocol", frontend.protocol()},
              {"port", frontend.port()},
              {"backends", frontend.backends()}};
  Put(&row, "service", frontend.service());
  PutTraffic(frontend, &row);
  rows->push_back(std::move(row));
}

void Rows(const datapath::v1alpha1::BackendState& backend, Json* rows) {
  Json row = {{"node", backend.node()},         {"service", backend.service()},
              {"protocol", backend.protocol()}, {"port", backend.port()},
              {"backend", backend.backend()},   {"target-port", backend.target_port()},
              {"weight", backend.weight()}};
  Put(&row, "address", backend.address());
  Put(&row, "state", backend.state());
  PutTraffic(backend, &row);
  rows->push_back(std::move(row));
}

// {"TOP": {"CONTAINER": {"LIST": rows}}}
std::string Wrap(const char* top, const char* container, const char* list, Json rows) {
  Json text;
  text[top][container][list] = std::move(rows);
  return text.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The three names stand in `M`'s entry of StateTypes().
template <typename M>
std::string Table(const StateTable& table, const char* top, const char* container,
                  const char* list) {
  Json rows = Json::array();
  for (const auto& [key, value] : table) {
    M message;
    if (value.UnpackTo(&message)) Rows(message, &rows);
  }
  return rows.empty() ? "" : Wrap(top, container, list, std::move(rows));
}

}  // namespace

const std::vector<StateType>& StateTypes() {
  static const auto* const types = new std::vector<StateType>{
      {"portolan.status.v1alpha1.ObjectStatus",
       [](const StateTable& table) {
         return Table<status::v1alpha1::ObjectStatus>(table, "portolan-system:system",
                                                      "portolan-state:statuses", "status");
       }},
      {"portolan.allocation.v1alpha1.Allocation",
       [](const StateTable& table) {
         return Table<allocation::v1alpha1::Allocation>(table, "portolan-ipam:ipam",
                                                        "portolan-state:allocations", "allocation");
       }},
      {"portolan.allocation.v1alpha1.PoolState",
       [](const StateTable& table) {
         return Table<allocation::v1alpha1::PoolState>(table, "portolan-ipam:ipam",
                                                       "portolan-state:pool-states", "pool-state");
       }},
      {"portolan.l2.v1alpha1.Announcement",
       [](const StateTable& table) {
         return Table<l2::v1alpha1::Announcement>(
             table, "portolan-l2:l2", "portolan-network-state:announcements", "announcement");
       }},
      {"portolan.bgp.v1alpha1.PeerState",
       [](const StateTable& table) {
         return Table<bgp::v1alpha1::PeerState>(table, "portolan-bgp:bgp",
                                                "portolan-network-state:sessions", "session");
       }},
      {"portolan.bgp.v1alpha1.Route",
       [](const StateTable& table) {
         return Table<bgp::v1alpha1::Route>(table, "portolan-bgp:bgp",
                                            "portolan-network-state:routes", "route");
       }},
      {"portolan.datapath.v1alpha1.InterfaceState",
       [](const StateTable& table) {
         return Table<datapath::v1alpha1::InterfaceState>(table, "portolan-datapath:datapath",
                                                          "portolan-network-state:attachments",
                                                          "attachment");
       }},
      {"portolan.datapath.v1alpha1.FrontendState",
       [](const StateTable& table) {
         return Table<datapath::v1alpha1::FrontendState>(
             table, "portolan-datapath:datapath", "portolan-network-state:frontends", "frontend");
       }},
      {"portolan.datapath.v1alpha1.BackendState",
       [](const StateTable& table) {
         return Table<datapath::v1alpha1::BackendState>(
             table, "portolan-datapath:datapath", "portolan-network-state:backends", "backend");
       }},
  };
  return *types;
}

std::string ToJson(const std::vector<Component>& components) {
  Json rows = Json::array();
  for (const Component& component : components) {
    Json row = {{"name", component.name}, {"answering", component.answering}};
    Put(&row, "message", component.message);
    rows.push_back(std::move(row));
  }
  return Wrap("portolan-system:system", "portolan-state:components", "component", std::move(rows));
}

}  // namespace portolan::config
