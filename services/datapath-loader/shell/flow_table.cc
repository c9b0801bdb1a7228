#include "services/datapath-loader/shell/flow_table.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/flow_filter.h"
#include "services/datapath-loader/shell/map_scan.h"

namespace portolan::datapath {
namespace {

// A page ends at whichever comes first.
constexpr int kPageFlows = 4096;
constexpr size_t kPageEntries = 65536;

struct Ipv4 {
  using Key = portolan_flow_key4;
  using Value = portolan_flow4;
  static constexpr bool kIpv6 = false;
  static constexpr char kMap[] = "flows4";
  static const __be32* Words(const __be32& word) { return &word; }
};

struct Ipv6 {
  using Key = portolan_flow_key6;
  using Value = portolan_flow6;
  static constexpr bool kIpv6 = true;
  static constexpr char kMap[] = "flows6";
  static const __be32* Words(const __be32 (&words)[4]) { return words; }
};

template <typename F>
v1alpha1::Flow ToProto(const typename F::Key& key, const typename F::Value& value,
                       const Directory& directory, const ServiceNames& names) {
  v1alpha1::Flow flow;
  const net::IpAddress frontend = AddressOf(F::Words(key.daddr), F::kIpv6);
  const Directory::Backend& backend = *directory.FindBackend(value.flow.backend);
  const bool one_way = value.flow.flags & PORTOLAN_FLOW_ONE_WAY;
  flow.set_service(names.ServiceOf(FrontendKey{frontend, ntohs(key.dport), key.protocol}));
  flow.set_frontend_address(frontend.ToString());
  flow.set_frontend_port(ntohs(key.dport));
  flow.set_protocol(ProtocolName(key.protocol));
  flow.set_client_address(AddressOf(F::Words(key.saddr), F::kIpv6).ToString());
  flow.set_client_port(ntohs(key.sport));
  flow.set_backend_address(backend.address.ToString());
  flow.set_backend_port(backend.port);
  const auto* source = one_way ? F::Words(key.saddr) : F::Words(value.saddr);
  flow.set_source_address(AddressOf(source, F::kIpv6).ToString());
  flow.set_source_port(ntohs(one_way ? key.sport : value.flow.sport));
  flow.set_client_closed(value.flow.flags & PORTOLAN_FLOW_FIN_FORWARD);
  flow.set_backend_closed(value.flow.flags & PORTOLAN_FLOW_FIN_REVERSE);
  flow.set_reset(value.flow.flags & PORTOLAN_FLOW_RST);
  flow.set_one_way(one_way);
  flow.set_idle_s(directory.IdleSeconds(value.flow));
  return flow;
}

// Adds what is next of one family. The position to go on from, or none: that was all.
template <typename F>
absl::StatusOr<std::optional<uint32_t>> AddPage(const LiveMaps& maps, const Directory& directory,
                                                const ServiceNames& names, const FlowFilter& filter,
                                                std::optional<uint32_t> position,
                                                v1alpha1::ListFlowsResponse& response) {
  MapScan<typename F::Key, typename F::Value> scan(maps.map(F::kMap), position);
  size_t seen = 0;
  while (response.flows_size() < kPageFlows && seen < kPageEntries) {
    ASSIGN_OR_RETURN(const bool more, scan.Next());
    if (!more) return std::nullopt;
    seen += scan.size();
    for (size_t i = 0; i < scan.size(); i++) {
      const auto& key = scan.key(i);
      const portolan_flow& flow = scan.value(i).flow;
      if ((flow.flags & PORTOLAN_FLOW_REVERSE) || !directory.IsLiving(flow, key.protocol)) continue;
      if (!filter.Matches(flow, F::Words(key.saddr), F::kIpv6)) continue;
      *response.add_flows() = ToProto<F>(key, scan.value(i), directory, names);
    }
    if (scan.ended()) return std::nullopt;
  }
  return scan.position();
}

// "4:BUCKET", "6:" for the beginning of a family.
struct PageToken {
  bool ipv6 = false;
  std::optional<uint32_t> position;
};

absl::StatusOr<PageToken> ParseToken(const std::string& text) {
  PageToken token;
  if (text.empty()) return token;
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  uint32_t position = 0;
  const bool begins = parts.size() == 2 && parts[1].empty();
  if (parts.size() != 2 || (parts[0] != "4" && parts[0] != "6") ||
      (!begins && !absl::SimpleAtoi(parts[1], &position))) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_token: \"", text, "\" is none; give that of the page before"));
  }
  token.ipv6 = parts[0] == "6";
  if (!begins) token.position = position;
  return token;
}

