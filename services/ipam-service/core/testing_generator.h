// Random configuration and random Services over a few names and addresses, so that they meet often.
// The same seed gives the same ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/base/rng/rng.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

class Generator {
 public:
  // `overlaps`: pools are where they like; else each has addresses of its own.
  Generator(uint64_t seed, bool overlaps) : rng_(seed), overlaps_(overlaps) {}

  uint64_t Below(uint64_t bound) { return rng_.Below(bound); }
  bool OneIn(uint64_t n) { return rng_.Below(n) == 0; }

  std::string ServiceKey();
  std::string PoolName();
  std::string NamespaceName();
  Labels NamespaceLabels();
  PoolConfig Pool();
  QuotaConfig Quota();
  // With a new generation.
  ServiceRequest Service();

 private:
  std::string Ipv4();
  std::string Ipv6();
  SharingTerms Sharing();
  void AddRequest(ServiceRequest& service);
  void AddSelectors(PoolConfig& pool);
  void AddBlocks(uint64_t index, PoolConfig& pool);

  Rng rng_;
  const bool overlaps_;
  uint64_t generation_ = 0;
};

}  // namespace portolan::ipam
