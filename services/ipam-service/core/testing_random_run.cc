#include "services/ipam-service/core/testing_random_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace portolan::ipam {
namespace {

// Of pools that no disk knows: younger than those that it knows, older than those that come later.
constexpr int64_t kUnknownAge = int64_t{1} << 50;

absl::Status FailureOf(uint64_t kind) {
  if (kind == 0) return absl::ResourceExhaustedError("disk full");
  return absl::UnavailableError("store away");
}

}  // namespace

RandomRun::RandomRun(uint64_t seed, bool overlaps)
    : random_(seed, overlaps), world_(std::make_unique<World>(&disk_)) {
  world_->settings = {.drain_time = absl::Seconds(random_.Below(2) * 3),
                      .allow_renumber = random_.OneIn(2)};
  next_age_ = 2 * kUnknownAge;
  world_->Start();
}

void RandomRun::Problem(const std::string& text) {
  if (problems_.size() < 10) problems_.push_back(absl::StrCat(last_, ": ", text));
}

void RandomRun::Step(int rest) {
  world_->Advance(absl::Milliseconds(1));
  Act();
  for (const std::string& problem : world_->problems) Problem(problem);
  if (++steps_ % rest != 0) return;
  ComeToRest();
  CheckEverything();
}

void RandomRun::Act() {
  const uint64_t action = random_.Below(1000);
  if (action < 400) {
    ChangeService();
  } else if (action < 650) {
    RemoveService();
  } else if (action < 760) {
    ChangePool();
  } else if (action < 780) {
    RemovePool();
  } else if (action < 830) {
    ChangeQuota();
  } else if (action < 870) {
    ChangeNamespace();
  } else if (action < 890) {
    ChangeSettings();
  } else if (action < 950) {
    PassTime();
  } else if (action < 985) {
    ChangeStore();
  } else {
    Restart();
  }
}

void RandomRun::ChangeService() {
  const ServiceRequest service = random_.Service();
  const bool is_new = !model_.services.contains(service.key);
  const Published before = world_->allocations();
  last_ = absl::StrCat(is_new ? "new " : "edited ", service.key);
  bool determined = is_new && AtRest() && !service.addresses_in_use.has_value();
  LookAtDisk();
  std::string predicted;
  if (determined) predicted = Predict(service, determined);
  model_.services[service.key] = service;
  world_->Add(service);
  CheckKept(before, service.key);
  if (!determined) return;
  const std::string got = world_->AddressesOf(service.key);
  if (got != predicted) Problem(absl::StrCat("has \"", got, "\", not \"", predicted, "\""));
}

void RandomRun::RemoveService() {
  const std::string key = random_.ServiceKey();
  last_ = absl::StrCat("removed ", key);
  Published before = world_->allocations();
  before.erase(key);
  model_.services.erase(key);
  world_->RemoveService(key);
  if (world_->allocations().contains(key)) Problem("is still there");
  CheckKept(before, "");
}

void RandomRun::ChangePool() {
  const PoolConfig pool = random_.Pool();
  last_ = absl::StrCat("pool ", pool.name);
  std::map<std::string, PoolConfig> pools = model_.pools;
  pools[pool.name] = pool;
  EditPools(std::move(pools), [&] { world_->Add(pool); });
}

void RandomRun::RemovePool() {
  const std::string name = random_.PoolName();
  if (!model_.pools.contains(name)) return;  // no edit
  last_ = absl::StrCat("no pool ", name);
  std::map<std::string, PoolConfig> pools = model_.pools;
  pools.erase(name);
  EditPools(std::move(pools), [&] { world_->RemovePool(name); });
}

void RandomRun::EditPools(std::map<std::string, PoolConfig> pools,
                          const std::function<void()>& edit) {
  const Published before = world_->allocations();
  Proposal proposal{.settings = world_->settings};
  for (const auto& [name, pool] : pools) proposal.pools.push_back(pool);
  for (const auto& [name, quota] : model_.quotas) proposal.quotas.push_back(quota);
  const AddressPlan plan = *world_->engine().Plan(proposal);
  LookAtDisk();
  const bool at_rest = AtRest();
  if (at_rest) CheckPlan(plan, pools);
  SetPools(std::move(pools));
  edit();
  CheckKept(before, "");
  if (!at_rest || !world_->settings.allow_renumber) return;
  // What one gives up another may wait for, who then gives up something.
  while (AnyDrains()) world_->Advance(world_->settings.drain_time);
  CheckMoved(plan);
}

bool RandomRun::AnyDrains() const {
  for (const auto& [key, allocation] : world_->allocations()) {
    for (const Grant& grant : allocation.grants) {
      if (grant.draining_until_unix_ms != 0) return true;
    }
  }
  return false;
}

void RandomRun::SetPools(std::map<std::string, PoolConfig> pools) {
  for (const auto& [name, pool] : model_.pools) {
    if (!pools.contains(name)) model_.first_seen.erase(name);
  }
  for (const auto& [name, pool] : pools) {
    if (!model_.pools.contains(name)) model_.first_seen[name] = ++next_age_;
  }
  model_.pools = std::move(pools);
  model_.FindConflicts();
}

