#include "services/ipam-service/core/testing_world.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "plugins/address_pickers/longest_unused/longest_unused.h"
#include "plugins/address_pickers/lowest_free/lowest_free.h"
#include "plugins/address_pickers/random/random.h"
#include "plugins/address_pickers/stable_hash/stable_hash.h"
#include "plugins/pool_selectors/label/label.h"

namespace portolan::ipam {
namespace {

template <typename S>
std::shared_ptr<const S> StageOf(std::unique_ptr<plugin::Factory> factory) {
  std::shared_ptr<plugin::Stage> stage = factory->Create("").value();
  return std::dynamic_pointer_cast<const S>(stage);
}

}  // namespace

net::IpAddress Address(const std::string& text) { return net::IpAddress::Parse(text).value(); }

Block BlockOf(const std::string& text) {
  if (text.find('/') != std::string::npos) {
    const net::Prefix prefix = net::Prefix::Parse(text).value();
    return {text, net::Range::Of(prefix), prefix.length()};
  }
  const std::vector<std::string> ends = absl::StrSplit(text, '-');
  return {text, net::Range::Of(Address(ends[0]), Address(ends[1])).value(), 0};
}

PoolConfig PoolOf(const std::string& name, const std::vector<std::string>& blocks) {
  PoolConfig pool{.name = name};
  for (const std::string& block : blocks) pool.blocks.push_back(BlockOf(block));
  return pool;
}

ServiceRequest ServiceOf(const std::string& key, const Labels& labels) {
  return {.key = key, .generation = 1, .labels = labels};
}

Engine::Options BuiltinOptions() {
  Engine::Options options;
  options.selectors.push_back(StageOf<plugin::PoolSelector>(plugin::NewLabelFactory()));
  options.pickers["lowest-free"] = StageOf<plugin::AddressPicker>(plugin::NewLowestFreeFactory());
  options.pickers["stable-hash"] = StageOf<plugin::AddressPicker>(plugin::NewStableHashFactory());
  options.pickers["random"] = StageOf<plugin::AddressPicker>(plugin::NewRandomFactory());
  options.pickers["longest-unused"] =
      StageOf<plugin::AddressPicker>(plugin::NewLongestUnusedFactory());
  return options;
}

absl::Status Disk::Commit(const JournalCommit& commit) {
  if (!failure.ok() && !fails_afterwards) return failure;
  if (dies_after.has_value() && (*dies_after)-- <= 0) return absl::UnavailableError("killed");
  for (const JournalRow& row : commit.create) {
    const bool erased =
        std::find(commit.erase.begin(), commit.erase.end(), row.address) != commit.erase.end();
    if (!erased && rows.contains(row.address)) return absl::AlreadyExistsError("row exists");
  }
  for (const net::IpAddress& address : commit.erase) rows.erase(address);
  for (const JournalRow& row : commit.create) rows.insert_or_assign(row.address, row);
  for (const JournalRow& row : commit.put) rows.insert_or_assign(row.address, row);
  for (const PoolRow& row : commit.put_pools) pools.insert_or_assign(row.name, row);
  for (const std::string& name : commit.erase_pools) pools.erase(name);
  for (const net::IpAddress& address : commit.erase_releases) releases.erase(address);
  for (const ReleaseRow& row : commit.put_releases) releases.insert_or_assign(row.address, row);
  return failure;
}

World::World(Disk* disk, Engine::Options options) : disk_(disk), engine_(std::move(options)) {}

void World::SyncSources() {
  Send(SettingsChanged{settings});
  for (Source source : kSources) Send(Synced{source});
}

void World::Start() {
  JournalLoaded loaded;
  for (const auto& [address, row] : disk_->rows) loaded.rows.push_back(row);
  for (const auto& [name, row] : disk_->pools) loaded.pools.push_back(row);
  for (const auto& [address, row] : disk_->releases) loaded.releases.push_back(row);
  Send(loaded);
  SyncSources();
}

void World::Send(const Event& event) {
  events_.push_back(event);
  if (busy_) return;
  busy_ = true;
  while (!events_.empty()) {
    const Event next = std::move(events_.front());
    events_.pop_front();
    if (const auto* service = std::get_if<ServiceChanged>(&next)) {
      requests_[service->request.key] = service->request;
    }
    const Moment now{disk_->steady, WallNow()};
    for (const Effect& effect : engine_.Handle(next, now)) {
      if (disk_->dead()) break;  // killed: later effects never happen
      Execute(effect);
      ++effects;
    }
  }
  busy_ = false;
  if (!disk_->dead()) CheckStatuses();
}

void World::CheckStatuses() {
  size_t out = 0;
  engine_.ForEachStatus([&](ObjectKind kind, const std::string& key) {
    ++out;
    if (!statuses_.contains({kind, key})) problems.push_back("no status is out of " + key);
  });
  if (out != statuses_.size()) problems.push_back("the engine forgot whose statuses are out");
}

void World::Add(const PoolConfig& pool) {
  Send(PoolChanged{pool});
  Advance(kRenumberDelay);
}

void World::RemovePool(const std::string& name) {
  Send(PoolRemoved{name});
  Advance(kRenumberDelay);
}

void World::Set(const Settings& changed) {
  settings = changed;
  Send(SettingsChanged{settings});
  Advance(kRenumberDelay);
}

void World::Advance(absl::Duration by) {
  const absl::Time end = disk_->steady + by;
  while (timer_.has_value() && *timer_ <= end) {
    disk_->steady = std::max(disk_->steady, *timer_);
    timer_.reset();
    Send(Tick{});
  }
  disk_->steady = end;
}

void World::AnswerJournal() {
  while (!writes_.empty()) {
    const JournalCommit commit = std::move(writes_.front());
    writes_.pop_front();
    Send(JournalDone{commit.batch, disk_->Commit(commit)});
  }
}

void World::CheckPublished(const Allocation& allocation) {
  for (const Grant& grant : allocation.grants) {
    auto row = disk_->rows.find(grant.address);
    const bool durable =
        row != disk_->rows.end() &&
        (row->second.service == allocation.key ||
         std::any_of(row->second.others.begin(), row->second.others.end(),
                     [&](const RowMember& other) { return other.service == allocation.key; }));
    if (!durable) {
      problems.push_back(absl::StrCat(allocation.key, " was told of ", grant.address.ToString(),
                                      " before it was durable"));
    }
    for (const auto& [key, other] : allocations_) {
      if (key != allocation.key) CheckTogether(allocation.key, key, grant.address);
    }
  }
}

// Two Services that both have an address must have agreed to share it.
void World::CheckTogether(const std::string& service, const std::string& other,
                          const net::IpAddress& address) {
  const std::vector<Grant>& grants = allocations_[other].grants;
  const bool both = std::any_of(grants.begin(), grants.end(),
                                [&](const Grant& grant) { return grant.address == address; });
  if (!both) return;
  const auto disagreement = WhyNotTogether(requests_[service], requests_[other]);
  if (!disagreement.has_value()) return;
  problems.push_back(absl::StrCat(address.ToString(), " has two owners: ", other, " and ", service,
                                  " (", disagreement->reason, ")"));
}

void World::Execute(const Effect& effect) {
  if (const auto* commit = std::get_if<JournalCommit>(&effect)) {
    if (journal_waits) {
      writes_.push_back(*commit);
    } else {
      Send(JournalDone{commit->batch, disk_->Commit(*commit)});
    }
  } else if (const auto* publish = std::get_if<PublishAllocation>(&effect)) {
    CheckPublished(publish->allocation);
    allocations_[publish->allocation.key] = publish->allocation;
  } else if (const auto* withdraw = std::get_if<WithdrawAllocation>(&effect)) {
    allocations_.erase(withdraw->key);
  } else if (const auto* status = std::get_if<PublishStatus>(&effect)) {
    statuses_[{status->report.kind, status->report.key}] = status->report;
  } else if (const auto* gone = std::get_if<WithdrawStatus>(&effect)) {
    statuses_.erase({gone->kind, gone->key});
  } else if (const auto* state = std::get_if<PublishPoolState>(&effect)) {
    pool_states_[state->state.name] = state->state;
  } else if (const auto* pool = std::get_if<WithdrawPoolState>(&effect)) {
    pool_states_.erase(pool->name);
  } else if (const auto* ask = std::get_if<AskPicker>(&effect)) {
    asked.push_back(*ask);
  } else if (const auto* timer = std::get_if<ArmTimer>(&effect)) {
    timer_ = timer->at;
  } else {
    synced_ = true;
  }
}

std::string World::AddressesOf(const std::string& service) const {
  auto it = allocations_.find(service);
  if (it == allocations_.end()) return "";
  return absl::StrJoin(it->second.grants, " ", [](std::string* out, const Grant& grant) {
    absl::StrAppend(out, grant.address.ToString());
  });
}

std::string World::PoolsOf(const std::string& service) const {
  auto it = allocations_.find(service);
  if (it == allocations_.end()) return "";
  return absl::StrJoin(it->second.grants, " ", [](std::string* out, const Grant& grant) {
    absl::StrAppend(out, grant.pool);
  });
}

const StatusReport* World::StatusOf(const std::string& service) const {
  auto it = statuses_.find({ObjectKind::kService, service});
  return it == statuses_.end() ? nullptr : &it->second;
}

const StatusReport* World::PoolStatusOf(const std::string& pool) const {
  auto it = statuses_.find({ObjectKind::kPool, pool});
  return it == statuses_.end() ? nullptr : &it->second;
}

std::string World::ReasonOf(const std::string& service) const {
  const StatusReport* report = StatusOf(service);
  return report == nullptr ? "" : report->reason;
}

const PoolState* World::StateOf(const std::string& pool) const {
  auto it = pool_states_.find(pool);
  return it == pool_states_.end() ? nullptr : &it->second;
}

std::string World::CountsOf(const std::string& pool) const {
  const PoolState* state = StateOf(pool);
  if (state == nullptr) return "";
  return absl::StrJoin(state->counts, ", ", [](std::string* out, const FamilyCount& count) {
    absl::StrAppend(out, net::FamilyName(count.family), " ", count.used, "/", count.total);
    if (count.reserved != "0") absl::StrAppend(out, " ", count.reserved, " reserved");
  });
}

}  // namespace portolan::ipam
