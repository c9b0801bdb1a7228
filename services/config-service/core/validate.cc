#include "services/config-service/core/validate.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/config-service/core/data_path.h"

namespace portolan::config {
namespace {

constexpr size_t kMaxProblems = 100;

// The list that a block stands in.
enum class Part : uint8_t { kBlocks, kExcluded };

std::string BlockPath(const std::string& pool, const std::string& block, Part part) {
  return absl::StrCat(PoolPath(pool), part == Part::kBlocks ? "/blocks" : "/excluded",
                      "/block[id=", Quote(block), "]");
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
  Part part = Part::kBlocks;
};

const char* Noun(Part part) { return part == Part::kBlocks ? "block " : "excluded block "; }

std::string PathOf(const Place& place) { return BlockPath(*place.pool, *place.block, place.part); }

std::string Name(const Place& place) {
  return absl::StrCat(Noun(place.part), *place.block, " of pool ", *place.pool, " (",
                      place.range.ToString(), ")");
}

Problem BadBlock(const Pool& pool, const Block& block, Part part, const absl::Status& status) {
  Problem problem;
  problem.path = BlockPath(pool.name, block.id, part);
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
      absl::StrCat(Noun(part), block.id, " of pool ", pool.name, ": ", status.message());
  return problem;
}

// Addresses that no service can ever have.
struct Reserved {
  Reserved(const char* text, const char* what)
      : prefix(text), name(what), range(net::Range::Of(net::Prefix::Parse(text).value())) {}
  const char* prefix;
  const char* name;
  net::Range range;
};

const std::vector<Reserved>& AllReserved() {
  static const auto* const all = new std::vector<Reserved>{
      {"0.0.0.0/8", "addresses of \"this network\" (RFC 1122)"},
      {"127.0.0.0/8", "loopback addresses"},
      {"224.0.0.0/4", "multicast addresses"},
      {"255.255.255.255/32", "the broadcast address"},
      {"::/128", "the unspecified address"},
      {"::1/128", "the loopback address"},
      {"ff00::/8", "multicast addresses"},
  };
  return *all;
}

void CheckReserved(const Place& place, std::vector<Problem>* problems) {
  for (const Reserved& reserved : AllReserved()) {
    if (!reserved.range.Overlaps(place.range)) continue;
    problems->push_back(
        {.path = PathOf(place),
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
      {.path = PathOf(b),
       .rule = *a.pool == *b.pool ? "block-overlap" : "pool-overlap",
       .message = absl::StrCat(Name(b), " overlaps ", Name(a), ": both hold ", common),
       .remedy = "shrink or remove one of the two blocks"});
}

// The blocks of one list of a pool that are well formed, in the order of their first address.
std::vector<Place> PlacesOf(const Pool& pool, Part part, std::vector<Problem>* problems) {
  std::vector<Place> places;
  for (const Block& block : part == Part::kBlocks ? pool.blocks : pool.excluded) {
    const absl::StatusOr<net::Range> range = ResolveBlock(block);
    if (range.ok()) {
      places.push_back({*range, &pool.name, &block.id, part});
    } else {
      problems->push_back(BadBlock(pool, block, part, range.status()));
    }
  }
  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.range.first() < b.range.first();
  });
  return places;
}

// Both in the order of their first address.
void CheckExcluded(const std::vector<Place>& blocks, const std::vector<Place>& excluded,
                   std::vector<Problem>* problems) {
  size_t begun = 0;  // blocks that begin before the exclusion ends
  std::vector<const Place*> by_end;
  for (const Place& place : excluded) by_end.push_back(&place);
  std::stable_sort(by_end.begin(), by_end.end(), [](const Place* a, const Place* b) {
    return a->range.last() < b->range.last();
  });
  std::optional<net::IpAddress> furthest;  // that a block of those reaches
  for (const Place* place : by_end) {
    for (; begun < blocks.size() && blocks[begun].range.first() <= place->range.last(); ++begun) {
      furthest = std::max(furthest.value_or(net::IpAddress()), blocks[begun].range.last());
    }
    if (furthest.has_value() && *furthest >= place->range.first()) continue;
    problems->push_back(
        {.path = PathOf(*place),
         .rule = "excluded-outside",
         .message = absl::StrCat(Name(*place), " is outside every block of the pool"),
         .remedy = "correct its addresses, move it to the pool that holds them, or remove it"});
  }
}

// Each /24 of such a block has two addresses to leave out, and ipam-service keeps every one.
void CheckBuggyIps(const Pool& pool, const std::vector<Place>& blocks,
                   std::vector<Problem>* problems) {
  constexpr uint32_t kMaxSizeMinusOne = (1u << 24) - 1;
  if (!pool.avoid_buggy_ips) return;
  for (const Place& place : blocks) {
    if (place.range.family() != net::Family::kIpv4) continue;
    if (place.range.SizeMinusOne() <= kMaxSizeMinusOne) continue;
    problems->push_back(
        {.path = PoolPath(pool.name) + "/avoid-buggy-ips",
         .rule = "avoid-buggy-ips",
         .message = absl::StrCat("pool ", pool.name, " avoids addresses that end in .0 and .255, ",
                                 "but its ", Name(place), " has more than 16777216 addresses (a ",
                                 "prefix of 8 bits), which would cost too much"),
         .remedy = "shrink the block to what is needed, or set avoid-buggy-ips to false"});
  }
}

void ValidatePools(const Snapshot& snapshot, std::vector<Problem>* problems) {
  std::vector<Place> places;
  for (const auto& [name, pool] : snapshot.pools) {
    const size_t before = problems->size();
    const std::vector<Place> blocks = PlacesOf(pool, Part::kBlocks, problems);
    const bool all_blocks = problems->size() == before;
    for (const Place& place : blocks) CheckReserved(place, problems);
    CheckBuggyIps(pool, blocks, problems);
    const std::vector<Place> excluded = PlacesOf(pool, Part::kExcluded, problems);
    // What a bad block was meant to hold is not known.
    if (all_blocks) CheckExcluded(blocks, excluded, problems);
    places.insert(places.end(), blocks.begin(), blocks.end());
  }
  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.range.first() < b.range.first();
  });
  // Each block against the one before it that reaches furthest: a conflict is never missed, and
  // not every pair of a heap of overlapping blocks is listed. Exclusions do not count: two pools
  // with one address are a mistake, whoever hands it out.
  const Place* furthest = nullptr;
  for (const Place& place : places) {
    if (furthest != nullptr && furthest->range.Overlaps(place.range)) {
      CheckOverlap(*furthest, place, problems);
    }
    if (furthest == nullptr || furthest->range.last() < place.range.last()) furthest = &place;
  }
}

