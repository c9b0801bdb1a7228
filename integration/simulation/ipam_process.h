// ipam-service in a simulation: its engine, a disk that survives it, and the promises to keep.
//
// Writes reach the disk late, in order; they may be refused, and their outcome may be unknown
// (done, but answered with an error). After every publication it is checked that
//  - what is published is durable, and for this Service,
//  - no address is published for two Services,
//  - what was published once stays published while it was legal all the time, also over a restart.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "integration/simulation/configuration.h"
#include "integration/simulation/process.h"
#include "services/base/store/store.h"
#include "services/ipam-service/core/engine.h"

namespace portolan::simulation {

class IpamProcess : public Process {
 public:
  IpamProcess(const Surroundings& around, Configuration* configuration);

  Wire* wire() { return &wire_; }
  Stream<ipam::Allocation>* allocations() { return &allocations_; }
  // What it last said of a Service.
  std::string MessageOf(const std::string& service) const;
  // While it is not OK writes are answered so; every other one is done nevertheless.
  void FailWrites(const absl::Status& status) { write_failure_ = status; }
  absl::Duration longest_write = absl::Milliseconds(5);

 protected:
  void OnStart() override;
  void OnKill() override;

 private:
  struct Promise {
    bool was_illegal = false;  // at some moment since it was given
  };

  void ReadConfiguration();
  ipam::JournalLoaded Durable() const;
  void Handle(const ipam::Event& event);
  void Execute(const ipam::JournalCommit& effect);
  void Execute(const ipam::PublishAllocation& effect);
  void Execute(const ipam::WithdrawAllocation& effect);
  void Execute(const ipam::PublishStatus& effect);
  void Execute(const ipam::ArmTimer& effect);
  void Execute(const ipam::MarkSynced& effect);
  template <typename Other>
  void Execute(const Other&) {}  // what only people read
  void WriteNext();

  bool Legal(const std::string& service, const net::IpAddress& address) const;
  void InputsChanged();
  void Check(const std::string& service, const std::vector<ipam::Grant>& grants);

  Configuration* configuration_;
  Wire wire_;
  Stream<ipam::Allocation> allocations_;
  store::MemoryStore disk_;
  absl::Status write_failure_;
  std::unique_ptr<ipam::Engine> engine_;
  Timer timer_;
  std::deque<ipam::JournalCommit> writes_;
  bool writing_ = false;

  // What the engine has been told, and what it has promised.
  std::map<std::string, ipam::PoolConfig> pools_;
  std::map<std::string, ipam::ServiceRequest> services_;
  std::map<std::pair<std::string, net::IpAddress>, Promise> promises_;
  std::map<std::string, std::string> messages_;  // by Service
};

}  // namespace portolan::simulation
