// What can happen in one step of a simulation.
#include <utility>

#include "absl/strings/str_cat.h"
#include "integration/simulation/world.h"

namespace portolan::simulation {
namespace {

constexpr const char* kServices[] = {"ns/a", "ns/b", "ns/c", "ns/d",
                                     "ns/e", "ns/f", "ns/g", "ns/h"};
constexpr const char* kPickers[] = {"stable-hash", "longest-unused", "random"};
constexpr const char* kColors[] = {"red", "green", "blue"};

ipam::Block BlockOf(const std::string& first, const std::string& last) {
  return {first, *net::Range::Of(*net::IpAddress::Parse(first), *net::IpAddress::Parse(last)), 0};
}

}  // namespace

void World::Act() {
  const uint64_t dice = rng_.Below(100);
  if (dice < 25) return DeclareService();
  if (dice < 35) return RemoveService();
  if (dice < 45) return EditPool();
  if (dice < 50) return EditPolicy();
  if (dice < 70) return FaultProcess();
  if (dice < 82) return FaultStream();
  if (dice < 90) return FaultLan();
  if (dice < 94) return FaultDisk();
  if (dice < 97) return FaultKernel();
  return FaultRouter();
}

// ---- configuration ----

void World::DeclareService() {
  const std::string key = kServices[rng_.Below(std::size(kServices))];
  Intent intent{.generation = ++generation_, .ports = {{"http", datapath::kTcp, 80}}};
  const Intent* before = configuration_.services.Find(key);
  intent.labels["color"] = kColors[rng_.Below(std::size(kColors))];
  if (before != nullptr) {
    // What a Service asked for stays; its labels may change.
    intent.families = before->families;
    intent.family_policy = before->family_policy;
    if (Chance(50)) intent.labels = before->labels;
  } else if (Chance(50)) {
    intent.families = {net::Family::kIpv4, net::Family::kIpv6};
    intent.family_policy = ipam::FamilyPolicy::kPreferDualStack;
  } else {
    intent.families = {Chance(70) ? net::Family::kIpv4 : net::Family::kIpv6};
  }
  journal_.Write("user", absl::StrCat("declares ", key, " color ", intent.labels["color"], " ",
                                      intent.families.size(), " families"));
  datapath::BackendSet backends{.key = key, .generation = intent.generation};
  for (uint64_t i = 0; i <= rng_.Below(3); ++i) {
    const std::string address = absl::StrCat("10.244.", 1 + i, ".", 1 + rng_.Below(200));
    backends.backends.push_back({.id = absl::StrCat(i),
                                 .address = *net::IpAddress::Parse(address),
                                 .ports = {{"http", 8080}}});
    backends.backends.push_back({.id = absl::StrCat(i, "v6"),
                                 .address = *net::IpAddress::Parse(absl::StrCat("fd00::", 1 + i)),
                                 .ports = {{"http", 8080}}});
  }
  configuration_.backends.Upsert(key, backends);
  configuration_.services.Upsert(key, intent);
}

void World::RemoveService() {
  const std::string key = kServices[rng_.Below(std::size(kServices))];
  if (configuration_.services.Find(key) == nullptr) return;
  journal_.Write("user", absl::StrCat("removes ", key));
  configuration_.services.Remove(key);
  configuration_.backends.Remove(key);
}

void World::EditPool() {
  const uint64_t which = rng_.Below(3);
  const std::string name = absl::StrCat("pool", which);
  if (Chance(15)) {
    journal_.Write("user", absl::StrCat("removes ", name));
    configuration_.pools.Remove(name);
    return;
  }
  // Small, so that they run out; wider or narrower with each edit.
  const uint64_t size = 1 + rng_.Below(6);
  ipam::PoolConfig pool{.name = name, .disabled = Chance(10), .allow_first_last = true};
  pool.priority = rng_.Below(3);
  pool.blocks.push_back(
      BlockOf(absl::StrCat("20.0.", which, ".10"), absl::StrCat("20.0.", which, ".", 10 + size)));
  pool.blocks.push_back(BlockOf(absl::StrCat("2001:db8:", which, "::10"),
                                absl::StrCat("2001:db8:", which, "::", 10 + size)));
  if (Chance(40)) {
    pool.service_selector = LabelSelector({{"color",
                                            LabelSelector::Operator::kIn,
                                            {kColors[rng_.Below(3)], kColors[rng_.Below(3)]}}});
  }
  if (Chance(30)) pool.address_picker = kPickers[which];
  journal_.Write("user",
                 absl::StrCat("edits ", name, ": ", size + 1, " of each family, ",
                              pool.service_selector.ToString(), pool.disabled ? ", disabled" : ""));
  configuration_.pools.Upsert(name, pool);
}

void World::EditPolicy() {
  l2::Policy policy;
  if (Chance(40)) {
    std::vector<std::string> chosen;
    for (const auto& [name, node] : nodes_) {
      if (Chance(60)) chosen.push_back(name);
    }
    if (chosen.empty()) chosen.push_back("a");
    policy.nodes = LabelSelector({{"name", LabelSelector::Operator::kIn, chosen}});
  }
  journal_.Write("user", absl::StrCat("edits the policy: nodes ", policy.nodes.ToString()));
  configuration_.policies.Upsert("lan", policy);
}

// ---- faults ----

std::vector<Process*> World::Processes() {
  std::vector<Process*> processes = {ipam_.get()};
  for (auto& [name, node] : nodes_) {
    processes.push_back(node.datapath.get());
    processes.push_back(node.l2.get());
    processes.push_back(node.bgp.get());
  }
  return processes;
}

void World::FaultProcess() {
  const std::vector<Process*> processes = Processes();
  Process* process = processes[rng_.Below(processes.size())];
  if (!process->running()) return process->Start();
  if (process->frozen()) return Chance(80) ? process->Thaw() : process->Kill();
  if (Chance(50)) return process->Kill();
  process->Freeze();
}

std::vector<std::pair<Process*, Wire*>> World::Wires() {
  std::vector<std::pair<Process*, Wire*>> wires = {{ipam_.get(), ipam_->wire()}};
  for (auto& [name, node] : nodes_) {
    wires.emplace_back(node.datapath.get(), &node.datapath_wire);
    wires.emplace_back(node.l2.get(), &node.l2_wire);
    wires.emplace_back(node.bgp.get(), &node.bgp_wire);
  }
  return wires;
}

void World::Reconnect(Process* process, Wire* wire) {
  wire->cut = false;
  wire->longest_delay = absl::Milliseconds(20);
  process->LookAgain();
}

void World::FaultStream() {
  const auto wires = Wires();
  const auto& [process, wire] = wires[rng_.Below(wires.size())];
  if (wire->cut) {
    const bool snapshot = Chance(50);
    journal_.Write(process->name(), snapshot ? "reads again, from the start" : "reads again");
    if (snapshot) ++wire->reconnects;
    return Reconnect(process, wire);
  }
  if (Chance(50)) {
    journal_.Write(process->name(), "is cut off from its publishers");
    wire->cut = true;
  } else {
    wire->longest_delay = absl::Milliseconds(1 + rng_.Below(5000));
    journal_.Write(
        process->name(),
        absl::StrCat("reads up to ", absl::FormatDuration(wire->longest_delay), " late"));
  }
}

void World::FaultLan() {
  if (lan_.faulty() && Chance(60)) {
    journal_.Write("lan", "is mended");
    return lan_.Mend();
  }
  const std::string from = std::next(nodes_.begin(), rng_.Below(nodes_.size()))->first;
  const std::string to = std::next(nodes_.begin(), rng_.Below(nodes_.size()))->first;
  switch (rng_.Below(4)) {
    case 0: {
      const int percent = 1 + rng_.Below(60);
      journal_.Write("lan", absl::StrCat("loses ", percent, "% of all frames"));
      return lan_.SetLoss(percent);
    }
    case 1:
      journal_.Write("lan", absl::StrCat("is cut from ", from, " to ", to));
      return lan_.Cut(from, to);
    default:
      journal_.Write("lan", absl::StrCat("is cut around ", from));
      for (const auto& [name, node] : nodes_) {
        lan_.Cut(from, name);
        lan_.Cut(name, from);
      }
  }
}

void World::FaultKernel() {
  const bool refuse = Chance(50);
  Node& node = AnyNode();
  journal_.Write(node.datapath->name(), refuse ? "is refused by its kernel" : "has its kernel");
  node.datapath->RefuseAll(refuse);
}

void World::FaultRouter() {
  Node& node = AnyNode();
  journal_.Write(node.bgp->name(), node.bgp->router_up() ? "loses its router" : "has its router");
  node.bgp->SetRouterUp(!node.bgp->router_up());
}

void World::FaultDisk() {
  switch (rng_.Below(4)) {
    case 0:
      journal_.Write("disk", "is full");
      return ipam_->FailWrites(absl::ResourceExhaustedError("disk full"));
    case 1:
      journal_.Write("disk", "is away");
      return ipam_->FailWrites(absl::UnavailableError("store away"));
    case 2:
      ipam_->longest_write = absl::Milliseconds(1 + rng_.Below(2000));
      return journal_.Write("disk", "is slow");
    default:
      ipam_->longest_write = absl::Milliseconds(5);
      journal_.Write("disk", "works");
      return ipam_->FailWrites(absl::OkStatus());
  }
}

}  // namespace portolan::simulation