// Whether some address of `block` can be handed out. `excluded` is in order and disjoint.
bool HasFreeAddress(const Pool& pool, const Block& block, const std::vector<net::Range>& excluded) {
  const absl::StatusOr<net::Range> range = ResolveBlock(block);
  if (!range.ok()) return true;
  const bool ipv4 = range->family() == net::Family::kIpv4;
  const bool edges = ipv4 && !pool.allow_first_last && !block.cidr.empty() &&
                     net::Prefix::Parse(block.cidr)->length() <= 30;
  const auto is_left_out = [&](const net::IpAddress& address) {
    if (edges && (address == range->first() || address == range->last())) return true;
    if (!ipv4 || !pool.avoid_buggy_ips) return false;
    const uint32_t end = static_cast<uint32_t>(address.value()) & 0xff;
    return end == 0 || end == 0xff;
  };
  // At most three addresses in a row are left out, so this goes from exclusion to exclusion.
  std::optional<net::IpAddress> address = range->first();
  while (address.has_value() && range->Contains(*address)) {
    const auto after = std::upper_bound(
        excluded.begin(), excluded.end(), *address,
        [](const net::IpAddress& value, const net::Range& e) { return value < e.first(); });
    if (after != excluded.begin() && std::prev(after)->Contains(*address)) {
      address = std::prev(after)->last().Next();
    } else if (is_left_out(*address)) {
      address = address->Next();
    } else {
      return true;
    }
  }
  return false;
}

// In order and disjoint.
std::vector<net::Range> Union(const std::vector<Block>& blocks) {
  std::vector<net::Range> ranges;
  for (const Block& block : blocks) {
    if (const absl::StatusOr<net::Range> range = ResolveBlock(block); range.ok()) {
      ranges.push_back(*range);
    }
  }
  std::sort(ranges.begin(), ranges.end());
  std::vector<net::Range> merged;
  for (const net::Range& range : ranges) {
    if (merged.empty() || merged.back().last() < range.first()) {
      merged.push_back(range);
    } else if (merged.back().last() < range.last()) {
      merged.back() = *net::Range::Of(merged.back().first(), range.last());
    }
  }
  return merged;
}

