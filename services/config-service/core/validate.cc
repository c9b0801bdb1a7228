#include "services/config-service/core/validate.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::config {
namespace {

constexpr size_t kMaxProblems = 100;

// 'text' or "text", as XPath 1.0 writes a literal.
std::string Quote(const std::string& text) {
  const char* quote = text.find('\'') == std::string::npos ? "'" : "\"";
  return absl::StrCat(quote, text, quote);
}

std::string BlockPath(const std::string& pool, const std::string& block) {
  return absl::StrCat("/portolan-ipam:ipam/pools/pool[name=", Quote(pool),
                      "]/blocks/block[id=", Quote(block), "]");
}

std::string ServicePath(const Service& service) {
  return absl::StrCat("/portolan-service:services/service[namespace=", Quote(service.name_space),
                      "][name=", Quote(service.name), "]");
}

std::string PeerPath(const BgpPeer& peer) {
  return absl::StrCat("/portolan-bgp:bgp/instances/instance[name=", Quote(peer.instance),
                      "]/peers/peer[name=", Quote(peer.name), "]");
}

// A block and where it is written.
struct Place {
  net::Range range;
  const std::string* pool;
  const std::string* block;
};

std::string Name(const Place& place) {
  return absl::StrCat("block ", *place.block, " of pool ", *place.pool, " (",
                      place.range.ToString(), ")");
}

Problem BadBlock(const Pool& pool, const Block& block, const absl::Status& status) {
  Problem problem;
  problem.path = BlockPath(pool.name, block.id);
  if (!block.cidr.empty()) {
    absl::StrAppend(&problem.path, "/cidr");
    problem.rule = "cidr";
    problem.remedy = "write the first address of the prefix and its length, such as 20.0.10.0/24";
  } else {
    const auto first = net::IpAddress::Parse(block.first);
    const auto last = net::IpAddress::Parse(block.last);
    const bool families = first.ok() && last.ok() && first->family() != last->family();
    problem.rule = families ? "block-family" : "block-order";
    absl::StrAppend(&problem.path, "/last");
    problem.remedy = families
                         ? "give first and last of one family; a second family is a second block"
                         : "exchange first and last, or correct one of them";
  }
  problem.message =
      absl::StrCat("block ", block.id, " of pool ", pool.name, ": ", status.message());
  return problem;
}

// Addresses that no service can ever have.
struct Reserved {
  const char* prefix;
  const char* name;
};
constexpr Reserved kReserved[] = {
    {"0.0.0.0/8", "addresses of \"this network\" (RFC 1122)"},
    {"127.0.0.0/8", "loopback addresses"},
    {"224.0.0.0/4", "multicast addresses"},
    {"255.255.255.255/32", "the broadcast address"},
    {"::/128", "the unspecified address"},
    {"::1/128", "the loopback address"},
    {"ff00::/8", "multicast addresses"},
};

void CheckReserved(const Place& place, std::vector<Problem>* problems) {
  for (const Reserved& reserved : kReserved) {
    const net::Range range = net::Range::Of(net::Prefix::Parse(reserved.prefix).value());
    if (!range.Overlaps(place.range)) continue;
    problems->push_back(
        {.path = BlockPath(*place.pool, *place.block),
         .rule = "block-reserved",
         .message = absl::StrCat(Name(place), " holds ", reserved.name, ", ", reserved.prefix),
         .remedy = "take these addresses out of the block"});
  }
}

void CheckOverlap(const Place& a, const Place& b, std::vector<Problem>* problems) {
  const net::IpAddress from = std::max(a.range.first(), b.range.first());
  const net::IpAddress to = std::min(a.range.last(), b.range.last());
  const std::string common =
      from == to ? from.ToString() : absl::StrCat(from.ToString(), "-", to.ToString());
  problems->push_back(
      {.path = BlockPath(*b.pool, *b.block),
       .rule = *a.pool == *b.pool ? "block-overlap" : "pool-overlap",
       .message = absl::StrCat(Name(b), " overlaps ", Name(a), ": both hold ", common),
       .remedy = "shrink or remove one of the two blocks"});
}

void ValidatePools(const Snapshot& snapshot, std::vector<Problem>* problems) {
  std::vector<Place> places;
  for (const auto& [name, pool] : snapshot.pools) {
    for (const Block& block : pool.blocks) {
      const absl::StatusOr<net::Range> range = ResolveBlock(block);
      if (!range.ok()) {
        problems->push_back(BadBlock(pool, block, range.status()));
        continue;
      }
      places.push_back({*range, &pool.name, &block.id});
      CheckReserved(places.back(), problems);
    }
  }
  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.range.first() < b.range.first();
  });
  // Each block against the one before it that reaches furthest: a conflict is never missed, and
  // not every pair of a heap of overlapping blocks is listed.
  const Place* furthest = nullptr;
  for (const Place& place : places) {
    if (furthest != nullptr && furthest->range.Overlaps(place.range)) {
      CheckOverlap(*furthest, place, problems);
    }
    if (furthest == nullptr || furthest->range.last() < place.range.last()) furthest = &place;
  }
}

