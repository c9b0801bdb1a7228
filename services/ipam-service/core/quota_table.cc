#include "services/ipam-service/core/quota_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::ipam {

void QuotaTable::Upsert(QuotaConfig quota) {
  by_namespace_.clear();
  quotas_[quota.name] = std::move(quota);
}

void QuotaTable::Remove(const std::string& name) {
  by_namespace_.clear();
  quotas_.erase(name);
}

bool QuotaTable::selects_by_label() const {
  return std::any_of(quotas_.begin(), quotas_.end(),
                     [](const auto& entry) { return !entry.second.namespace_selectors.empty(); });
}

const QuotaConfig* QuotaTable::Find(const std::string& name) const {
  auto it = quotas_.find(name);
  return it == quotas_.end() ? nullptr : &it->second;
}

std::vector<std::string> QuotaTable::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, quota] : quotas_) names.push_back(name);
  return names;
}

bool QuotaTable::IsFor(const QuotaConfig& quota, absl::string_view name) const {
  const std::string key = absl::StrCat(name, "/");  // as if it were a Service there
  if (quota.namespaces.empty() && quota.namespace_selectors.empty()) return true;
  if (std::any_of(quota.namespaces.begin(), quota.namespaces.end(),
                  [&](const std::string& listed) { return listed == name; })) {
    return true;
  }
  return std::any_of(quota.namespace_selectors.begin(), quota.namespace_selectors.end(),
                     [&](const LabelSelector& selector) {
                       return selector.FirstMismatch(key, namespaces_->LabelsOf(name)).empty();
                     });
}

const std::vector<const QuotaConfig*>& QuotaTable::For(absl::string_view name) const {
  auto known = by_namespace_.find(name);
  if (known != by_namespace_.end()) return known->second;
  std::vector<const QuotaConfig*> found;
  for (const auto& [quota_name, quota] : quotas_) {
    if (IsFor(quota, name)) found.push_back(&quota);
  }
  return by_namespace_.emplace(std::string(name), std::move(found)).first->second;
}

}  // namespace portolan::ipam
