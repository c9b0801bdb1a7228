#include "services/datapath-loader/core/programmer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/core/maglev.h"

namespace portolan::datapath {
namespace {

uint32_t CountDifferent(std::vector<uint32_t> slots) {
  std::sort(slots.begin(), slots.end());
  return std::unique(slots.begin(), slots.end()) - slots.begin();
}

}  // namespace

std::set<Programmer::BackendName> Programmer::Names(const WantedGroup& wanted) {
  std::set<BackendName> names;
  for (const WantedBackend& backend : wanted.backends) {
    names.emplace(backend.address, backend.port, backend.source);
  }
  return names;
}

Programmer::Programmer(const Limits& limits, uint32_t hash_seed, const MapImage& adopted)
    : limits_(limits),
      hash_seed_(hash_seed),
      frontend_ids_(limits.frontends),
      backend_ids_(limits.backends),
      extents_(limits.table_slots, limits.chunk_slots) {
  Adopt(adopted);
}

void Programmer::Adopt(const MapImage& image) {
  std::vector<uint32_t> living;
  const auto group_of = [&](uint32_t id) -> std::pair<GroupName, Group&> {
    const GroupName name{"", absl::StrCat(id)};
    Group& group = groups_[name];
    group.id = id;
    group_ids_.insert(id);
    return {name, group};
  };
  for (const auto& [id, entry] : image.backends) {
    living.push_back(id);
    auto [name, group] = group_of(entry.group);
    group.wanted.protocol = entry.protocol;
    // A second one of the same name can only be left from a crash; it is retired as unwanted.
    group.backends.insert_or_assign({entry.address, entry.port, entry.source},
                                    BackendSlot{{id, entry.epoch}, true, entry.rests});
  }
  for (const auto& [id, rules] : image.sources) group_of(id).second.sources = rules;
  backend_ids_.Adopt(image.backend_epochs, living);
  living.clear();
  for (const auto& [key, entry] : image.frontends) {
    living.push_back(entry.id);
    auto [name, group] = group_of(entry.group);
    group.frontends.insert(key);
    frontends_[key] = {.group = name,
                       .id = {entry.id, entry.epoch},
                       .opened = true,
                       .published = entry,
                       .replaced = {},
                       .lender = std::nullopt};
    const auto table = image.tables.find(entry.table_offset);
    if (entry.table_size == 0 || table == image.tables.end()) continue;
    if (!extents_.Reserve(entry.table_offset, entry.table_size)) continue;  // shared: has it
    group.tables.push_back(
        {entry.table_offset, table->second, CountDifferent(table->second), true});
    group.has_table = true;
  }
  frontend_ids_.Adopt(image.frontend_epochs, living);
}

void Programmer::Want(const std::string& service, std::vector<WantedGroup> groups) {
  std::set<std::string> names;
  bool changed = false;
  for (WantedGroup& wanted : groups) {
    const GroupName name{service, wanted.name};
    names.insert(wanted.name);
    Group& group = FindOrClaim(name, wanted);
    if (group.wanted == wanted) continue;
    group.wanted = std::move(wanted);
    group.table_stale = true;
    changed = true;
  }
  for (const GroupName& name : GroupsOf(service)) {
    if (names.contains(name.second)) continue;
    Group& group = groups_[name];
    group.wanted.backends.clear();
    group.wanted.frontends.clear();
    group.wanted.sources.clear();
    group.table_stale = true;
    changed = true;
  }
  if (!changed) return;
  dirty_.insert(service);
  failures_.erase(service);
}

void Programmer::SetHashSeed(uint32_t seed) {
  if (seed == hash_seed_) return;
  hash_seed_ = seed;
  for (auto& [name, group] : groups_) {
    group.table_stale = true;
    if (!name.first.empty()) dirty_.insert(name.first);
  }
}

void Programmer::Prune() {
  pruned_ = true;
  for (const GroupName& name : GroupsOf("")) {
    groups_[name].has_table = false;
    dirty_.insert("");
  }
}

uint32_t Programmer::NewGroupId() {
  while (!group_ids_.insert(lowest_free_group_).second) lowest_free_group_++;
  return lowest_free_group_;
}

Programmer::Group& Programmer::FindOrClaim(const GroupName& name, const WantedGroup& wanted) {
  const auto it = groups_.find(name);
  if (it != groups_.end()) return it->second;
  for (const FrontendKey& key : wanted.frontends) {
    if (pruned_) break;  // its end may be with the kernel already
    const auto slot = frontends_.find(key);
    if (slot == frontends_.end() || !slot->second.group.first.empty()) continue;
    Rename(GroupName(slot->second.group), name);
    return groups_[name];
  }
  Group& group = groups_[name];
  group.id = NewGroupId();
  return group;
}

void Programmer::Rename(const GroupName& from, const GroupName& to) {
  auto node = groups_.extract(from);
  node.key() = to;
  for (const FrontendKey& key : node.mapped().frontends) frontends_[key].group = to;
  groups_.insert(std::move(node));
}

std::vector<Programmer::GroupName> Programmer::GroupsOf(const std::string& service) const {
  std::vector<GroupName> names;
  for (auto it = groups_.lower_bound({service, ""});
       it != groups_.end() && it->first.first == service; ++it) {
    names.push_back(it->first);
  }
  return names;
}

// ---- planning ----

MapBatch Programmer::Plan(absl::Time now) {
  MapBatch batch;
  std::vector<GroupName> settled;
  std::set<std::string> busy;
  for (const std::string& service : dirty_) {
    const auto failure = failures_.find(service);
    if (failure != failures_.end() && failure->second.retry_at > now) {
      busy.insert(service);
      continue;
    }
    for (const GroupName& name : GroupsOf(service)) {
      const size_t before = batch.size();
      const absl::Status status = PlanAdds(name, groups_[name], now, batch);
      if (!status.ok()) {
        batch.resize(before);  // nothing half-done
        Fail(service, status, now);
        busy.insert(service);
      } else if (batch.size() == before) {
        settled.push_back(name);
      } else {
        busy.insert(service);
      }
    }
  }
  for (const GroupName& name : settled) {
    const size_t before = batch.size();
    PlanDeletes(name, groups_[name], now, batch);
    const auto group = groups_.find(name);
    const bool waits = group != groups_.end() && !group->second.lent.empty();
    if (batch.size() > before || waits) busy.insert(name.first);
  }
  // Who was due and has nothing to try, because it is done or waits for another service, has no
  // time to wait for.
  std::set<std::string> tried;
  for (const MapOp& op : batch) tried.insert(op.service);
  std::erase_if(failures_, [&](const auto& failure) {
    return failure.second.retry_at <= now && !tried.contains(failure.first);
  });
  std::erase_if(dirty_, [&](const std::string& service) { return !busy.contains(service); });
  return batch;
}

absl::Status Programmer::PlanAdds(const GroupName& name, Group& group, absl::Time now,
                                  MapBatch& batch) {
  // What was found and not asked for has nothing to add.
  if (name.first.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(PlanBackends(name, group, now, batch));
  RETURN_IF_ERROR(PlanTable(name, group, now, batch));
  PlanSources(name, group, batch);
  return PlanFrontends(name, group, now, batch);
}

absl::Status Programmer::PlanBackends(const GroupName& name, Group& group, absl::Time now,
                                      MapBatch& batch) {
  const std::set<BackendName> names = Names(group.wanted);
  std::erase_if(group.backends, [&](const auto& item) {
    if (item.second.written || names.contains(item.first)) return false;
    backend_ids_.Return(item.second.id.id);
    return true;
  });
  for (const WantedBackend& wanted : group.wanted.backends) {
    const BackendName key{wanted.address, wanted.port, wanted.source};
    auto slot = group.backends.find(key);
    if (slot == group.backends.end()) {
      absl::StatusOr<IdPool::Id> id = backend_ids_.Allocate(now);
      if (!id.ok()) {
        return absl::ResourceExhaustedError(
            absl::StrCat("map backends: all ", limits_.backends, " entries are in use"));
      }
      slot = group.backends.emplace(key, BackendSlot{*id}).first;
    }
    const bool rests = wanted.weight == 0;
    if (slot->second.written && slot->second.rests == rests) continue;
    batch.push_back({name.first, name.second,
                     WriteBackend{slot->second.id.id,
                                  {.epoch = slot->second.id.epoch,
                                   .group = group.id,
                                   .address = wanted.address,
                                   .port = wanted.port,
                                   .protocol = group.wanted.protocol,
                                   .source = wanted.source,
                                   .rests = rests}}});
  }
  return absl::OkStatus();
}

std::vector<uint32_t> Programmer::BuildTable(const Group& group) const {
  std::vector<MaglevBackend> backends;
  for (const WantedBackend& wanted : group.wanted.backends) {
    const BackendName key{wanted.address, wanted.port, wanted.source};
    backends.push_back({.address = wanted.address,
                        .port = wanted.port,
                        .protocol = group.wanted.protocol,
                        .weight = wanted.weight,
                        .value = group.backends.at(key).id.id});
  }
  const uint32_t size = MaglevTableSize(backends.size());
  return BuildMaglevTable(std::move(backends), size, hash_seed_);
}

absl::Status Programmer::PlanTable(const GroupName& name, Group& group, absl::Time now,
                                   MapBatch& batch) {
  if (group.table_stale) {
    std::vector<uint32_t> slots = BuildTable(group);
    if (!slots.empty() && (group.tables.empty() || group.tables.back().slots != slots)) {
      absl::StatusOr<uint32_t> offset = extents_.Allocate(slots.size(), now);
      if (!offset.ok()) {
        return absl::ResourceExhaustedError(absl::StrCat("map maglev: no room for ", slots.size(),
                                                         " of ", limits_.table_slots, " slots"));
      }
      const uint32_t different = CountDifferent(slots);
      group.tables.push_back({*offset, std::move(slots), different, false});
      group.has_table = true;
    } else {
      group.has_table = !slots.empty();
    }
    group.table_stale = false;
  }
  if (group.has_table && !group.tables.back().written) {
    const Table& table = group.tables.back();
    batch.push_back({name.first, name.second, WriteTable{table.offset, table.slots}});
  }
  return absl::OkStatus();
}

// Before the frontends that ask for them: who is not known to be let in is not.
void Programmer::PlanSources(const GroupName& name, const Group& group, MapBatch& batch) {
  for (const auto& [prefix, allowed] : group.wanted.sources) {
    const auto known = group.sources.find(prefix);
    if (known != group.sources.end() && known->second == allowed) continue;
    batch.push_back({name.first, name.second, WriteSource{group.id, prefix, allowed}});
  }
}

// Makes the key this group's, under a fresh id, so that flows of its previous owner end.
absl::Status Programmer::MoveFrontend(const FrontendKey& key, const GroupName& name, Group& group,
                                      absl::Time now) {
  absl::StatusOr<IdPool::Id> id = frontend_ids_.Allocate(now);
  if (!id.ok()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("map frontends: all ", limits_.frontends, " entries are in use"));
  }
  FrontendSlot moved;
  moved.group = name;
  moved.id = *id;
  const auto previous = frontends_.find(key);
  if (previous != frontends_.end()) {
    const FrontendSlot& old = previous->second;
    groups_[old.group].frontends.erase(key);
    moved.published = old.published;
    if (old.published.has_value()) {
      moved.lender = old.lender.value_or(old.group);
      groups_[*moved.lender].lent.insert(key);
    }
    // The kernel may still send the key to the oldest of them.
    moved.replaced = old.replaced;
    if (old.opened) {
      moved.replaced.push_back(old.id.id);
    } else {
      frontend_ids_.Return(old.id.id);
    }
  }
  frontends_[key] = moved;
  group.frontends.insert(key);
  return absl::OkStatus();
}

absl::Status Programmer::PlanFrontends(const GroupName& name, Group& group, absl::Time now,
                                       MapBatch& batch) {
  for (const FrontendKey& key : group.wanted.frontends) {
    if (!group.frontends.contains(key)) RETURN_IF_ERROR(MoveFrontend(key, name, group, now));
    const FrontendSlot& slot = frontends_[key];
    FrontendEntry entry;
    entry.id = slot.id.id;
    entry.epoch = slot.id.epoch;
    entry.group = group.id;
    entry.restricted = !group.wanted.sources.empty();
    entry.affinity_s = group.wanted.affinity_s;
    if (group.has_table) {
      entry.table_offset = group.tables.back().offset;
      entry.table_size = group.tables.back().slots.size();
      entry.backends = group.tables.back().different;
    }
    if (!slot.opened) {
      batch.push_back({name.first, name.second, OpenFrontend{slot.id.id, slot.id.epoch, group.id}});
    }
    if (slot.published != entry) {
      batch.push_back({name.first, name.second, WriteFrontend{key, entry}});
    }
  }
  return absl::OkStatus();
}

void Programmer::PlanDeletes(const GroupName& name, Group& group, absl::Time now, MapBatch& batch) {
  std::vector<Change> changes;
  PlanFrontendDeletes(group, changes);
  for (const uint32_t id : group.closing) {
    changes.push_back(CloseFrontend{id, frontend_ids_.NextEpoch(id)});
  }
  if (group.lent.empty()) {
    const std::set<BackendName> names = Names(group.wanted);
    for (const auto& [key, slot] : group.backends) {
      if (names.contains(key)) continue;
      changes.push_back(RetireBackend{slot.id.id, backend_ids_.NextEpoch(slot.id.id)});
    }
    for (const auto& [prefix, allowed] : group.sources) {
      if (!group.wanted.sources.contains(prefix)) changes.push_back(DeleteSource{group.id, prefix});
    }
    DropUnusedTables(group, now);
  }
  for (Change& change : changes) {
    batch.push_back({name.first, name.second, std::move(change)});
  }
  ForgetIfEmpty(name, group);
}

void Programmer::PlanFrontendDeletes(Group& group, std::vector<Change>& changes) {
  for (auto it = group.frontends.begin(); it != group.frontends.end();) {
    const FrontendKey key = *it;
    FrontendSlot& slot = frontends_[key];
    if (group.wanted.frontends.contains(key)) {
      ++it;
      continue;
    }
    if (slot.published.has_value()) changes.push_back(DeleteFrontend{key});
    for (const uint32_t id : slot.replaced) {
      changes.push_back(CloseFrontend{id, frontend_ids_.NextEpoch(id)});
    }
    if (slot.opened) {
      changes.push_back(CloseFrontend{slot.id.id, frontend_ids_.NextEpoch(slot.id.id)});
    }
    if (slot.opened || slot.published.has_value() || !slot.replaced.empty()) {
      ++it;
      continue;
    }
    frontend_ids_.Return(slot.id.id);
    frontends_.erase(key);
    it = group.frontends.erase(it);
  }
}

void Programmer::DropUnusedTables(Group& group, absl::Time now) {
  std::set<uint32_t> used;
  for (const FrontendKey& key : group.frontends) {
    const std::optional<FrontendEntry>& published = frontends_[key].published;
    if (published.has_value() && published->table_size > 0) used.insert(published->table_offset);
  }
  if (group.has_table) used.insert(group.tables.back().offset);
  std::erase_if(group.tables, [&](const Table& table) {
    if (used.contains(table.offset)) return false;
    extents_.Free(table.offset, table.slots.size(), now + kGrace);
    return true;
  });
}

void Programmer::ForgetIfEmpty(const GroupName& name, Group& group) {
  if (!group.frontends.empty() || !group.backends.empty()) return;
  if (!group.closing.empty() || !group.lent.empty() || !group.sources.empty()) return;
  if (!group.wanted.frontends.empty() || !group.wanted.backends.empty()) return;
  group_ids_.erase(group.id);
  lowest_free_group_ = std::min(lowest_free_group_, group.id);
  groups_.erase(name);
}

}  // namespace portolan::datapath
