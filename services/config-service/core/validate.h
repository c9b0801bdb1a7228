// Rules between entries, which YANG could only say with expressions that cost quadratic time.
// Pure; at most n log n.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/net/prefix.h"
#include "services/config-service/core/problem.h"
#include "services/config-service/core/snapshot.h"

namespace portolan::config {

// The addresses of a block. INVALID_ARGUMENT: not an address, host bits, families differ, `first`
// above `last`.
absl::StatusOr<net::Range> ResolveBlock(const Block& block);

// Rules: cidr, block-family, block-order, block-reserved, block-overlap (in one pool),
// pool-overlap, excluded-outside, avoid-buggy-ips, duplicate-frontend, address-reserved,
// backend-address, peer-address, duplicate-peer, duplicate-listen-port, plugin-location. Empty: all
// hold. At most a hundred are reported.
std::vector<Problem> Validate(const Snapshot& snapshot);

// What is allowed and yet hardly meant, one sentence each, of a configuration that passed
// Validate(): a pool that has blocks and no address to give; nodes that nothing reads yet.
std::vector<std::string> Warnings(const Snapshot& snapshot);

}  // namespace portolan::config
