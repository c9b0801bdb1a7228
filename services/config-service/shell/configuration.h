// A configuration that passed YANG: immutable, cheap to copy, and what an edit makes of one.
//
// Each service is a tree of its own, which copies share, so an edit of one service costs as much as
// the one and not as ten thousand. Everything else is one tree, the rest. Copies may be on
// different threads.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/base/yang/compare.h"
#include "services/base/yang/list_entries.h"
#include "services/base/yang/tree.h"
#include "services/config-service/core/snapshot.h"

namespace portolan::config {

// What is kept entry by entry.
const yang::ListPath& ServiceList();

// What a path can select: nothing else needs to be looked at.
yang::Touched ScopeOf(const std::string& xpath);

class Configuration {
 public:
  // Of a valid tree: everything.
  static Configuration Of(yang::Tree tree);
  // This one, where `services` (each with its container) and, if it is there, `rest` stand for what
  // was; `removed` are keys. All is valid together.
  Configuration With(std::vector<yang::Tree> services, const std::vector<std::string>& removed,
                     std::optional<yang::Tree> rest) const;

  const Snapshot& snapshot() const { return *snapshot_; }
  const yang::Tree& rest() const { return rest_->tree; }
  // Of one service, by "NAMESPACE/NAME"; null: there is none.
  const yang::Tree* service(const std::string& key) const;
  std::vector<std::string> ServiceKeys() const;
  // Keys of the services that differ from those of `before`, or are not in both: is it in this one?
  std::map<std::string, bool> ServicesOtherThan(const Configuration& before) const;
  // Of each reference from a service outside `except` to anything, one that has it.
  template <typename Map>
  std::vector<const yang::Tree*> Referrers(const Map& except) const;

  // All of it, linear in its size.
  yang::Tree ToTree() const;
  // As Tree::Select().
  absl::StatusOr<yang::Tree> Select(const std::string& xpath) const;
  // RFC 7951 on one line, without what holds by default.
  std::string ToJson() const;

  // As yang::Compare(); linear in what the two do not share.
  friend yang::Comparison Compare(const Configuration& from, const Configuration& to, size_t limit);

 private:
  struct Rest {
    yang::Tree tree;
    yang::JsonAround json;
  };
  struct Entry {
    yang::Tree tree;
    std::vector<std::string> references;
    std::string json;
  };
  using Entries = std::map<std::string, std::shared_ptr<const Entry>>;

  Configuration() = default;
  static std::shared_ptr<const Rest> MakeRest(yang::Tree tree);
  static void Put(yang::Tree tree, Entries* entries, Snapshot* snapshot);

  std::shared_ptr<const Rest> rest_;
  std::shared_ptr<const Entries> services_;
  std::shared_ptr<const Snapshot> snapshot_;
};

template <typename Map>
std::vector<const yang::Tree*> Configuration::Referrers(const Map& except) const {
  std::vector<const yang::Tree*> referrers;
  std::set<absl::string_view> seen;
  for (const auto& [key, entry] : *services_) {
    if (except.count(key) > 0) continue;
    bool fresh = false;
    for (const std::string& reference : entry->references) {
      fresh = seen.insert(reference).second || fresh;
    }
    if (fresh) referrers.push_back(&entry->tree);
  }
  return referrers;
}

// A configuration in the making: not validated. Cheap to copy; one thread at a time.
struct Draft {
  Configuration base;
  std::shared_ptr<const yang::Tree> rest;  // null: that of `base`
  // By key, what is not as in `base`; null: there is none.
  std::map<std::string, std::shared_ptr<const yang::Tree>> services;

  const yang::Tree& Rest() const { return rest == nullptr ? base.rest() : *rest; }
  // By key; null: there is none.
  const yang::Tree* Service(const std::string& key) const;
  // Where it can differ from `before`: what the two do not share.
  yang::Touched ChangedFrom(const Draft& before) const;

  // All of it, linear in its size.
  yang::Tree ToTree() const;
  // As Tree::Select().
  absl::StatusOr<yang::Tree> Select(const std::string& xpath) const;
  // The part of it that holds whatever `touched` names, as a tree to change.
  yang::Tree Part(const yang::Touched& touched) const;
  // The draft with a part that was changed in the place of what it was.
  Draft With(const yang::Touched& touched, yang::Tree part) const;
};

}  // namespace portolan::config
