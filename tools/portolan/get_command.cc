#include <iostream>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "tools/portolan/client.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/tables.h"
#include "tools/portolan/time_text.h"

namespace portolan::cli {
namespace {

// Reads one table and prints a row for each entry.
template <typename M, typename RowOf>
int PrintTable(const Places& places, Output output, const std::vector<std::string>& columns,
               RowOf row_of) {
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const auto table = client->Snapshot<M>();
  if (!table.ok()) return Fail(table.status());
  Printer printer(columns);
  for (const auto& [key, message] : *table) printer.Add(row_of(message));
  printer.Print(std::cout, output);
  return kOk;
}

}  // namespace

int GetServices(const Places& places, Output output) {
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const absl::StatusOr<Tables> tables = ReadTables(*client);
  if (!tables.ok()) return Fail(tables.status());
  std::set<std::string> keys;
  for (const auto& [key, intent] : tables->intents) keys.insert(key);
  for (const auto& [key, allocation] : tables->allocations) keys.insert(key);
  Printer printer({"SERVICE", "ADDRESSES[]", "ANNOUNCERS[]", "BGP PEERS[]", "BACKENDS", "STATE"});
  for (const std::string& key : keys) {
    const ServiceStory story = TellStory(*tables, key);
    printer.Add({Cell{key}, story.addresses, story.announced_by, story.bgp_peers,
                 Cell{absl::StrCat(story.backends)}, Cell{story.state}});
  }
  printer.Print(std::cout, output);
  return kOk;
}

int GetPools(const Places& places, Output output) {
  using allocation::v1alpha1::PoolState;
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const auto table = client->Snapshot<PoolState>();
  if (!table.ok()) return Fail(table.status());
  Printer printer({"POOL", "FAMILY", "TOTAL", "USED", "RESERVED", "AVAILABLE", "EXHAUSTED IN",
                   "STATE", "CONFLICTS WITH", "MESSAGE"});
  for (const auto& [name, pool] : *table) {
    for (const auto& count : pool.counts()) {
      printer.Add({{name},
                   {count.family()},
                   {count.total()},
                   {count.used()},
                   {count.reserved()},
                   {count.available()},
                   count.exhausted_in_s() == 0
                       ? Cell{}
                       : Cell{absl::FormatDuration(absl::Seconds(count.exhausted_in_s()))},
                   {pool.state()},
                   CellOf(pool.conflicts_with()),
                   CellOf(pool.message())});
    }
  }
  printer.Print(std::cout, output);
  return kOk;
}

int GetPeers(const Places& places, Output output) {
  using bgp::v1alpha1::PeerState;
  return PrintTable<PeerState>(
      places, output,
      {"NODE", "PEER", "ADDRESS", "REMOTE AS", "STATE", "SINCE", "PREFIXES SENT", "LAST ERROR"},
      [](const PeerState& peer) {
        return std::vector<Cell>{{peer.node()},
                                 {peer.name()},
                                 {peer.address()},
                                 {absl::StrCat(peer.remote_as())},
                                 {peer.session_state()},
                                 {Age(peer.since_unix_ms())},
                                 {absl::StrCat(peer.prefixes_sent())},
                                 CellOf(peer.last_error())};
      });
}

int GetFrontends(const Places& places, Output output) {
  using datapath::v1alpha1::FrontendState;
  return PrintTable<FrontendState>(
      places, output,
      {"NODE", "ADDRESS", "PROTOCOL", "PORT", "SERVICE", "BACKENDS", "FLOWS", "PACKETS", "BYTES"},
      [](const FrontendState& frontend) {
        return std::vector<Cell>{{frontend.node()},
                                 {frontend.address()},
                                 {frontend.protocol()},
                                 {absl::StrCat(frontend.port())},
                                 {frontend.service()},
                                 {absl::StrCat(frontend.backends())},
                                 {absl::StrCat(frontend.flows())},
                                 {absl::StrCat(frontend.packets())},
                                 {absl::StrCat(frontend.bytes())}};
      });
}

int GetBackends(const Places& places, Output output) {
  using datapath::v1alpha1::BackendState;
  return PrintTable<BackendState>(places, output,
                                  {"NODE", "SERVICE", "PROTOCOL", "PORT", "BACKEND", "ADDRESS",
                                   "TARGET PORT", "WEIGHT", "STATE", "FLOWS", "PACKETS", "BYTES"},
                                  [](const BackendState& backend) {
                                    return std::vector<Cell>{{backend.node()},
                                                             {backend.service()},
                                                             {backend.protocol()},
                                                             {absl::StrCat(backend.port())},
                                                             {backend.backend()},
                                                             {backend.address()},
                                                             {absl::StrCat(backend.target_port())},
                                                             {absl::StrCat(backend.weight())},
                                                             {backend.state()},
                                                             {absl::StrCat(backend.flows())},
                                                             {absl::StrCat(backend.packets())},
                                                             {absl::StrCat(backend.bytes())}};
                                  });
}

int GetDrops(const Places& places, Output output) {
  using datapath::v1alpha1::DropState;
  return PrintTable<DropState>(
      places, output, {"NODE", "SERVICE", "ADDRESS", "REASON", "PACKETS", "BYTES", "MESSAGE"},
      [](const DropState& drop) {
        return std::vector<Cell>{
            {drop.node()},   CellOf(drop.service()),         CellOf(drop.address()),
            {drop.reason()}, {absl::StrCat(drop.packets())}, {absl::StrCat(drop.bytes())},
            {drop.message()}};
      });
}

int GetAnnouncements(const Places& places, Output output) {
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const absl::StatusOr<Tables> tables = ReadTables(*client);
  if (!tables.ok()) return Fail(tables.status());
  Printer printer({"ADDRESS", "SERVICE", "BY", "NODE", "WHERE", "STATE", "DETAIL[]"});
  for (const auto& [key, announcement] : tables->announcements) {
    printer.Add({{announcement.address()},
                 {announcement.service()},
                 {"l2"},
                 {announcement.node()},
                 {announcement.interface()},
                 {announcement.state()},
                 {announcement.state() == "owner" ? announcement.mac()
                                                  : absl::StrCat("owner ", announcement.owner())}});
  }
  for (const auto& [key, route] : tables->routes) {
    Cell detail = {absl::StrCat("next-hop ", route.next_hop())};
    detail.insert(detail.end(), route.communities().begin(), route.communities().end());
    printer.Add({{route.prefix()},
                 {route.service()},
                 {"bgp"},
                 {route.node()},
                 {route.peer()},
                 {"advertised"},
                 detail});
  }
  printer.Print(std::cout, output);
  return kOk;
}

int GetProblems(const Places& places, Output output) {
  using status::v1alpha1::ObjectStatus;
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const auto statuses = client->Snapshot<ObjectStatus>();
  if (!statuses.ok()) return Fail(statuses.status());
  Printer printer({"COMPONENT", "NODE", "KIND", "OBJECT", "STATE", "REASON", "MESSAGE", "REMEDY"});
  for (const auto& [key, status] : *statuses) {
    if (!IsProblem(status)) continue;
    printer.Add({{status.component()},
                 CellOf(status.node()),
                 {status.kind()},
                 {status.key()},
                 {StateName(status.state())},
                 {status.reason()},
                 {status.message()},
                 CellOf(status.remedy())});
  }
  printer.Print(std::cout, output);
  return kOk;
}

}  // namespace portolan::cli