const char* ProtocolName(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
    case Protocol::kSctp:
      return "sctp";
  }
  return "";
}

void ValidateServices(const Snapshot& snapshot, std::vector<Problem>* problems) {
  std::map<std::tuple<std::string, Protocol, uint32_t>, const Service*> frontends;
  for (const auto& [key, service] : snapshot.services) {
    for (const std::string& address : service.requested_addresses) {
      for (const Port& port : service.ports) {
        const auto [it, fresh] =
            frontends.try_emplace({address, port.protocol, port.port}, &service);
        if (fresh) continue;
        const Service& other = *it->second;
        problems->push_back(
            {.path =
                 absl::StrCat(ServicePath(service), "/requested-address[.=", Quote(address), "]"),
             .rule = "duplicate-frontend",
             .message = absl::StrCat("the services ", other.name_space, "/", other.name, " and ",
                                     key, " both request ", address, " and both use ",
                                     ProtocolName(port.protocol), " port ", port.port),
             .remedy = "request another address, or use another port, in one of the two"});
      }
    }
    for (const Backend& backend : service.backends) {
      const auto address = net::IpAddress::Parse(backend.address);
      if (address.ok() && !address->IsMulticast() && !address->IsUnspecified()) continue;
      problems->push_back(
          {.path =
               absl::StrCat(ServicePath(service), "/backend[id=", Quote(backend.id), "]/address"),
           .rule = "backend-address",
           .message = absl::StrCat("backend ", backend.id, " of service ", key, ": ",
                                   backend.address, " is not the address of one machine"),
           .remedy = "give the backend's own unicast address"});
    }
  }
}

void ValidateBgp(const Snapshot& snapshot, std::vector<Problem>* problems) {
  std::map<std::tuple<std::string, std::string, uint32_t>, const BgpPeer*> endpoints;
  for (const auto& [key, peer] : snapshot.bgp_peers) {
    const auto address = net::IpAddress::Parse(peer.address);
    if (!address.ok() || address->IsMulticast() || address->IsUnspecified()) {
      problems->push_back({.path = PeerPath(peer) + "/address",
                           .rule = "peer-address",
                           .message = absl::StrCat("BGP peer ", key, ": ", peer.address,
                                                   " is not the address of one machine"),
                           .remedy = "give the router's own unicast address"});
      continue;
    }
    // Peers of selected nodes may be the same router with other settings.
    if (peer.node_selector.has_value()) continue;
    const auto [it, fresh] = endpoints.try_emplace({peer.instance, peer.address, peer.port}, &peer);
    if (fresh) continue;
    problems->push_back(
        {.path = PeerPath(peer) + "/address",
         .rule = "duplicate-peer",
         .message = absl::StrCat("the BGP peers ", it->second->name, " and ", peer.name,
                                 " of instance ", peer.instance, " are the same router, ",
                                 peer.address, " port ", peer.port),
         .remedy = "remove one of the two, or give each its node-selector"});
  }
  std::map<uint32_t, const BgpInstance*> listeners;
  for (const auto& [name, instance] : snapshot.bgp_instances) {
    if (instance.listen_port == 0) continue;
    const auto [it, fresh] = listeners.try_emplace(instance.listen_port, &instance);
    if (fresh) continue;
    problems->push_back(
        {.path = absl::StrCat("/portolan-bgp:bgp/instances/instance[name=", Quote(name),
                              "]/listen-port"),
         .rule = "duplicate-listen-port",
         .message = absl::StrCat("the BGP instances ", it->second->name, " and ", name,
                                 " both listen on port ", instance.listen_port),
         .remedy = "give one of the two another listen-port, or 0 to only dial"});
  }
}

}  // namespace

absl::StatusOr<net::Range> ResolveBlock(const Block& block) {
  if (!block.cidr.empty()) {
    absl::StatusOr<net::Prefix> prefix = net::Prefix::Parse(block.cidr);
    if (!prefix.ok()) return prefix.status();
    return net::Range::Of(*prefix);
  }
  absl::StatusOr<net::IpAddress> first = net::IpAddress::Parse(block.first);
  if (!first.ok()) return first.status();
  absl::StatusOr<net::IpAddress> last = net::IpAddress::Parse(block.last);
  if (!last.ok()) return last.status();
  return net::Range::Of(*first, *last);
}

std::vector<Problem> Validate(const Snapshot& snapshot) {
  std::vector<Problem> problems;
  ValidatePools(snapshot, &problems);
  ValidateServices(snapshot, &problems);
  ValidateBgp(snapshot, &problems);
  if (problems.size() > kMaxProblems) problems.resize(kMaxProblems);
  return problems;
}

}  // namespace portolan::config
