// One world, one seed, random operations: pools, settings, quotas, namespaces, Services, failures
// of the store, writes that wait, restarts and kills. What happens is compared with the plain
// model.
//
// After every operation: nobody lost an address but for a reason that the contract allows, and what
// is published is durable and nobody else's (World). When everything has come to rest, all of it is
// compared: who holds what, the reason of each refusal, the counters, the state of the pools.
// Before an edit of pools the engine is asked for a plan, and then held to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/ipam-service/core/testing_generator.h"
#include "services/ipam-service/core/testing_model.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {

class RandomRun {
 public:
  RandomRun(uint64_t seed, bool overlaps);

  // One operation; every `rest`th is followed by a comparison of everything.
  void Step(int rest);
  // What is wrong, and what was done last; empty: nothing is.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  using Published = std::map<std::string, Allocation>;

  // Operations.
  void Act();
  void ChangeService();
  void RemoveService();
  void ChangePool();
  void RemovePool();
  void EditPools(std::map<std::string, PoolConfig> pools, const std::function<void()>& edit);
  bool AnyDrains() const;
  void SetPools(std::map<std::string, PoolConfig> pools);
  void ChangeSettings();
  void ChangeQuota();
  void ChangeNamespace();
  void ChangeStore();
  void PassTime();
  void Restart();
  void FindDisputes();
  void ComeToRest();
  bool AtRest() const { return disk_.failure.ok() && !world_->journal_waits; }
  void LookAtDisk() { model_.rows = disk_.rows; }

  // What the contract says (testing_random_checks.cc).
  void CheckUnchanged(const Published& before);
  void CheckKept(const Published& before, const std::string& edited);
  bool MayLose(const ServiceRequest& service, const net::IpAddress& address) const;
  bool MayLoseByEdit(const ServiceRequest& service, const net::IpAddress& address,
                     const Published& before) const;
  bool NotNeeded(const ServiceRequest& service, const net::IpAddress& address) const;
  int HasOf(const std::string& service, net::Family family) const;
  std::string Predict(const ServiceRequest& service, bool& determined);
  std::optional<net::IpAddress> PredictOne(const ServiceRequest& service, net::Family family,
                                           bool& determined) const;
  void CheckPlan(const AddressPlan& plan, const std::map<std::string, PoolConfig>& pools);
  void CheckMoved(const AddressPlan& plan);

  // Everything (testing_random_totals.cc).
  void CheckEverything();
  void CheckRows();
  void CheckService(const ServiceRequest& service);
  struct Expected {
    std::set<std::string> findings;  // "SUBJECT REASON"
    bool missing = false;            // something that is required
    std::vector<std::string> wrong;
  };
  std::set<net::Family> LeadsOf(const ServiceRequest& service) const;
  static void Compare(const std::string& key, const StatusReport& report, Expected& expected);
  void ExpectRequested(const ServiceRequest& service, const Model::Addresses& leaving,
                       Expected& expected);
  void ExpectFamilies(const ServiceRequest& service, net::Family lead,
                      const Model::Addresses& leaving, Expected& expected);
  void ExpectPools(const ServiceRequest& service, net::Family family,
                   const Model::Addresses& leaving, Expected& expected);
  void CheckPools();
  void Problem(const std::string& text);

  Generator random_;
  Disk disk_;
  std::unique_ptr<World> world_;
  Model model_;
  Model::Addresses disputed_;  // at a restart
  int64_t next_age_ = 1;
  int steps_ = 0;
  std::string last_;  // what was done
  std::vector<std::string> problems_;
};

}  // namespace portolan::ipam
