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

Programmer::BackendName Programmer::NameOf(const WantedBackend& backend) {
  const bool sourced =
      backend.delivery == Delivery::kFullNat || backend.delivery == Delivery::kTunnel;
  return {backend.address, backend.port, backend.delivery, sourced ? backend.source : std::nullopt};
}

std::set<Programmer::BackendName> Programmer::Names(const WantedGroup& wanted) {
  std::set<BackendName> names;
  for (const WantedBackend& backend : wanted.backends) names.insert(NameOf(backend));
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
    const BackendName known = NameOf({.address = entry.address,
                                      .port = entry.port,
                                      .source = entry.source,
                                      .delivery = entry.delivery});
    group.backends.insert_or_assign(
        known, BackendSlot{{id, entry.epoch}, true, entry.rests, entry.source});
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
    AdoptTable(image, entry.table_offset, entry.table_size, extents_, group, group.outside);
    AdoptTable(image, entry.internal_offset, entry.internal_size, extents_, group, group.inside);
  }
  frontend_ids_.Adopt(image.frontend_epochs, living);
}

void Programmer::AdoptTable(const MapImage& image, uint32_t offset, uint32_t size,
                            ExtentPool& extents, Group& group, std::optional<uint32_t>& current) {
  const auto table = image.tables.find(offset);
  if (size == 0 || table == image.tables.end()) return;
  if (extents.Reserve(offset, size)) {
    group.tables.push_back({offset, table->second, CountDifferent(table->second), true});
  }
  if (TableAt(group, offset) != nullptr) current = offset;
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
    groups_[name].outside.reset();
    groups_[name].inside.reset();
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

}  // namespace portolan::datapath