bool GivesNothing(const Pool& pool) {
  if (pool.blocks.empty()) return false;
  const std::vector<net::Range> excluded = Union(pool.excluded);
  return std::none_of(pool.blocks.begin(), pool.blocks.end(),
                      [&](const Block& block) { return HasFreeAddress(pool, block, excluded); });
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

void CheckInUse(const Service& service, const std::string& text, std::vector<Problem>* problems) {
  const auto address = net::IpAddress::Parse(text);
  for (const Reserved& reserved : AllReserved()) {
    if (!address.ok() || !reserved.range.Contains(*address)) continue;
    problems->push_back(
        {.path = absl::StrCat(ServicePath(service), "/address-in-use[.=", Quote(text), "]"),
         .rule = "address-reserved",
         .message = absl::StrCat("service ", service.name_space, "/", service.name, " cannot have ",
                                 text, " in use: ", reserved.prefix, " holds ", reserved.name),
         .remedy = "remove it, or give the address that clients use"});
  }
}

// `path`: of the leaf-list; `owner`: what a person calls whose it is.
void CheckPrefixes(const std::string& path, const std::string& owner,
                   const std::vector<std::string>& texts, std::vector<Problem>* problems) {
  for (const std::string& text : texts) {
    const absl::StatusOr<net::Prefix> prefix = net::Prefix::Parse(text);
    if (prefix.ok()) continue;
    problems->push_back(
        {.path = absl::StrCat(path, "[.=", Quote(text), "]"),
         .rule = "cidr",
         .message = absl::StrCat(owner, ": ", prefix.status().message()),
         .remedy = "write the first address of the prefix and its length, such as 192.0.2.0/24"});
  }
}

void CheckSources(const Service& service, const std::vector<std::string>& sources, const char* leaf,
                  std::vector<Problem>* problems) {
  CheckPrefixes(absl::StrCat(ServicePath(service), "/", leaf),
                absl::StrCat("service ", service.name_space, "/", service.name), sources, problems);
}

void ValidateDatapath(const Snapshot& snapshot, std::vector<Problem>* problems) {
  for (const auto& [key, settings] : snapshot.datapath_settings) {
    CheckPrefixes("/portolan-datapath:datapath/settings/tunnel-source", "the datapath's settings",
                  settings.tunnel_sources, problems);
  }
}

void ValidateServices(const Snapshot& snapshot, std::vector<Problem>* problems) {
  std::map<std::tuple<std::string, Protocol, uint32_t>, const Service*> frontends;
  for (const auto& [key, shared] : snapshot.services) {
    const Service& service = *shared;
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
    for (const std::string& text : service.addresses_in_use) {
      CheckInUse(service, text, problems);
    }
    CheckSources(service, service.allowed_sources, "allowed-source", problems);
    CheckSources(service, service.denied_sources, "denied-source", problems);
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

// Not in YANG, which cannot tell the nodes of the module that a plugin brings from others.
void ValidatePlugins(const Snapshot& snapshot, std::vector<Problem>* problems) {
  for (const auto& [key, plugin] : snapshot.plugins) {
    if (!plugin.path.empty() || !plugin.endpoint.empty() || !plugin.settings.empty()) continue;
    problems->push_back(
        {.path = absl::StrCat("/portolan-system:system/plugins/plugin[extension-point=",
                              Quote(plugin.extension_point), "][name=", Quote(plugin.name), "]"),
         .rule = "plugin-location",
         .message =
             "a plugin has a path or an endpoint; one that is built in has settings, as text "
             "or as nodes of its module",
         .remedy = "say where the plugin is, or give its settings"});
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
  ValidateDatapath(snapshot, &problems);
  ValidateBgp(snapshot, &problems);
  ValidatePlugins(snapshot, &problems);
  if (problems.size() > kMaxProblems) problems.resize(kMaxProblems);
  return problems;
}

std::vector<std::string> Warnings(const Snapshot& snapshot) {
  std::vector<std::string> warnings;
  for (const auto& [name, pool] : snapshot.pools) {
    if (!GivesNothing(pool)) continue;
    warnings.push_back(absl::StrCat("pool ", name, " has no address to give: all that its blocks ",
                                    "hold is excluded, an edge or avoided; shrink an excluded ",
                                    "block, or add a block"));
  }
  if (const size_t count = snapshot.not_in_force.size(); count > 0) {
    warnings.push_back(absl::StrCat(
        snapshot.not_in_force.front(),
        count == 1 ? " is" : absl::StrCat(" and ", count - 1, " more are"),
        " not-in-force: kept as configured, and nothing of this Portolan acts on it yet"));
  }
  return warnings;
}

}  // namespace portolan::config
