#include "services/ipam-service/core/plan.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "services/ipam-service/core/sharing.h"

namespace portolan::ipam {
namespace {

// What it holds and is not leaving.
std::vector<net::IpAddress> StaysOn(const ServiceRecord& service, const Ledger& ledger) {
  std::vector<net::IpAddress> addresses;
  for (const net::IpAddress& address : service.held) {
    if (ledger.Find(address, &service)->stays()) addresses.push_back(address);
  }
  return addresses;
}

std::vector<net::IpAddress> Without(std::vector<net::IpAddress> from, const auto& those) {
  std::erase_if(from, [&](const net::IpAddress& address) {
    return std::find(those.begin(), those.end(), address) != those.end();
  });
  return from;
}

template <typename T>
std::vector<const T*> ByName(const std::vector<T>& objects) {
  std::vector<const T*> sorted;
  for (const T& object : objects) sorted.push_back(&object);
  std::sort(sorted.begin(), sorted.end(), [](const T* a, const T* b) { return a->name < b->name; });
  return sorted;
}

template <typename T>
std::vector<std::string> Missing(std::vector<std::string> names, const std::vector<T>& objects) {
  absl::flat_hash_set<absl::string_view> there;
  for (const T& object : objects) there.insert(object.name);
  std::erase_if(names, [&](const std::string& name) { return there.contains(name); });
  return names;
}

}  // namespace

Planner::Planner(const Engine& live, const Proposal& proposal)
    : live_(live),
      proposal_(proposal),
      quotas_(&live.namespaces_),
      pools_(live.selectors_, &live.namespaces_),
      rules_(&pools_, &nothing_held_, &quotas_),
      now_(live.now_) {
  for (const QuotaConfig& quota : proposal.quotas) quotas_.Upsert(quota);
  for (const PoolConfig& pool : proposal.pools) pools_.Upsert(pool);
  pools_.Rebuild(nothing_held_, {live.releases_, live.pickers_, now_.steady});
  for (const auto& service : live.services_) {
    if (!IsIdle(*service)) concerned_.push_back(service.get());
  }
  std::sort(concerned_.begin(), concerned_.end(),
            [](const ServiceRecord* a, const ServiceRecord* b) {
              return a->request.key < b->request.key;
            });
  twin_ = live.TwinOf(concerned_);
}

bool Planner::IsIdle(const ServiceRecord& service) const {
  if (service.place != 0 || Shares(service.request) || HasQuota(service) ||
      live_.stranded_.contains(service.request.key)) {
    return false;
  }
  return std::all_of(service.held.begin(), service.held.end(), [&](const net::IpAddress& address) {
    const Holding& holding = *live_.ledger_.Find(address);
    const Member& member = *holding.Find(&service);
    return holding.members.size() == 1 && member.state == Member::State::kDurable &&
           member.draining_until_unix_ms == 0 &&
           rules_.HomeOf(service.request, address, *holding.pool) != nullptr;
  });
}

// Who counts in a quota is not idle: others may get what is left of it.
bool Planner::HasQuota(const ServiceRecord& service) const {
  const absl::string_view name = NamespaceOf(service.request.key);
  return (!live_.quotas_.empty() && !live_.quotas_.For(name).empty()) ||
         (!quotas_.empty() && !quotas_.For(name).empty());
}

AddressPlan Planner::Make() {
  Edit();
  LetItHappen();
  if (!proposal_.settings.allow_renumber && StrandsAny()) {
    // Where each would go if that were allowed.
    Settings allowed = proposal_.settings;
    allowed.allow_renumber = true;
    Send(SettingsChanged{allowed});
    LetItHappen();
  }
  return Compare();
}

void Planner::Edit() {
  Send(SettingsChanged{proposal_.settings});
  for (const std::string& name : Missing(live_.quotas_.Names(), proposal_.quotas)) {
    Send(QuotaRemoved{name});
  }
  for (const QuotaConfig* quota : ByName(proposal_.quotas)) Send(QuotaChanged{*quota});
  for (const std::string& name : Missing(live_.pools_.Names(), proposal_.pools)) {
    Send(PoolRemoved{name});
  }
  for (const PoolConfig* pool : ByName(proposal_.pools)) Send(PoolChanged{*pool});
}

// It ends: an address that is left is never taken again by the same Service, since no request
// changes.
void Planner::LetItHappen() {
  while (twin_->renumber_at_.has_value() || !twin_->drains_.empty()) {
    absl::Time next = absl::InfiniteFuture();
    if (twin_->renumber_at_.has_value()) next = *twin_->renumber_at_;
    if (!twin_->drains_.empty()) next = std::min(next, twin_->drains_.begin()->first);
    const absl::Duration ahead = std::max(next - now_.steady, absl::ZeroDuration());
    now_ = {now_.steady + ahead, now_.wall + ahead};
    Send(Tick{});
  }
}

void Planner::Send(const Event& event) {
  std::vector<Event> events = {event};
  for (size_t i = 0; i < events.size(); ++i) {
    for (const Effect& effect : twin_->Handle(Event(events[i]), now_)) {
      const auto* commit = std::get_if<JournalCommit>(&effect);
      if (commit != nullptr) events.push_back(JournalDone{commit->batch, absl::OkStatus()});
    }
  }
}

// Whether the edit makes an address illegal that somebody has: then it is refused without
// permission.
bool Planner::StrandsAny() const {
  for (const auto& [key, service] : twin_->stranded_) {
    const ServiceRecord& before = **live_.services_.find(key);
    const Engine::Addresses stranded = live_.StrandedOf(before);
    const Engine::Addresses after = twin_->StrandedOf(*service);
    for (const net::IpAddress& address : Without({after.begin(), after.end()}, stranded)) {
      if (live_.ledger_.Find(address, &before) != nullptr) return true;
    }
  }
  return false;
}

AddressPlan Planner::Compare() const {
  AddressPlan plan;
  for (const ServiceRecord* service : concerned_) Compare(*service, plan);
  return plan;
}

void Planner::Compare(const ServiceRecord& before, AddressPlan& plan) const {
  const ServiceRecord& after = **twin_->services_.find(before.request.key);
  const std::vector<net::IpAddress> had = StaysOn(before, live_.ledger_);
  const std::vector<net::IpAddress> has = StaysOn(after, twin_->ledger_);
  std::vector<net::IpAddress> lost = Without(had, has);
  std::vector<net::IpAddress> gained = Without(has, had);
  std::sort(lost.begin(), lost.end());
  const auto pool_of = [&](const net::IpAddress& address) {
    return *twin_->ledger_.Find(address)->pool;
  };
  const Engine::Addresses stranded = live_.StrandedOf(before);
  for (const net::IpAddress& address : lost) {
    AddressMove move{.service = before.request.key,
                     .address = address,
                     .pool = *live_.ledger_.Find(address)->pool,
                     .why = WhyLost(before, address)};
    auto next = std::find_if(gained.begin(), gained.end(), [&](const net::IpAddress& other) {
      return other.family() == address.family();
    });
    if (next != gained.end()) {
      move.new_address = *next;
      move.new_pool = pool_of(*next);
      gained.erase(next);
    }
    // What is stranded already moves only with permission, and is not the edit's doing.
    const bool already = std::find(stranded.begin(), stranded.end(), address) != stranded.end();
    if (proposal_.settings.allow_renumber || !already) plan.moves.push_back(std::move(move));
  }
  for (const net::IpAddress& address : gained) {
    plan.gains.push_back({before.request.key, address, pool_of(address)});
  }
}

Finding Planner::WhyLost(const ServiceRecord& before, const net::IpAddress& address) const {
  const std::string& pool = *live_.ledger_.Find(address)->pool;
  if (twin_->rules_.HomeOf(before.request, address, pool) == nullptr) {
    return twin_->rules_.WhyIllegal(before.request, address);
  }
  return {absl::StrCat("address/", address.ToString()), "not-requested",
          absl::StrCat("the Service no longer asks for ", address.ToString(),
                       ", and gets what it asks for")};
}

}  // namespace portolan::ipam
