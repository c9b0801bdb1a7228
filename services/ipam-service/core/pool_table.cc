#include "services/ipam-service/core/pool_table.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/ipam-service/core/sharing.h"

namespace portolan::ipam {
namespace {

constexpr size_t kNamedOverlaps = 4;

std::string IndexKey(absl::string_view key, absl::string_view value) {
  return absl::StrCat(key, absl::string_view("\0", 1), value);
}

net::Range Intersection(const net::Range& a, const net::Range& b) {
  return net::Range::Of(std::max(a.first(), b.first()), std::min(a.last(), b.last())).value();
}

}  // namespace

void PoolTable::Upsert(PoolConfig config) {
  std::unique_ptr<Pool>& pool = pools_[config.name];
  if (pool == nullptr) {
    pool = std::make_unique<Pool>(std::move(config));
    pool->age = ++last_age_;
  } else {
    pool->Configure(std::move(config));
  }
}

void PoolTable::Remove(const std::string& name) { pools_.erase(name); }

void PoolTable::OrderAgesBy(absl::FunctionRef<int64_t(const std::string& pool)> earliest_unix_ms) {
  std::vector<std::tuple<int64_t, std::string, Pool*>> order;
  for (const auto& [name, pool] : pools_) {
    order.emplace_back(earliest_unix_ms(name), name, pool.get());
  }
  std::sort(order.begin(), order.end());
  last_age_ = 0;
  for (const auto& [since, name, pool] : order) pool->age = ++last_age_;
}

void PoolTable::Rebuild(const Ledger& ledger, const Past& past) {
  std::vector<Pool*> by_age;
  for (const auto& [name, pool] : pools_) by_age.push_back(pool.get());
  std::sort(by_age.begin(), by_age.end(), [](Pool* a, Pool* b) { return a->age < b->age; });
  coverage_.clear();
  conflicting_.clear();
  cool_downs_end_at_.reset();
  for (Pool* pool : by_age) {
    pool->set_conflict(ConflictOf(*pool));
    if (!pool->active()) {
      conflicting_.push_back(pool);
      pool->DropFree();
      continue;
    }
    CoverWith(*pool);
    const bool as_before =
        pool->kept_history() == past.pickers.HistoryFor(pool->config().address_picker);
    if (!pool->free_is_kept() || !as_before) RebuildFree(*pool, ledger, past);
    NoteCoolDowns(*pool);
  }
  RebuildOrder();
  RebuildIndex();
}

void PoolTable::RebuildFree(Pool& pool, const Ledger& ledger, const Past& past) {
  pool.ResetFree(past.pickers.HistoryFor(pool.config().address_picker), &past.releases);
  for (net::Family family : kFamilies) {
    for (const net::Range& range : pool.covered(family)) {
      ledger.ForEachIn(
          range, [&](const net::IpAddress& address, const Holding&) { pool.TakeFree(address); });
    }
  }
  pool.AddPast(past.now);
}

void PoolTable::NoteCoolDowns(const Pool& pool) {
  for (net::Family family : kFamilies) {
    if (pool.cooling(family) == 0) continue;
    const absl::Time end = *pool.history(family)->next_end();
    cool_downs_end_at_ = std::min(cool_downs_end_at_.value_or(end), end);
  }
}

void PoolTable::CoverWith(Pool& pool) {
  for (net::Family family : kFamilies) {
    for (const net::Range& range : pool.covered(family)) {
      coverage_.emplace(range.first(), Cover{range.last(), &pool});
    }
  }
}

// Which older pool stands where this one wants to be, and on which ranges.
Pool::Conflict PoolTable::ConflictOf(const Pool& pool) const {
  const Pool* other = nullptr;
  std::vector<std::string> overlaps;
  for (net::Family family : kFamilies) {
    for (const net::Range& range : pool.covered(family)) {
      auto it = coverage_.upper_bound(range.first());
      if (it != coverage_.begin() && std::prev(it)->second.last >= range.first()) --it;
      for (; it != coverage_.end() && it->first <= range.last(); ++it) {
        if (other == nullptr) other = it->second.pool;
        if (it->second.pool != other) continue;
        const net::Range theirs = net::Range::Of(it->first, it->second.last).value();
        overlaps.push_back(Intersection(range, theirs).ToString());
      }
    }
  }
  if (other == nullptr) return {};
  const size_t more = overlaps.size() > kNamedOverlaps ? overlaps.size() - kNamedOverlaps : 0;
  overlaps.resize(overlaps.size() - more);
  return {other->name(),
          absl::StrCat("overlaps the older pool \"", other->name(), "\" on ",
                       absl::StrJoin(overlaps, ", "),
                       more == 0 ? "" : absl::StrCat(" and ", more, " more ranges"))};
}

void PoolTable::RebuildOrder() {
  ordered_.clear();
  for (const auto& [name, pool] : pools_) ordered_.push_back(pool.get());
  std::stable_sort(ordered_.begin(), ordered_.end(), [](Pool* a, Pool* b) {
    return a->config().priority < b->config().priority;  // pools_ is sorted by name
  });
  for (size_t i = 0; i < ordered_.size(); ++i) {
    ordered_[i]->rank = static_cast<uint32_t>(i);
    ordered_[i]->changed = true;
  }
}

void PoolTable::RebuildIndex() {
  unindexed_.clear();
  by_label_.clear();
  required_keys_.clear();
  for (Pool* pool : ordered_) {
    std::optional<plugin::LabelRequirement> requirement;
    for (const auto& selector : selectors_) {
      requirement =
          selector->Requires({pool->name(), pool->config().service_selector,
                              pool->config().namespaces, pool->config().namespace_selectors});
      if (requirement.has_value()) break;
    }
    if (!requirement.has_value()) {
      unindexed_.push_back(pool);
      continue;
    }
    required_keys_.insert(requirement->key);
    const std::set<std::string> values(requirement->values.begin(), requirement->values.end());
    for (const std::string& value : values) {
      by_label_[IndexKey(requirement->key, value)].push_back(pool);
    }
  }
}

Pool* PoolTable::Find(const std::string& name) const {
  auto it = pools_.find(name);
  return it == pools_.end() ? nullptr : it->second.get();
}

std::vector<std::string> PoolTable::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, pool] : pools_) names.push_back(name);
  return names;
}

