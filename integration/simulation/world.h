// A small installation, simulated from one seed: ipam-service, and three nodes with
// datapath-loader, l2-announcer on one LAN and bgp-exporter with a router each. Everything that can
// go wrong outside the cores does: slow and cut streams, new snapshots, refused writes of journal
// and kernel, lost and one-way frames, routers that go away, kills, freezes.
//
// One seed decides everything: the same seed and number of steps give the same journal, line by
// line. Step() does one thing and lets time pass; Heal() ends all faults and waits, after which
// everything must have converged. What is broken is in journal().violations().
//
// Single-threaded. Owns everything in the simulation.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "integration/simulation/bgp_process.h"
#include "integration/simulation/configuration.h"
#include "integration/simulation/datapath_process.h"
#include "integration/simulation/ipam_process.h"
#include "integration/simulation/journal.h"
#include "integration/simulation/l2_process.h"
#include "integration/simulation/scheduler.h"
#include "integration/simulation/segment.h"
#include "services/base/rng/rng.h"

namespace portolan::simulation {

class World {
 public:
  World(uint64_t seed, bool print);

  void Step();
  void Heal();
  const Journal& journal() const { return journal_; }
  const Scheduler& scheduler() const { return scheduler_; }

 private:
  struct Node {
    Wire datapath_wire;
    Wire l2_wire;
    Wire bgp_wire;
    std::unique_ptr<DatapathProcess> datapath;
    std::unique_ptr<L2Process> l2;
    std::unique_ptr<BgpProcess> bgp;
    // By process: what it attracts packets for and the kernel does not forward, and since when.
    std::map<std::string, std::map<net::IpAddress, absl::Time>> dangling;
  };

  // actions.cc: what can happen.
  void Act();
  void DeclareService();
  void RemoveService();
  void EditPool();
  void EditPolicy();
  void FaultProcess();
  void FaultStream();
  void FaultLan();
  void FaultDisk();
  std::vector<Process*> Processes();
  std::vector<std::pair<Process*, Wire*>> Wires();
  void Reconnect(Process* process, Wire* wire);
  void FaultKernel();
  void FaultRouter();
  Node& AnyNode() { return std::next(nodes_.begin(), rng_.Below(nodes_.size()))->second; }
  bool Chance(int percent) { return static_cast<int>(rng_.Below(100)) < percent; }

  // world.cc: time and checks.
  void ConfigureBgp();
  void Pass(absl::Duration time);
  void AskForAddresses();
  void CheckAnswer(const std::string& name, const net::IpAddress& address);
  void CheckOwners();
  void CheckForwarding(Node& node, const Process& process,
                       const std::map<net::IpAddress, std::string>& attracted);
  void CheckConverged();
  void CheckServed(const std::string& service, const Intent& intent);
  void CheckAnnounced(const std::string& service, const ipam::Grant& grant);

  Scheduler scheduler_;
  Journal journal_;
  Rng rng_;
  Surroundings around_;
  Configuration configuration_;
  Segment lan_;
  std::unique_ptr<IpamProcess> ipam_;
  std::map<std::string, Node> nodes_;
  uint64_t generation_ = 0;
};

}  // namespace portolan::simulation
