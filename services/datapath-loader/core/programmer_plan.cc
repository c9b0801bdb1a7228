// The programmer's half that plans: what to write next, and what to delete after that.
#include <algorithm>
#include <array>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/core/maglev.h"
#include "services/datapath-loader/core/programmer.h"

namespace portolan::datapath {
namespace {

// No more than `most`.
uint32_t CountDifferent(const std::vector<uint32_t>& slots, size_t most) {
  absl::flat_hash_set<uint32_t> seen;
  for (const uint32_t slot : slots) {
    if (seen.insert(slot).second && seen.size() == most) break;
  }
  return seen.size();
}

// What must be there before comes first.
int PhaseOf(const Change& change) {
  struct Phases {
    int operator()(const WriteBackend&) const { return 0; }
    int operator()(const WriteTable&) const { return 1; }
    int operator()(const WriteSource&) const { return 2; }
    int operator()(const OpenFrontend&) const { return 3; }
    int operator()(const WriteFrontend&) const { return 4; }
    int operator()(const DeleteFrontend&) const { return 5; }
    int operator()(const CloseFrontend&) const { return 6; }
    int operator()(const RetireBackend&) const { return 7; }
    int operator()(const DeleteSource&) const { return 8; }
  };
  return std::visit(Phases(), change);
}

MapBatch InPhases(MapBatch batch) {
  std::array<MapBatch, std::variant_size_v<Change>> phases;
  for (MapOp& op : batch) phases[PhaseOf(op.change)].push_back(std::move(op));
  batch.clear();
  for (MapBatch& phase : phases) std::move(phase.begin(), phase.end(), std::back_inserter(batch));
  return batch;
}

}  // namespace

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
  if (!failures_.empty()) {
    std::set<absl::string_view> tried;
    for (const MapOp& op : batch) tried.insert(op.service);
    std::erase_if(failures_, [&](const auto& failure) {
      return failure.second.retry_at <= now && !tried.contains(failure.first);
    });
  }
  std::erase_if(dirty_, [&](const std::string& service) { return !busy.contains(service); });
  return InPhases(std::move(batch));
}