bool PoolTable::AnyHasFamily(net::Family family) const {
  return std::any_of(ordered_.begin(), ordered_.end(),
                     [family](Pool* pool) { return pool->HasFamily(family); });
}

PoolTable::Candidates PoolTable::CandidatesFor(const ServiceRequest& service) const {
  Candidates found(unindexed_.begin(), unindexed_.end());
  const auto add = [&](absl::string_view key, absl::string_view value) {
    if (!required_keys_.contains(key)) return;
    auto pools = by_label_.find(IndexKey(key, value));
    if (pools != by_label_.end()) {
      found.insert(found.end(), pools->second.begin(), pools->second.end());
    }
  };
  const absl::string_view key = service.key;
  const size_t slash = key.find('/');
  add(LabelSelector::kNamespaceKey, key.substr(0, slash));
  add(LabelSelector::kNameKey, slash == absl::string_view::npos ? key : key.substr(slash + 1));
  service.labels.ForEach([&](absl::string_view label, absl::string_view value) {
    const bool forged = label == LabelSelector::kNamespaceKey || label == LabelSelector::kNameKey;
    if (!forged) add(label, value);
  });
  std::sort(found.begin(), found.end(), [](Pool* a, Pool* b) { return a->rank < b->rank; });
  return found;
}

std::optional<plugin::PoolSelector::Refusal> PoolTable::Refuses(
    const Pool& pool, const ServiceRequest& service) const {
  const plugin::PoolFacts pool_facts{pool.name(), pool.config().service_selector,
                                     pool.config().namespaces, pool.config().namespace_selectors};
  const plugin::ServiceFacts service_facts{service.key, service.labels,
                                           namespaces_->LabelsOf(NamespaceOf(service.key))};
  for (const auto& selector : selectors_) {
    auto refusal = selector->Consider(pool_facts, service_facts);
    if (refusal.has_value()) return refusal;
  }
  return std::nullopt;
}

Pool* PoolTable::ActiveFor(const net::IpAddress& address) const {
  auto above = coverage_.upper_bound(address);
  if (above == coverage_.begin()) return nullptr;
  const Cover& cover = std::prev(above)->second;
  return cover.last.family() == address.family() && cover.last >= address ? cover.pool : nullptr;
}

std::vector<Pool*> PoolTable::Covering(const net::IpAddress& address) const {
  std::vector<Pool*> pools;
  if (Pool* active = ActiveFor(address); active != nullptr) pools.push_back(active);
  for (Pool* pool : conflicting_) {
    if (pool->Covers(address)) pools.push_back(pool);
  }
  return pools;
}

void PoolTable::Touch(const std::string& pool) {
  if (Pool* named = Find(pool); named != nullptr) named->changed = true;
}

void PoolTable::Take(const net::IpAddress& address, const std::string& pool) {
  Touch(pool);
  Pool* active = ActiveFor(address);
  if (active == nullptr) return;
  active->changed = true;
  const net::Family family = address.family();
  const bool cooled = active->Cooling(address) != nullptr;
  active->TakeFree(address);
  if (cooled && active->cooling(family) == 0 && active->free(family).empty()) {
    cooling_turned_ = true;
  }
}

Pool* PoolTable::GiveBack(const net::IpAddress& address, const std::string& pool, absl::Time now) {
  Touch(pool);
  Pool* active = ActiveFor(address);
  if (active == nullptr) return nullptr;
  active->changed = true;
  active->GiveFree(address, now);
  if (active->Cooling(address) != nullptr) {
    NoteCoolDowns(*active);
    const net::Family family = address.family();
    if (active->cooling(family) == 1 && active->free(family).empty()) cooling_turned_ = true;
  }
  return active->MayHandOut(address) ? active : nullptr;
}

std::vector<Pool*> PoolTable::EndCoolDowns(absl::Time now) {
  std::vector<Pool*> with_room;
  cool_downs_end_at_.reset();
  for (Pool* pool : ordered_) {
    bool any = false;
    for (net::Family family : kFamilies) {
      const bool was_empty = pool->free(family).empty();
      if (!pool->EndCoolDowns(family, now)) continue;
      any = true;
      if (was_empty && pool->cooling(family) == 0) cooling_turned_ = true;
    }
    NoteCoolDowns(*pool);
    if (!any) continue;
    pool->changed = true;
    with_room.push_back(pool);
  }
  return with_room;
}

void PoolTable::Forget(const net::IpAddress& address) {
  Pool* active = ActiveFor(address);
  if (active == nullptr) return;
  const bool cooled = active->Cooling(address) != nullptr;
  active->ForgetPast(address);
  if (!cooled) return;
  active->changed = true;
  cooling_turned_ = true;  // it is free, and somebody may wait for it
}

}  // namespace portolan::ipam
