// The quotas, and which of them hold for a namespace. Single-threaded; pointers live until the next
// change of quotas or namespaces.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "services/ipam-service/core/namespace_table.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

class QuotaTable {
 public:
  // `namespaces` outlives this; Forget() when it changed.
  explicit QuotaTable(const NamespaceTable* namespaces) : namespaces_(namespaces) {}

  // The same quotas, for the same namespaces in another table.
  QuotaTable(const QuotaTable& other, const NamespaceTable* namespaces)
      : namespaces_(namespaces), quotas_(other.quotas_) {}

  void Upsert(QuotaConfig quota);
  void Remove(const std::string& name);
  void Forget() { by_namespace_.clear(); }

  bool empty() const { return quotas_.empty(); }
  bool selects_by_label() const;
  const QuotaConfig* Find(const std::string& name) const;
  std::vector<std::string> Names() const;
  // By name.
  const std::vector<const QuotaConfig*>& For(absl::string_view name) const;

 private:
  bool IsFor(const QuotaConfig& quota, absl::string_view name) const;

  const NamespaceTable* const namespaces_;
  std::map<std::string, QuotaConfig> quotas_;
  // Remembered answers.
  mutable absl::flat_hash_map<std::string, std::vector<const QuotaConfig*>> by_namespace_;
};

}  // namespace portolan::ipam
