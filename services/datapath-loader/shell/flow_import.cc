// FlowTable::Import().
#include <arpa/inet.h>
#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/flow_table.h"

namespace portolan::datapath {
namespace {

constexpr char kKnown[] = "known";

struct Refused {
  std::string reason;  // empty: it is in force
  std::string message;
};

// One flow with everything that the maps want to know of it.
struct Arrival {
  const Directory::Frontend* frontend = nullptr;
  const Directory::Backend* backend = nullptr;
  net::IpAddress client;
  uint16_t client_port = 0;
  net::IpAddress source;
  uint16_t source_port = 0;
  portolan_flow flow{};
};

std::string Named(const net::IpAddress& address, uint32_t port) {
  return absl::StrCat(address.is_ipv6() ? "[" : "", address.ToString(),
                      address.is_ipv6() ? "]:" : ":", port);
}

Refused Bad(const char* field, const std::string& value) {
  return {"bad-flow", absl::StrCat("flow.", field, ": \"", value,
                                   "\" cannot be read; import what `portolan datapath flows -o "
                                   "json` has printed")};
}

// How the backend is reached must be the same there and here: it would not know the flow otherwise.
Refused CheckSource(const v1alpha1::Flow& flow, const Arrival& arrival) {
  const Directory::Backend& backend = *arrival.backend;
  const bool direct = backend.entry.flags & (PORTOLAN_BACKEND_DSR | PORTOLAN_BACKEND_TUNNEL);
  if (direct != flow.one_way()) {
    return {"mode-differs",
            absl::StrCat("the flow ", flow.one_way() ? "returns" : "does not return",
                         " to the client past the node, and backend ", backend.address.ToString(),
                         " is used in the other way here; give both nodes the same "
                         "forwarding mode for ",
                         flow.service())};
  }
  const bool translated = arrival.source != arrival.client;
  const bool must = backend.entry.flags & PORTOLAN_BACKEND_SNAT;
  if (must == translated && (!must || backend.source == arrival.source)) return {};
  if (!must && translated && backend.source == arrival.source) return {};  // its own client
  return {"source-differs",
          absl::StrCat("backend ", backend.address.ToString(), " knows this flow as coming from ",
                       arrival.source.ToString(), ", and this node would send it from ",
                       must && backend.source.has_value() ? backend.source->ToString()
                                                          : std::string("the client's address"),
                       "; such a flow can only go back to the node that it is from")};
}

uint32_t FlagsOf(const v1alpha1::Flow& flow, const Arrival& arrival) {
  uint32_t flags = 0;
  if (flow.client_closed()) flags |= PORTOLAN_FLOW_FIN_FORWARD;
  if (flow.backend_closed()) flags |= PORTOLAN_FLOW_FIN_REVERSE;
  if (flow.reset()) flags |= PORTOLAN_FLOW_RST;
  if (flow.one_way()) return flags | PORTOLAN_FLOW_ONE_WAY;
  return arrival.source == arrival.client ? flags : flags | PORTOLAN_FLOW_SNAT;
}

Refused CheckPorts(const v1alpha1::Flow& flow) {
  for (const auto& [field, port] : {std::pair{"frontend_port", flow.frontend_port()},
                                    std::pair{"client_port", flow.client_port()},
                                    std::pair{"backend_port", flow.backend_port()},
                                    std::pair{"source_port", flow.source_port()}}) {
    if (port > 65535) return Bad(field, absl::StrCat(port));
  }
  return {};
}

Refused FindParties(const v1alpha1::Flow& flow, const Directory& directory,
                    const ServiceNames& names, Arrival& arrival) {
  const auto frontend = net::IpAddress::Parse(flow.frontend_address());
  if (!frontend.ok()) return Bad("frontend_address", flow.frontend_address());
  const auto backend = net::IpAddress::Parse(flow.backend_address());
  if (!backend.ok()) return Bad("backend_address", flow.backend_address());
  uint8_t protocol = 0;
  for (const uint8_t number : {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP}) {
    if (ProtocolName(number) == flow.protocol()) protocol = number;
  }
  if (protocol == 0) return Bad("protocol", flow.protocol());
  const FrontendKey key{*frontend, static_cast<uint16_t>(flow.frontend_port()), protocol};
  arrival.frontend = directory.FindFrontend(key);
  if (arrival.frontend == nullptr) {
    return {"no-frontend", absl::StrCat("this node does not carry ", key.ToString(),
                                        "; give it the Service ", flow.service(), " first")};
  }
  const std::string service = names.ServiceOf(key);
  if (!flow.service().empty() && service != flow.service()) {
    return {"other-service",
            absl::StrCat(key.ToString(), " belongs to ",
                         service.empty() ? std::string("no Service that is known yet") : service,
                         " on this node, not to ", flow.service())};
  }
  arrival.backend = directory.FindBackend(arrival.frontend->group, *backend,
                                          static_cast<uint16_t>(flow.backend_port()), protocol);
  if (arrival.backend == nullptr) {
    return {"no-backend",
            absl::StrCat("backend ", Named(*backend, flow.backend_port()), " is none of ",
                         key.ToString(), " on this node; its client has to open a new flow")};
  }
  return {};
}

Refused Understand(const v1alpha1::Flow& flow, const Directory& directory,
                   const ServiceNames& names, Arrival& arrival) {
  if (Refused refused = CheckPorts(flow); !refused.reason.empty()) return refused;
  if (Refused refused = FindParties(flow, directory, names, arrival); !refused.reason.empty()) {
    return refused;
  }
  const auto client = net::IpAddress::Parse(flow.client_address());
  if (!client.ok() || client->family() != arrival.frontend->key.address.family()) {
    return Bad("client_address", flow.client_address());
  }
  const auto source = net::IpAddress::Parse(flow.source_address());
  if (!source.ok() || source->family() != client->family()) {
    return Bad("source_address", flow.source_address());
  }
  arrival.client = *client;
  arrival.client_port = flow.client_port();
  arrival.source = *source;
  arrival.source_port = flow.source_port();
  if (Refused refused = CheckSource(flow, arrival); !refused.reason.empty()) return refused;
  arrival.flow.frontend = arrival.frontend->id;
  arrival.flow.frontend_epoch = arrival.frontend->epoch;
  arrival.flow.backend = arrival.backend->id;
  arrival.flow.backend_epoch = arrival.backend->entry.epoch;
  arrival.flow.last = directory.TickBefore(flow.idle_s());
  arrival.flow.sport = htons(arrival.source_port);
  arrival.flow.dport = arrival.backend->entry.port;
  arrival.flow.flags = FlagsOf(flow, arrival);
  if (!directory.IsLiving(arrival.flow, arrival.frontend->key.protocol)) {
    return {"expired", absl::StrCat("it was idle for ", flow.idle_s(),
                                    " s, longer than this node remembers such a flow")};
  }
  return {};
}

void Put(const net::IpAddress& address, __be32& word) {
  __be32 words[4];
  PutAddress(address, words);
  word = words[0];
}
void Put(const net::IpAddress& address, __be32 (&words)[4]) { PutAddress(address, words); }

template <typename Key>
Key KeyOf(const net::IpAddress& from, uint16_t from_port, const net::IpAddress& to,
          uint16_t to_port, uint8_t protocol) {
  Key key{};
  Put(from, key.saddr);
  Put(to, key.daddr);
  key.sport = htons(from_port);
  key.dport = htons(to_port);
  key.protocol = protocol;
  return key;
}

template <typename Value>
bool SameFlow(const Value& a, const Value& b) {
  return a.flow.frontend == b.flow.frontend && a.flow.backend == b.flow.backend &&
         a.flow.sport == b.flow.sport && a.flow.dport == b.flow.dport &&
         memcmp(&a.saddr, &b.saddr, sizeof(a.saddr)) == 0 &&
         memcmp(&a.daddr, &b.daddr, sizeof(a.daddr)) == 0;
}

// Writes an entry where no living one of another flow stands.
template <typename Key, typename Value>
Refused Write(int fd, const Key& key, const Value& value, const Directory& directory,
              const char* half) {
  if (bpf_map_update_elem(fd, &key, &value, BPF_NOEXIST) == 0) return {};
  if (errno != EEXIST) return {"no-room", absl::StrCat("the flow table: ", strerror(errno))};
  Value there{};
  if (bpf_map_lookup_elem(fd, &key, &there) == 0 && directory.IsLiving(there.flow, key.protocol)) {
    if (SameFlow(there, value)) return {kKnown, ""};
    return {"in-use", absl::StrCat("another flow has the addresses and ports of its ", half,
                                   " already; that one stays")};
  }
  if (bpf_map_update_elem(fd, &key, &value, BPF_ANY) == 0) return {};
  return {"no-room", absl::StrCat("the flow table: ", strerror(errno))};
}

template <typename Key, typename Value>
Refused Put(int fd, const Arrival& arrival, const Directory& directory) {
  const FrontendKey& frontend = arrival.frontend->key;
  const bool one_way = arrival.flow.flags & PORTOLAN_FLOW_ONE_WAY;
  const Key key = KeyOf<Key>(arrival.client, arrival.client_port, frontend.address, frontend.port,
                             frontend.protocol);
  Value value{};
  value.flow = arrival.flow;
  Put(arrival.source, value.saddr);
  Put(arrival.backend->address, value.daddr);
  bool known = false;
  if (!one_way) {
    const Key reverse_key = KeyOf<Key>(arrival.backend->address, arrival.backend->port,
                                       arrival.source, arrival.source_port, frontend.protocol);
    Value reverse{};
    reverse.flow = arrival.flow;
    reverse.flow.flags |= PORTOLAN_FLOW_REVERSE;
    reverse.flow.sport = key.dport;
    reverse.flow.dport = key.sport;
    Put(frontend.address, reverse.saddr);
    Put(arrival.client, reverse.daddr);
    const Refused refused = Write(fd, reverse_key, reverse, directory, "answers");
    known = refused.reason == kKnown;
    if (!known && !refused.reason.empty()) return refused;
    const Refused forward = Write(fd, key, value, directory, "requests");
    // Without its requests it is no flow.
    if (!forward.reason.empty() && forward.reason != kKnown && !known) {
      bpf_map_delete_elem(fd, &reverse_key);
    }
    return forward;
  }
  return Write(fd, key, value, directory, "requests");
}

}  // namespace

absl::StatusOr<v1alpha1::ImportFlowsResponse> FlowTable::Import(
    const v1alpha1::ImportFlowsRequest& request) {
  ASSIGN_OR_RETURN(const Directory directory, Directory::Read(maps_));
  v1alpha1::ImportFlowsResponse response;
  for (const v1alpha1::Flow& flow : request.flows()) {
    Arrival arrival;
    Refused refused = Understand(flow, directory, names_, arrival);
    if (refused.reason.empty()) {
      refused =
          arrival.client.is_ipv6()
              ? Put<portolan_flow_key6, portolan_flow6>(maps_.map("flows6"), arrival, directory)
              : Put<portolan_flow_key4, portolan_flow4>(maps_.map("flows4"), arrival, directory);
    }
    if (refused.reason.empty()) {
      response.set_imported(response.imported() + 1);
    } else if (refused.reason == kKnown) {
      response.set_known(response.known() + 1);
    } else {
      v1alpha1::FlowRefusal* entry = response.add_refusals();
      *entry->mutable_flow() = flow;
      entry->set_reason(refused.reason);
      entry->set_message(refused.message);
    }
  }
  return response;
}

}  // namespace portolan::datapath
