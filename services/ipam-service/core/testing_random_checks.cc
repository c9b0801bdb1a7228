// What may be lost, what is given, what a plan says.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/ipam-service/core/testing_random_run.h"

namespace portolan::ipam {
namespace {

const Grant* Find(const Allocation& allocation, const net::IpAddress& address) {
  for (const Grant& grant : allocation.grants) {
    if (grant.address == address) return &grant;
  }
  return nullptr;
}

const Grant* Find(const std::map<std::string, Allocation>& published, const std::string& service,
                  const net::IpAddress& address) {
  auto it = published.find(service);
  return it == published.end() ? nullptr : Find(it->second, address);
}

std::string NameOf(const std::string& service, const net::IpAddress& address) {
  return absl::StrCat(service, " ", address.ToString());
}

}  // namespace

int RandomRun::HasOf(const std::string& service, net::Family family) const {
  auto it = world_->allocations().find(service);
  if (it == world_->allocations().end()) return 0;
  return static_cast<int>(
      std::count_if(it->second.grants.begin(), it->second.grants.end(), [&](const Grant& grant) {
        return grant.address.family() == family && grant.draining_until_unix_ms == 0;
      }));
}

// Not asked for, and what is asked for is there.
bool RandomRun::NotNeeded(const ServiceRequest& service, const net::IpAddress& address) const {
  const auto [requested, any] = Model::Requested(service);
  if (any) {
    return !requested.contains(address) &&
           std::all_of(requested.begin(), requested.end(), [&](const net::IpAddress& wanted) {
             return Find(world_->allocations(), service.key, wanted) != nullptr;
           });
  }
  for (net::Family lead : {net::Family::kIpv4, net::Family::kIpv6}) {
    bool complete = true;
    for (net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
      complete = complete && HasOf(service.key, family) >= Model::Wanted(service, family, lead);
    }
    if (complete) return true;
  }
  return false;
}

bool RandomRun::MayLose(const ServiceRequest& service, const net::IpAddress& address) const {
  if (NotNeeded(service, address)) return true;
  return world_->settings.allow_renumber && !model_.Legal(service, address);
}

bool RandomRun::MayLoseByEdit(const ServiceRequest& service, const net::IpAddress& address,
                              const Published& before) const {
  if (!model_.Legal(service, address)) return true;
  for (const auto& [key, allocation] : before) {
    if (key == service.key || Find(allocation, address) == nullptr) continue;
    if (!Model::WhyNotTogether(service, model_.services.at(key)).empty()) return true;
  }
  return false;
}

void RandomRun::CheckKept(const Published& before, const std::string& edited) {
  for (const auto& [key, allocation] : before) {
    const ServiceRequest& service = model_.services.at(key);
    for (const Grant& grant : allocation.grants) {
      if (disputed_.contains(grant.address)) continue;
      const Grant* now = Find(world_->allocations(), key, grant.address);
      const bool by_edit = key == edited && MayLoseByEdit(service, grant.address, before);
      const bool drained = grant.draining_until_unix_ms != 0;
      const bool over =
          drained && absl::FromUnixMillis(grant.draining_until_unix_ms) <= world_->WallNow();
      if (now != nullptr && now->since_unix_ms != grant.since_unix_ms && !over) {
        Problem(absl::StrCat(NameOf(key, grant.address), " was given anew"));
      }
      if (drained) {
        if (now == nullptr && !over && !by_edit) {
          Problem(absl::StrCat(NameOf(key, grant.address), " did not drain to the end"));
        }
        continue;
      }
      const bool kept = now != nullptr && now->draining_until_unix_ms == 0;
      if (kept || by_edit || MayLose(service, grant.address)) continue;
      const StatusReport* told = world_->StatusOf(key);
      Problem(absl::StrCat(NameOf(key, grant.address),
                           " was lost: ", told == nullptr ? "" : told->message));
    }
  }
}

// The addresses that a new Service gets, in the order of its wish.
std::string RandomRun::Predict(const ServiceRequest& service, bool& determined) {
  std::vector<net::IpAddress> addresses;
  const auto take = [&](const net::IpAddress& address) {
    const auto [row, is_new] =
        model_.rows.try_emplace(address, JournalRow{.address = address,
                                                    .service = service.key,
                                                    .pool = model_.Answering(address)->name});
    if (!is_new) row->second.others.push_back({.service = service.key});
    addresses.push_back(address);
  };
  model_.services[service.key] = service;
  if (!service.requested_addresses.empty()) {
    const Model::Addresses requested = Model::Requested(service).first;
    for (const std::string& text : service.requested_addresses) {
      const auto address = net::IpAddress::Parse(text);
      if (!address.ok() || !requested.contains(*address)) continue;
      if (std::find(addresses.begin(), addresses.end(), *address) != addresses.end()) continue;
      if (model_.WhyNotAddress(service, *address, {}).empty()) take(*address);
    }
  } else {
    const net::Family lead = service.families.empty() ? model_.Lead() : service.families.front();
    const net::Family other = lead == net::Family::kIpv4 ? net::Family::kIpv6 : net::Family::kIpv4;
    for (net::Family family : {lead, other}) {
      for (int i = Model::Wanted(service, family, lead); i > 0; --i) {
        const std::optional<net::IpAddress> address = PredictOne(service, family, determined);
        if (address.has_value()) take(*address);
      }
    }
  }
  return absl::StrJoin(addresses, " ", [](std::string* out, const net::IpAddress& address) {
    absl::StrAppend(out, address.ToString());
  });
}

std::optional<net::IpAddress> RandomRun::PredictOne(const ServiceRequest& service,
                                                    net::Family family, bool& determined) const {
  if (const net::IpAddress* shared = model_.Shareable(service, family, {})) return *shared;
  for (const PoolConfig* pool : model_.Order()) {
    if (!model_.WhyNotPool(service, *pool, family, {}).empty()) continue;
    if (pool->address_picker == "nobody") return std::nullopt;
    if (!pool->address_picker.empty()) determined = false;  // by a hash
    return *model_.Free(*pool, family).begin();
  }
  return std::nullopt;
}

// It lists what is kept now and illegal then, and nothing else but what gives way to a better one.
void RandomRun::CheckPlan(const AddressPlan& plan, const std::map<std::string, PoolConfig>& pools) {
  std::set<std::string> planned, expected;
  for (const AddressMove& move : plan.moves) {
    if (move.why.reason != "not-requested") planned.insert(NameOf(move.service, move.address));
  }
  Model then = model_;
  then.pools = pools;
  for (const auto& [address, row] : model_.rows) {
    for (const RowMember& member : MembersOf(row)) {
      const ServiceRequest& service = model_.services.at(member.service);
      if (member.draining_until_unix_ms != 0 || then.Legal(service, address)) continue;
      if (!world_->settings.allow_renumber && !model_.Legal(service, address)) continue;
      expected.insert(NameOf(member.service, address));
    }
  }
  if (planned == expected) return;
  Problem(absl::StrCat("the plan lists [", absl::StrJoin(planned, ", "), "], not [",
                       absl::StrJoin(expected, ", "), "]"));
}

// What the plan says has happened, and nobody waits for what it promised.
void RandomRun::CheckMoved(const AddressPlan& plan) {
  const auto stays = [&](const std::string& service, const net::IpAddress& address) {
    const Grant* grant = Find(world_->allocations(), service, address);
    return grant != nullptr && grant->draining_until_unix_ms == 0;
  };
  for (const AddressMove& move : plan.moves) {
    if (stays(move.service, move.address)) {
      Problem(absl::StrCat(NameOf(move.service, move.address), " did not move as planned"));
    }
    if (!move.new_address.has_value() || stays(move.service, *move.new_address)) continue;
    Problem(absl::StrCat(NameOf(move.service, move.address), " was to become ",
                         move.new_address->ToString(), ", but it has ",
                         world_->AddressesOf(move.service)));
  }
  for (const AddressGain& gain : plan.gains) {
    if (stays(gain.service, gain.address)) continue;
    Problem(absl::StrCat(gain.service, " was to get ", gain.address.ToString(), ", but it has ",
                         world_->AddressesOf(gain.service)));
  }
}

}  // namespace portolan::ipam
