// What the rules of ipam say, for tests: a plain model without an index, an order or a memory of
// its own. It is told what is configured and who is on which address, and searches everything anew
// each time that it is asked. Small and slow; it shares no code with the engine but selectors of
// labels.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/base/net/ip_address.h"
#include "services/ipam-service/core/testing_world.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

class Model {
 public:
  using Addresses = std::set<net::IpAddress>;
  struct Counts {
    int total = 0, used = 0, available = 0, reserved = 0;
  };
  struct Want {
    net::Family family = net::Family::kIpv4;
    const net::IpAddress* address = nullptr;  // exactly this one
  };

  std::map<std::string, PoolConfig> pools;
  std::map<std::string, int64_t> first_seen;  // of pools; equal ones by name
  std::map<std::string, ServiceRequest> services;
  std::map<std::string, QuotaConfig> quotas;
  std::map<std::string, Labels> namespaces;
  std::map<net::IpAddress, JournalRow> rows;  // who is where

  // After a change of pools: which of them are in conflict, and with whom.
  void FindConflicts();
  bool Conflicts(const std::string& pool) const { return conflicts_.contains(pool); }
  const std::string& ConflictOf(const std::string& pool) const { return conflicts_.at(pool); }

  static bool Covers(const PoolConfig& pool, const net::IpAddress& address);
  static bool Usable(const PoolConfig& pool, const net::IpAddress& address);
  static Addresses AddressesOf(const PoolConfig& pool, net::Family family);
  Counts CountsOf(const PoolConfig& pool, net::Family family) const;
  // Pools by priority and name.
  std::vector<const PoolConfig*> Order() const;

  // Addresses that the Service is on, without and with those that it leaves.
  Addresses HeldBy(const std::string& service) const;
  Addresses LeftBy(const std::string& service) const;
  bool Legal(const ServiceRequest& service, const net::IpAddress& address) const;
  // Requested addresses that can be read; empty and false: none is requested.
  static std::pair<Addresses, bool> Requested(const ServiceRequest& service);
  // How many addresses of the family are wanted when none is requested. `lead`: the default family.
  static int Wanted(const ServiceRequest& service, net::Family family, net::Family lead);
  // The default family of a Service that holds nothing.
  net::Family Lead() const;

  // Reasons why not; "": the address, or one of the pool, can be given. `leaving`: what the Service
  // gives up for it.
  std::string WhyNotAddress(const ServiceRequest& service, const net::IpAddress& address,
                            const Addresses& leaving) const;
  std::string WhyNotPool(const ServiceRequest& service, const PoolConfig& pool, net::Family family,
                         const Addresses& leaving) const;
  // The lowest address of others that it may share; null: none.
  const net::IpAddress* Shareable(const ServiceRequest& service, net::Family family,
                                  const Addresses& leaving) const;
  // Whether the two may be on one address; else the reason.
  static std::string WhyNotTogether(const ServiceRequest& a, const ServiceRequest& b);
  // The pool that answers for the address: the one that works, else the oldest of those in
  // conflict.
  const PoolConfig* Answering(const net::IpAddress& address) const;
  // Usable and nobody's, lowest first.
  Addresses Free(const PoolConfig& pool, net::Family family) const;

 private:
  std::string Refusal(const PoolConfig& pool, const ServiceRequest& service) const;
  std::string Objection(const PoolConfig& pool, const ServiceRequest& service,
                        net::Family family) const;
  bool OverQuota(const PoolConfig& pool, const ServiceRequest& service,
                 const Addresses& leaving) const;
  bool PassesNamespace(const std::vector<std::string>& names,
                       const std::vector<LabelSelector>& selectors, const std::string& key) const;
  std::map<std::string, std::string> conflicts_;
};

// "NAMESPACE" of "NAMESPACE/NAME".
std::string NamespaceIn(const std::string& key);
// All on the address, the first one included.
std::vector<RowMember> MembersOf(const JournalRow& row);

}  // namespace portolan::ipam
