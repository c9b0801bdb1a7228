#include "integration/simulation/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace portolan::simulation {
namespace {

constexpr absl::Duration kDeadInterval = absl::Seconds(3);
// A node's own datapath tells its announcer within this time, whatever else is slow.
constexpr absl::Duration kLocalDelay = absl::Seconds(1);
constexpr absl::Duration kConvergence = absl::Minutes(2);

}  // namespace

World::World(uint64_t seed, bool print)
    : journal_(&scheduler_, print),
      rng_(seed),
      around_{&scheduler_, &rng_, &journal_},
      lan_(&scheduler_, &rng_) {
  ipam_ = std::make_unique<IpamProcess>(around_, &configuration_);
  uint8_t number = 1;
  for (const std::string name : {"a", "b", "c"}) {
    Node& node = nodes_[name];
    node.datapath = std::make_unique<DatapathProcess>(around_, name, &node.datapath_wire,
                                                      &configuration_, ipam_->allocations());
    node.l2 = std::make_unique<L2Process>(around_, name, number++, &node.l2_wire, &configuration_,
                                          ipam_->allocations(), node.datapath->carried(), &lan_);
    node.l2->on_answer = [this, name](const auto& address) { CheckAnswer(name, address); };
    node.bgp = std::make_unique<BgpProcess>(around_, name, &node.bgp_wire, &configuration_,
                                            ipam_->allocations(), node.datapath->carried());
    configuration_.nodes.Upsert(name, Labels{{"name", name}});
  }
  configuration_.policies.Upsert("lan", l2::Policy{});
  configuration_.l2_settings.Upsert("settings", l2::Settings{.dead_interval = kDeadInterval});
  ConfigureBgp();
  configuration_.pools.MarkSynced();
  configuration_.services.MarkSynced();
  configuration_.backends.MarkSynced();
  configuration_.nodes.MarkSynced();
  configuration_.policies.MarkSynced();
  configuration_.l2_settings.MarkSynced();
  for (Process* process : Processes()) process->Start();
}

// One instance and one router for every node, and everything is advertised.
void World::ConfigureBgp() {
  configuration_.bgp_instances.Upsert(
      "lab",
      {.name = "lab", .local_as = 65001, .router_id = net::IpAddress::Parse("10.0.0.1").value()});
  bgp::PeerConfig peer;
  peer.instance = "lab";
  peer.name = "router";
  peer.address = *net::IpAddress::Parse("10.0.0.2");
  peer.remote_as = 65000;
  peer.families = {{net::Family::kIpv4, std::nullopt}, {net::Family::kIpv6, std::nullopt}};
  configuration_.bgp_peers.Upsert(peer.key(), peer);
  bgp::AdvertisementConfig advertisement;
  advertisement.instance = "lab";
  advertisement.name = "all";
  configuration_.bgp_advertisements.Upsert(advertisement.key(), advertisement);
  configuration_.bgp_instances.MarkSynced();
  configuration_.bgp_peers.MarkSynced();
  configuration_.bgp_advertisements.MarkSynced();
}

void World::Step() {
  Act();
  AskForAddresses();
  Pass(absl::Milliseconds(1 + (Chance(30) ? rng_.Below(4000) : rng_.Below(400))));
}

// A client on the LAN.
void World::AskForAddresses() {
  const net::MacAddress mac{{0x02, 0, 0, 0, 0, 0x77}};
  const net::IpAddress client4 = *net::IpAddress::Parse("172.18.0.99");
  const net::IpAddress client6 = *net::IpAddress::Parse("fe80::99");
  for (const auto& [service, allocation] : ipam_->allocations()->values()) {
    for (const ipam::Grant& grant : allocation.grants) {
      if (grant.address.is_ipv4()) {
        lan_.Send("client", l2::ArpFrame{.destination = net::MacAddress::Broadcast(),
                                         .source = mac,
                                         .sender_mac = mac,
                                         .sender_ip = client4,
                                         .target_ip = grant.address});
      } else {
        const net::IpAddress group = l2::SolicitedNodeGroup(grant.address);
        lan_.Send("client", l2::NeighborSolicitation{.destination = l2::MulticastMac(group),
                                                     .source = mac,
                                                     .source_ip = client6,
                                                     .destination_ip = group,
                                                     .target = grant.address,
                                                     .source_link = mac});
      }
    }
  }
}

void World::Heal() {
  journal_.Write("world", "heals");
  lan_.Mend();
  ipam_->FailWrites(absl::OkStatus());
  ipam_->longest_write = absl::Milliseconds(5);
  for (auto& [name, node] : nodes_) {
    node.datapath->RefuseAll(false);
    node.bgp->SetRouterUp(true);
  }
  for (Process* process : Processes()) {
    process->Thaw();
    process->Start();
  }
  for (const auto& [process, wire] : Wires()) Reconnect(process, wire);
  Pass(kConvergence);
  CheckConverged();
}

void World::Pass(absl::Duration time) {
  const absl::Time end = scheduler_.now() + time;
  do {
    CheckOwners();
    for (auto& [name, node] : nodes_) {
      CheckForwarding(node, *node.l2, node.l2->owned());
      CheckForwarding(node, *node.bgp, node.bgp->advertised());
    }
  } while (scheduler_.RunNext(end));
}

// ---- always ----