void RandomRun::ChangeSettings() {
  last_ = "settings";
  const Published before = world_->allocations();
  Settings settings = world_->settings;
  settings.allow_renumber = random_.OneIn(2);
  world_->Set(settings);
  CheckKept(before, "");
}

void RandomRun::ChangeQuota() {
  const QuotaConfig quota = random_.Quota();
  last_ = absl::StrCat("quota ", quota.name);
  const Published before = world_->allocations();
  if (random_.OneIn(2)) {
    model_.quotas.erase(quota.name);
    world_->Send(QuotaRemoved{quota.name});
  } else {
    model_.quotas[quota.name] = quota;
    world_->Send(QuotaChanged{quota});
  }
  CheckKept(before, "");
}

void RandomRun::ChangeNamespace() {
  const std::string name = random_.NamespaceName();
  last_ = absl::StrCat("namespace ", name);
  const Published before = world_->allocations();
  if (random_.OneIn(4)) {
    model_.namespaces.erase(name);
    world_->Send(NamespaceRemoved{name});
  } else {
    model_.namespaces[name] = random_.NamespaceLabels();
    world_->Send(NamespaceChanged{name, model_.namespaces[name]});
  }
  world_->Advance(kRenumberDelay);
  CheckKept(before, "");
}

void RandomRun::PassTime() {
  last_ = "time passes";
  const Published before = world_->allocations();
  world_->Advance(absl::Milliseconds(random_.Below(2000)));
  CheckKept(before, "");
}

// It begins to fail, or writes begin to wait, or all is well again.
void RandomRun::ChangeStore() {
  last_ = "store";
  const Published before = world_->allocations();
  if (!AtRest()) {
    ComeToRest();
  } else if (random_.OneIn(2)) {
    disk_.failure = FailureOf(random_.Below(2));
    disk_.fails_afterwards = absl::IsUnavailable(disk_.failure) && random_.OneIn(2);
  } else {
    world_->journal_waits = true;
  }
  CheckKept(before, "");
}

void RandomRun::ComeToRest() {
  disk_.failure = absl::OkStatus();
  disk_.fails_afterwards = false;
  world_->AnswerJournal();
  world_->journal_waits = false;
  world_->Advance(absl::Seconds(31));  // the longest distance of two attempts
  LookAtDisk();
}

// In order, or killed while writes wait: those are lost.
void RandomRun::Restart() {
  last_ = world_->WritesWait() ? "killed" : "restarted";
  const bool at_rest = AtRest();
  const Published before = world_->allocations();
  const Settings settings = world_->settings;
  // Ages as the disk knows them; else by the first address that a pool gave; else by name.
  for (auto& [name, age] : model_.first_seen) {
    age = kUnknownAge;
    for (const auto& [address, row] : disk_.rows) {
      for (const RowMember& member : MembersOf(row)) {
        if (row.pool == name) age = std::min(age, member.since_unix_ms);
      }
    }
    if (auto row = disk_.pools.find(name); row != disk_.pools.end()) {
      age = row->second.first_seen_unix_ms;
    }
  }
  model_.FindConflicts();
  // What a cluster would say of them now.
  for (auto& [key, service] : model_.services) {
    if (!service.addresses_in_use.has_value()) continue;
    std::vector<std::string> in_use;
    if (auto it = before.find(key); it != before.end()) {
      for (const Grant& grant : it->second.grants) in_use.push_back(grant.address.ToString());
    }
    service.addresses_in_use = std::move(in_use);
  }
  world_ = std::make_unique<World>(&disk_);
  world_->settings = settings;
  for (const auto& [name, labels] : model_.namespaces) world_->Send(NamespaceChanged{name, labels});
  for (const auto& [key, service] : model_.services) world_->Add(service);
  for (const auto& [name, pool] : model_.pools) world_->Send(PoolChanged{pool});
  for (const auto& [name, quota] : model_.quotas) world_->Send(QuotaChanged{quota});
  FindDisputes();
  world_->Start();
  if (at_rest) CheckUnchanged(before);
  world_->Advance(kRenumberDelay);
  CheckKept(before, "");
  disputed_.clear();
}

// The disk does not say which of two that no longer agree was on its way out.
void RandomRun::FindDisputes() {
  for (const auto& [address, row] : disk_.rows) {
    for (const RowMember& a : MembersOf(row)) {
      for (const RowMember& b : MembersOf(row)) {
        auto one = model_.services.find(a.service), other = model_.services.find(b.service);
        if (one == other || one == model_.services.end() || other == model_.services.end())
          continue;
        if (!Model::WhyNotTogether(one->second, other->second).empty()) disputed_.insert(address);
      }
    }
  }
}

void RandomRun::CheckUnchanged(const Published& before) {
  for (const auto& [key, service] : model_.services) {
    auto then = before.find(key);
    auto now = world_->allocations().find(key);
    if (then != before.end() && now != world_->allocations().end()) {
      if (then->second != now->second) {
        Problem(absl::StrCat(key, " was changed: ", world_->AddressesOf(key)));
      }
      continue;
    }
    if (then != before.end() || now != world_->allocations().end()) {
      Problem(absl::StrCat(key, " was changed: ", world_->AddressesOf(key)));
    }
  }
}

}  // namespace portolan::ipam
