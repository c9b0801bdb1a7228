// datapath-loader in a simulation: its engine, and a kernel that survives it.
//
// A process that is killed in the middle of a batch leaves the kernel with any prefix of it. The
// kernel itself (services/datapath-loader/core/fake_kernel.h) checks after every operation that
// packets would still find their way.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "integration/simulation/configuration.h"
#include "integration/simulation/process.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/core/fake_kernel.h"
#include "services/ipam-service/core/types.h"

namespace portolan::simulation {

// Addresses of a Service that a node's datapath carries: what its status says.
using Carried = std::set<net::IpAddress>;

class DatapathProcess : public Process {
 public:
  DatapathProcess(const Surroundings& around, const std::string& node, const Wire* wire,
                  Configuration* configuration, Stream<ipam::Allocation>* allocations);

  Stream<Carried>* carried() { return &carried_; }
  // The kernel has a frontend for it.
  bool Forwards(const net::IpAddress& address) const { return forwards_.contains(address); }
  // Every operation fails, until false.
  void RefuseAll(bool refuse);

 protected:
  void OnStart() override;
  void OnKill() override;

 private:
  void ReadInputs();
  void Synced();
  std::vector<absl::Status> Apply(const datapath::MapBatch& batch);
  void Handle(const datapath::Event& event);
  void Execute(const datapath::ApplyBatch& effect);
  void Execute(const datapath::PublishStatus& effect);
  void Execute(const datapath::RemoveStatus& effect);
  void Execute(const datapath::ArmTimer& effect);
  template <typename Other>
  void Execute(const Other&) {}  // what only people read

  std::string node_;
  const Wire* wire_;
  Configuration* configuration_;
  Stream<ipam::Allocation>* allocations_;
  datapath::FakeKernel kernel_;
  std::set<net::IpAddress> forwards_;  // with a frontend in the kernel
  Stream<Carried> carried_;
  std::unique_ptr<datapath::Engine> engine_;
  Timer timer_;
  std::shared_ptr<const datapath::MapBatch> batch_;  // being executed
  int streams_ = 0;
  int synced_ = 0;
};

}  // namespace portolan::simulation