// Nobody answers for what another one owns; also not a node that just thawed, which finds the
// questions of the time that it was frozen.
void World::CheckAnswer(const std::string& name, const net::IpAddress& address) {
  if (scheduler_.now() - lan_.whole_since() < kDeadInterval) return;
  for (const auto& [other, node] : nodes_) {
    if (other == name || !node.l2->running() || node.l2->frozen()) continue;
    if (!node.l2->owned().contains(address)) continue;
    journal_.Violation(
        absl::StrCat(name, " answers for ", address.ToString(), ", which ", other, " owns"));
  }
}

// A LAN that has lost no frame for a dead interval has at most one node that answers.
void World::CheckOwners() {
  if (scheduler_.now() - lan_.whole_since() < kDeadInterval) return;
  std::map<net::IpAddress, std::string> owners;
  for (const auto& [name, node] : nodes_) {
    if (!node.l2->running() || node.l2->frozen()) continue;
    for (const auto& [address, service] : node.l2->owned()) {
      auto [owner, first] = owners.emplace(address, name);
      if (first) continue;
      journal_.Violation(
          absl::StrCat("both ", owner->second, " and ", name, " answer for ", address.ToString()));
    }
  }
}

// What a node attracts packets for its kernel forwards, but for the moment that the word needs to
// go round.
void World::CheckForwarding(Node& node, const Process& process,
                            const std::map<net::IpAddress, std::string>& attracted) {
  auto& dangling = node.dangling[process.name()];
  if (process.frozen()) return dangling.clear();
  std::erase_if(dangling, [&](const auto& entry) { return !attracted.contains(entry.first); });
  for (const auto& [address, service] : attracted) {
    if (node.datapath->Forwards(address)) {
      dangling.erase(address);
      continue;
    }
    const absl::Time since = dangling.emplace(address, scheduler_.now()).first->second;
    if (scheduler_.now() - since < kLocalDelay) continue;
    journal_.Violation(absl::StrCat(process.name(), " attracts packets for ", address.ToString(),
                                    ", which its kernel does not forward"));
    dangling[address] = scheduler_.now();
  }
}

// ---- after healing ----

void World::CheckConverged() {
  for (const auto& [service, intent] : configuration_.services.values()) {
    CheckServed(service, intent);
  }
  std::set<net::IpAddress> allocated;
  for (const auto& [service, allocation] : ipam_->allocations()->values()) {
    if (configuration_.services.Find(service) == nullptr) {
      journal_.Violation(absl::StrCat(service, " is gone and still has addresses"));
    }
    for (const ipam::Grant& grant : allocation.grants) {
      allocated.insert(grant.address);
      CheckAnnounced(service, grant);
    }
  }
  for (const auto& [name, node] : nodes_) {
    for (const auto& attracted : {node.l2->owned(), node.bgp->advertised()}) {
      for (const auto& [address, service] : attracted) {
        if (allocated.contains(address)) continue;
        journal_.Violation(
            absl::StrCat(name, " attracts packets for ", address.ToString(), ", which nobody has"));
      }
    }
  }
}

// It has an address of each family that it asked for, unless no pool has one for it.
void World::CheckServed(const std::string& service, const Intent& intent) {
  const auto allocations = ipam_->allocations()->values();
  std::set<net::Family> held;
  std::set<net::IpAddress> taken;
  for (const auto& [key, allocation] : allocations) {
    for (const ipam::Grant& grant : allocation.grants) {
      taken.insert(grant.address);
      if (key == service) held.insert(grant.address.family());
    }
  }
  for (const auto& [name, pool] : configuration_.pools.values()) {
    if (pool.disabled || !pool.service_selector.Matches(service, intent.labels)) continue;
    for (const ipam::Block& block : pool.blocks) {
      const net::Family family = block.range.family();
      if (held.contains(family) || std::find(intent.families.begin(), intent.families.end(),
                                             family) == intent.families.end()) {
        continue;
      }
      for (std::optional<net::IpAddress> address = block.range.first();
           address.has_value() && block.range.Contains(*address); address = address->Next()) {
        if (taken.contains(*address)) continue;
        journal_.Violation(absl::StrCat(service, " has no ", net::FamilyName(family),
                                        " address although ", address->ToString(), " of ", name,
                                        " is free; ipam says: ", ipam_->MessageOf(service)));
        break;
      }
    }
  }
}

void World::CheckAnnounced(const std::string& service, const ipam::Grant& grant) {
  const l2::Policy policy = *configuration_.policies.Find("lan");
  std::vector<std::string> owners;
  for (const auto& [name, node] : nodes_) {
    if (!node.datapath->Forwards(grant.address)) {
      journal_.Violation(absl::StrCat(name, " does not forward ", grant.address.ToString()));
    }
    if (!node.bgp->advertised().contains(grant.address)) {
      journal_.Violation(absl::StrCat(name, " does not advertise ", grant.address.ToString()));
    }
    if (!node.l2->owned().contains(grant.address)) continue;
    owners.push_back(name);
    if (!policy.nodes.Matches(name, *configuration_.nodes.Find(name))) {
      journal_.Violation(
          absl::StrCat(name, " answers for ", grant.address.ToString(), " against the policy"));
    }
  }
  if (owners.size() == 1) return;
  std::string why;
  for (const auto& [name, node] : nodes_) {
    auto status = node.l2->statuses().find(service);
    absl::StrAppend(&why, "; ", name, ": ",
                    status == node.l2->statuses().end() ? "no status" : status->second.message);
  }
  journal_.Violation(absl::StrCat(grant.address.ToString(), " of ", service, " is answered by [",
                                  absl::StrJoin(owners, ", "), "]", why));
}

}  // namespace portolan::simulation
