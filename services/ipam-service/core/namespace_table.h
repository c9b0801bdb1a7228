// The labels of namespaces, as somebody published them. Owned by the engine; single-threaded.
// Pools and quotas may select by them.
#pragma once

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "services/base/selector/label_set.h"

namespace portolan::ipam {

class NamespaceTable {
 public:
  void Set(const std::string& name, LabelSet labels) { labels_[name] = std::move(labels); }
  void Remove(const std::string& name) { labels_.erase(name); }
  // Of a namespace that nobody published: none.
  const LabelSet& LabelsOf(absl::string_view name) const {
    auto it = labels_.find(name);
    return it == labels_.end() ? none_ : it->second;
  }

 private:
  absl::flat_hash_map<std::string, LabelSet> labels_;
  const LabelSet none_;
};

}  // namespace portolan::ipam
