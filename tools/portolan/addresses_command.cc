// Addresses in use, one row each, however many Services share one.
#include <algorithm>
#include <iostream>
#include <map>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "services/base/net/ip_address.h"
#include "tools/portolan/client.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/time_text.h"

namespace portolan::cli {
namespace {

using allocation::v1alpha1::AddressGrant;
using allocation::v1alpha1::Allocation;

struct Holder {
  std::string service;
  AddressGrant grant;
};

struct Less {
  bool operator()(const std::string& a, const std::string& b) const {
    const auto left = net::IpAddress::Parse(a), right = net::IpAddress::Parse(b);
    return left.ok() && right.ok() ? *left < *right : a < b;
  }
};
// The one that came first leads.
using Holders = std::map<std::string, std::vector<Holder>, Less>;

Holders HoldersIn(const std::map<std::string, Allocation>& allocations, const std::string& pool) {
  Holders holders;
  for (const auto& [service, allocation] : allocations) {
    for (const AddressGrant& grant : allocation.grants()) {
      if (!pool.empty() && grant.pool() != pool) continue;
      holders[grant.address()].push_back({service, grant});
    }
  }
  for (auto& [address, sharing] : holders) {
    std::stable_sort(sharing.begin(), sharing.end(), [](const Holder& a, const Holder& b) {
      return a.grant.since_unix_ms() < b.grant.since_unix_ms();
    });
  }
  return holders;
}

std::string StateOf(const AddressGrant& grant) {
  if (grant.draining_until_unix_ms() == 0) return grant.pool().empty() ? "in no pool" : "in use";
  return absl::StrCat("draining until ", PointInTime(grant.draining_until_unix_ms()));
}

}  // namespace

int GetAddresses(const Places& places, const std::string& pool, Output output) {
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const auto allocations = client->Snapshot<Allocation>();
  if (!allocations.ok()) return Fail(allocations.status());
  if (!pool.empty()) {
    const auto pools = client->Snapshot<allocation::v1alpha1::PoolState>();
    if (!pools.ok()) return Fail(pools.status());
    if (!pools->contains(pool)) {
      return Fail(absl::NotFoundError(
          absl::StrCat("there is no pool \"", pool, "\"; see `portolan get pools`")));
    }
  }
  Printer printer({"ADDRESS", "POOL", "SERVICE", "SINCE", "SHARED WITH[]", "STATE"});
  for (const auto& [address, holders] : HoldersIn(*allocations, pool)) {
    const Holder& first = holders.front();
    Cell others;
    for (size_t i = 1; i < holders.size(); ++i) others.push_back(holders[i].service);
    printer.Add({{address},
                 CellOf(first.grant.pool()),
                 {first.service},
                 {Age(first.grant.since_unix_ms())},
                 others,
                 {StateOf(first.grant)}});
  }
  printer.Print(std::cout, output);
  return kOk;
}

}  // namespace portolan::cli