absl::Status Programmer::PlanAdds(const GroupName& name, Group& group, absl::Time now,
                                  MapBatch& batch) {
  // What was found and not asked for has nothing to add.
  if (name.first.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(PlanBackends(name, group, now, batch));
  RETURN_IF_ERROR(PlanTables(name, group, now, batch));
  PlanSources(name, group, batch);
  return PlanFrontends(name, group, now, batch);
}

absl::Status Programmer::PlanBackends(const GroupName& name, Group& group, absl::Time now,
                                      MapBatch& batch) {
  RETURN_IF_ERROR(AllocateBackends(group, now));
  for (const WantedBackend& wanted : group.wanted.backends) {
    const BackendSlot& slot = group.backends.at(NameOf(wanted));
    const bool rests = wanted.weight == 0 || (!wanted.outside && !wanted.inside);
    if (slot.written && slot.rests == rests && slot.source == wanted.source) continue;
    batch.push_back({name.first, name.second,
                     WriteBackend{slot.id.id,
                                  {.epoch = slot.id.epoch,
                                   .group = group.id,
                                   .address = wanted.address,
                                   .port = wanted.port,
                                   .protocol = group.wanted.protocol,
                                   .source = wanted.source,
                                   .rests = rests,
                                   .delivery = wanted.delivery}}});
  }
  return absl::OkStatus();
}

// An id for every backend that is wanted, or none for those that are new.
absl::Status Programmer::AllocateBackends(Group& group, absl::Time now) {
  const std::set<BackendName> names = Names(group.wanted);
  const auto return_unwritten = [&](bool all) {
    std::erase_if(group.backends, [&](const auto& item) {
      if (item.second.written || (!all && names.contains(item.first))) return false;
      backend_ids_.Return(item.second.id.id);
      return true;
    });
  };
  return_unwritten(/*all=*/false);
  if (names.size() > kMaxBackends) {
    return_unwritten(/*all=*/true);
    return absl::OutOfRangeError(
        absl::StrCat(names.size(), " backends, and a table has room for ", kMaxBackends));
  }
  for (const BackendName& name : names) {
    if (group.backends.contains(name)) continue;
    absl::StatusOr<IdPool::Id> id = backend_ids_.Allocate(now);
    if (!id.ok()) {
      return_unwritten(/*all=*/true);  // others may have less need
      return absl::ResourceExhaustedError(
          absl::StrCat("map backends: all ", limits_.backends, " entries are in use"));
    }
    group.backends.emplace(name, BackendSlot{*id});
  }
  return absl::OkStatus();
}

std::vector<uint32_t> Programmer::BuildTable(const Group& group, bool WantedBackend::*side) const {
  std::vector<MaglevBackend> backends;
  for (const WantedBackend& wanted : group.wanted.backends) {
    if (!(wanted.*side)) continue;
    backends.push_back({.address = wanted.address,
                        .port = wanted.port,
                        .protocol = group.wanted.protocol,
                        .weight = wanted.weight,
                        .value = group.backends.at(NameOf(wanted)).id.id});
  }
  const uint32_t size = MaglevTableSize(backends.size());
  return BuildMaglevTable(std::move(backends), size, hash_seed_);
}

const Programmer::Table* Programmer::TableAt(const Group& group, std::optional<uint32_t> offset) {
  if (!offset.has_value()) return nullptr;
  const auto table = std::find_if(group.tables.begin(), group.tables.end(),
                                  [&](const Table& each) { return each.offset == *offset; });
  return table == group.tables.end() ? nullptr : &*table;
}

// Offset of the group's table with these slots, a new one if need be.
absl::StatusOr<std::optional<uint32_t>> Programmer::UseTable(Group& group,
                                                             std::vector<uint32_t> slots,
                                                             absl::Time now) {
  if (slots.empty()) return std::nullopt;
  for (const Table& table : group.tables) {
    if (table.slots == slots) return table.offset;
  }
  absl::StatusOr<uint32_t> offset = extents_.Allocate(slots.size(), now);
  if (!offset.ok()) {
    return absl::ResourceExhaustedError(absl::StrCat("map maglev: no room for ", slots.size(),
                                                     " of ", limits_.table_slots, " slots"));
  }
  const uint32_t different = CountDifferent(slots, group.wanted.backends.size());
  group.tables.push_back({*offset, std::move(slots), different, false});
  return *offset;
}

absl::Status Programmer::PlanTables(const GroupName& name, Group& group, absl::Time now,
                                    MapBatch& batch) {
  if (group.table_stale) {
    const std::vector<WantedBackend>& backends = group.wanted.backends;
    const bool alike = std::all_of(backends.begin(), backends.end(),
                                   [](const auto& each) { return each.outside == each.inside; });
    std::vector<uint32_t> inside;
    if (!alike) inside = BuildTable(group, &WantedBackend::inside);
    ASSIGN_OR_RETURN(group.outside,
                     UseTable(group, BuildTable(group, &WantedBackend::outside), now));
    group.inside = group.outside;
    if (!alike) {
      ASSIGN_OR_RETURN(group.inside, UseTable(group, std::move(inside), now));
    }
    group.table_stale = false;
  }
  for (const Table& table : group.tables) {
    if (table.written || (group.outside != table.offset && group.inside != table.offset)) continue;
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
  const Table* outside = TableAt(group, group.outside);
  const Table* inside = TableAt(group, group.inside);
  for (const FrontendKey& key : group.wanted.frontends) {
    if (!group.frontends.contains(key)) RETURN_IF_ERROR(MoveFrontend(key, name, group, now));
    const FrontendSlot& slot = frontends_[key];
    FrontendEntry entry;
    entry.id = slot.id.id;
    entry.epoch = slot.id.epoch;
    entry.group = group.id;
    entry.restricted = !group.wanted.sources.empty();
    entry.affinity_s = group.wanted.affinity_s;
    entry.idle_s = group.wanted.idle_s;
    entry.silent = group.wanted.silent;
    if (outside != nullptr) {
      entry.table_offset = outside->offset;
      entry.table_size = outside->slots.size();
      entry.backends = outside->different;
    }
    if (inside != nullptr) {
      entry.internal_offset = inside->offset;
      entry.internal_size = inside->slots.size();
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
    if (!published.has_value()) continue;
    if (published->table_size > 0) used.insert(published->table_offset);
    if (published->internal_size > 0) used.insert(published->internal_offset);
  }
  if (group.outside.has_value()) used.insert(*group.outside);
  if (group.inside.has_value()) used.insert(*group.inside);
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
