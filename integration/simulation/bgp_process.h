// bgp-exporter in a simulation: its engine, and a router at the other end that speaks just enough
// BGP to keep a session: it answers OPEN and KEEPALIVE and checks that every UPDATE can be read.
//
// After every tick of the engine it is checked that what is advertised is carried by this node's
// datapath, as far as it was told.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "integration/simulation/configuration.h"
#include "integration/simulation/datapath_process.h"
#include "integration/simulation/process.h"
#include "services/bgp-exporter/core/engine.h"

namespace portolan::simulation {

class BgpProcess : public Process {
 public:
  BgpProcess(const Surroundings& around, const std::string& node, const Wire* wire,
             Configuration* configuration, Stream<ipam::Allocation>* allocations,
             Stream<Carried>* carried);

  // Addresses with a route at the router, and on behalf of which Service.
  const std::map<net::IpAddress, std::string>& advertised() const { return advertised_; }
  // The router refuses connections and drops those that it has, until true.
  void SetRouterUp(bool up);
  bool router_up() const { return router_up_; }

 protected:
  void OnStart() override;
  void OnKill() override;

 private:
  void ReadInputs();
  void Handle(const bgp::Event& event);
  void Execute(const bgp::Connect& effect);
  void Execute(const bgp::Send& effect);
  void Execute(const bgp::Close& effect);
  void Execute(const bgp::PublishRoute& effect);
  void Execute(const bgp::RemoveRoute& effect);
  void Execute(const bgp::ArmTimer& effect);
  template <typename Other>
  void Execute(const Other&) {}  // what only people read
  void Check();

  // The router.
  void Hear(bgp::ConnectionId connection, const bgp::Message& message);
  void Say(bgp::ConnectionId connection, const std::string& octets);
  void KeepAlive(bgp::ConnectionId connection);

  std::string node_;
  const Wire* wire_;
  const Wire local_;
  Configuration* configuration_;
  Stream<ipam::Allocation>* allocations_;
  Stream<Carried>* carried_;
  std::unique_ptr<bgp::Engine> engine_;
  bool started_before_ = false;
  Timer timer_;
  std::map<net::IpAddress, std::string> advertised_;
  std::map<std::string, Carried> told_;  // by the datapath
  bool router_up_ = true;
  bgp::ConnectionId connection_ = 0;  // that the router has; 0: none
};

}  // namespace portolan::simulation