// Both halves of the flows that are meant.
template <typename F>
absl::StatusOr<uint64_t> FlushFamily(const LiveMaps& maps, const Directory& directory,
                                     const FlowFilter& filter) {
  const int fd = maps.map(F::kMap);
  MapScan<typename F::Key, typename F::Value> scan(fd);
  uint64_t flushed = 0;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, scan.Next());
    if (!more) return flushed;
    for (size_t i = 0; i < scan.size(); i++) {
      const auto& key = scan.key(i);
      const auto& value = scan.value(i);
      if (!directory.IsLiving(value.flow, key.protocol)) continue;
      const bool reverse = value.flow.flags & PORTOLAN_FLOW_REVERSE;
      // An answer becomes one to the client.
      const __be32* client = reverse ? F::Words(value.daddr) : F::Words(key.saddr);
      if (!filter.Matches(value.flow, client, F::kIpv6)) continue;
      const bool deleted = bpf_map_delete_elem(fd, &key) == 0;
      if (deleted && !reverse) flushed++;
    }
  }
}

}  // namespace

absl::StatusOr<v1alpha1::ListFlowsResponse> FlowTable::List(
    const v1alpha1::ListFlowsRequest& request) {
  ASSIGN_OR_RETURN(const PageToken token, ParseToken(request.page_token()));
  ASSIGN_OR_RETURN(const Directory directory, Directory::Read(maps_));
  ASSIGN_OR_RETURN(const FlowFilter filter, FlowFilter::Read(request.filter(), directory, names_));
  v1alpha1::ListFlowsResponse response;
  if (!token.ipv6) {
    ASSIGN_OR_RETURN(const std::optional<uint32_t> next,
                     AddPage<Ipv4>(maps_, directory, names_, filter, token.position, response));
    response.set_next_page_token(next.has_value() ? absl::StrCat("4:", *next) : "6:");
    return response;
  }
  ASSIGN_OR_RETURN(const std::optional<uint32_t> next,
                   AddPage<Ipv6>(maps_, directory, names_, filter, token.position, response));
  if (next.has_value()) response.set_next_page_token(absl::StrCat("6:", *next));
  return response;
}

absl::StatusOr<v1alpha1::FlushFlowsResponse> FlowTable::Flush(
    const v1alpha1::FlushFlowsRequest& request) {
  ASSIGN_OR_RETURN(const Directory directory, Directory::Read(maps_));
  ASSIGN_OR_RETURN(const FlowFilter filter, FlowFilter::Read(request.filter(), directory, names_));
  if (!filter.has_conditions()) {
    return absl::InvalidArgumentError(
        "filter: it is empty; name a service, a backend or a client (0.0.0.0/0 and ::/0 are "
        "everybody)");
  }
  ASSIGN_OR_RETURN(const uint64_t ipv4, FlushFamily<Ipv4>(maps_, directory, filter));
  ASSIGN_OR_RETURN(const uint64_t ipv6, FlushFamily<Ipv6>(maps_, directory, filter));
  v1alpha1::FlushFlowsResponse response;
  response.set_flushed(ipv4 + ipv6);
  return response;
}

}  // namespace portolan::datapath
