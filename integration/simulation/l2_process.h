// l2-announcer in a simulation: its engine on one port of the LAN.
//
// After every event it is checked that what it answers for is carried by this node's datapath, as
// far as it was told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "integration/simulation/configuration.h"
#include "integration/simulation/datapath_process.h"
#include "integration/simulation/process.h"
#include "integration/simulation/segment.h"
#include "services/l2-announcer/core/engine.h"

namespace portolan::simulation {

class L2Process : public Process {
 public:
  L2Process(const Surroundings& around, const std::string& node, uint8_t number, const Wire* wire,
            Configuration* configuration, Stream<ipam::Allocation>* allocations,
            Stream<Carried>* carried, Segment* lan);

  // Addresses that it answers for, and on behalf of which Service.
  const std::map<net::IpAddress, std::string>& owned() const { return owned_; }
  const std::map<std::string, l2::Status>& statuses() const { return statuses_; }
  // Called for each answer that it sends to somebody who asked.
  std::function<void(const net::IpAddress&)> on_answer = [](const net::IpAddress&) {};

 protected:
  void OnStart() override;
  void OnKill() override;

 private:
  void ReadInputs();
  void Synced();
  void Handle(const l2::Event& event);
  void Execute(const l2::OpenLink& effect);
  void Execute(const l2::CloseLink& effect);
  void Execute(const l2::SendFrame& effect);
  void Execute(const l2::PublishAnnouncement& effect);
  void Execute(const l2::PublishStatus& effect);
  void Execute(const l2::ArmTimer& effect);
  void Execute(const l2::JoinGroup&) {}  // the LAN delivers every group
  void Execute(const l2::LeaveGroup&) {}
  void CheckGate();

  std::string node_;
  l2::Interface interface_;
  const Wire* wire_;
  const Wire local_;
  Configuration* configuration_;
  Stream<ipam::Allocation>* allocations_;
  Stream<Carried>* carried_;
  Segment* lan_;
  std::unique_ptr<l2::Engine> engine_;
  Timer timer_;
  int streams_ = 0;
  int synced_ = 0;
  std::map<net::IpAddress, std::string> owned_;
  std::map<std::string, l2::Status> statuses_;  // of Services
  std::map<std::string, Carried> told_;         // by the datapath
};

}  // namespace portolan::simulation
