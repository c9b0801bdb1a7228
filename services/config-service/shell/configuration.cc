#include "services/config-service/shell/configuration.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "services/config-service/core/nacm_path.h"
#include "services/config-service/shell/from_yang.h"

namespace portolan::config {
namespace {

// No function, axis, union or "*" of XPath.
bool HasPlainName(const PathStep& step) {
  return !step.name.empty() && step.name.front() != '.' &&
         std::all_of(step.name.begin(), step.name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
                  c == '.';
         });
}

}  // namespace

const yang::ListPath& ServiceList() {
  static const auto* const path =
      new yang::ListPath{"portolan-service", "services", "service", {"namespace", "name"}};
  return *path;
}

yang::Touched ScopeOf(const std::string& xpath) {
  const absl::StatusOr<std::vector<PathStep>> steps = ParseNacmPath(xpath);
  if (!steps.ok() || steps->empty() || !std::all_of(steps->begin(), steps->end(), HasPlainName)) {
    return {.everything = true};
  }
  if (steps->front().name != ServiceList().container) return {.rest = true};
  if (steps->front().module != ServiceList().module || steps->size() < 2) {
    return {.everything = true};
  }
  const PathStep& entry = (*steps)[1];
  if (entry.name != ServiceList().list) return {.rest = true};
  std::map<std::string, std::string> keys;
  for (const KeyPredicate& predicate : entry.predicates) keys[predicate.key] = predicate.value;
  std::vector<std::string> values;
  for (const std::string& key : ServiceList().keys) {
    if (keys.count(key) == 0) return {.everything = true};
    values.push_back(keys[key]);
  }
  if (keys.size() != values.size()) return {.everything = true};
  return {.keys = {absl::StrJoin(values, "/")}};
}

// ---- Configuration ----

std::shared_ptr<const Configuration::Rest> Configuration::MakeRest(yang::Tree tree) {
  auto rest = std::make_shared<Rest>(Rest{std::move(tree), {}});
  rest->json = yang::PrintAround(ServiceList(), &rest->tree);
  rest->tree.Freeze();
  return rest;
}

void Configuration::Put(yang::Tree tree, Entries* entries, Snapshot* snapshot) {
  const std::string key = yang::KeyOf(tree, ServiceList());
  std::vector<std::string> references = yang::References(tree);
  std::string json = yang::EntryToJson(tree, ServiceList());
  tree.Freeze();
  snapshot->services[key] = ServiceFromYang(tree);
  (*entries)[key] =
      std::make_shared<Entry>(Entry{std::move(tree), std::move(references), std::move(json)});
}

Configuration Configuration::Of(yang::Tree tree) {
  Configuration none;
  none.services_ = std::make_shared<Entries>();
  none.snapshot_ = std::make_shared<Snapshot>();
  std::vector<yang::Tree> services = yang::TakeEntries(ServiceList(), &tree);
  return none.With(std::move(services), {}, std::move(tree));
}

Configuration Configuration::With(std::vector<yang::Tree> services,
                                  const std::vector<std::string>& removed,
                                  std::optional<yang::Tree> rest) const {
  Configuration next;
  auto entries = std::make_shared<Entries>(*services_);
  auto snapshot = std::make_shared<Snapshot>();
  if (rest.has_value()) {
    *snapshot = RestFromYang(*rest);
    snapshot->services = snapshot_->services;
    next.rest_ = MakeRest(*std::move(rest));
  } else {
    *snapshot = *snapshot_;
    next.rest_ = rest_;
  }
  for (const std::string& key : removed) {
    entries->erase(key);
    snapshot->services.erase(key);
  }
  for (yang::Tree& service : services) Put(std::move(service), entries.get(), snapshot.get());
  next.services_ = std::move(entries);
  next.snapshot_ = std::move(snapshot);
  return next;
}

const yang::Tree* Configuration::service(const std::string& key) const {
  const auto it = services_->find(key);
  return it == services_->end() ? nullptr : &it->second->tree;
}

std::vector<std::string> Configuration::ServiceKeys() const {
  std::vector<std::string> keys;
  keys.reserve(services_->size());
  for (const auto& [key, entry] : *services_) keys.push_back(key);
  return keys;
}

std::map<std::string, bool> Configuration::ServicesOtherThan(const Configuration& before) const {
  std::map<std::string, bool> others;
  if (services_ == before.services_) return others;
  auto old_entry = before.services_->begin();
  for (const auto& [key, entry] : *services_) {
    for (; old_entry != before.services_->end() && old_entry->first < key; ++old_entry) {
      others[old_entry->first] = false;
    }
    if (old_entry == before.services_->end() || old_entry->first != key) {
      others[key] = true;
      continue;
    }
    if (old_entry->second != entry && old_entry->second->json != entry->json) others[key] = true;
    ++old_entry;
  }
  for (; old_entry != before.services_->end(); ++old_entry) others[old_entry->first] = false;
  return others;
}

yang::Tree Configuration::ToTree() const {
  yang::Tree tree = rest_->tree.Duplicate();
  std::vector<const yang::Tree*> entries;
  entries.reserve(services_->size());
  for (const auto& [key, entry] : *services_) entries.push_back(&entry->tree);
  yang::AddEntries(entries, ServiceList(), &tree);
  return tree;
}

absl::StatusOr<yang::Tree> Configuration::Select(const std::string& xpath) const {
  return Draft{*this}.Select(xpath);
}

std::string Configuration::ToJson() const {
  if (services_->empty()) return rest_->json.without;
  std::string text = rest_->json.before;
  size_t size = text.size();
  for (const auto& [key, entry] : *services_) size += entry->json.size() + 1;
  text.reserve(size + rest_->json.after.size());
  for (const auto& [key, entry] : *services_) {
    text += entry->json;
    text += ',';
  }
  text.pop_back();
  text += rest_->json.after;
  return text;
}

yang::Comparison Compare(const Configuration& from, const Configuration& to, size_t limit) {
  yang::Comparison all;
  const auto add = [&](const yang::Tree& before, const yang::Tree& after) {
    yang::Comparison part = yang::Compare(before, after, limit - all.differences.size());
    std::move(part.differences.begin(), part.differences.end(),
              std::back_inserter(all.differences));
    all.more += part.more;
  };
  if (from.rest_ != to.rest_) add(from.rest(), to.rest());
  const yang::Tree nothing(to.rest().context());
  auto old_entry = from.services_->begin();
  auto new_entry = to.services_->begin();
  while (old_entry != from.services_->end() || new_entry != to.services_->end()) {
    const bool only_new = old_entry == from.services_->end() ||
                          (new_entry != to.services_->end() && new_entry->first < old_entry->first);
    const bool only_old =
        !only_new && (new_entry == to.services_->end() || old_entry->first < new_entry->first);
    if (only_new) {
      add(nothing, (new_entry++)->second->tree);
    } else if (only_old) {
      add((old_entry++)->second->tree, nothing);
    } else {
      if (old_entry->second != new_entry->second) {
        add(old_entry->second->tree, new_entry->second->tree);
      }
      ++old_entry;
      ++new_entry;
    }
  }
  return all;
}

// ---- Draft ----

yang::Tree Draft::ToTree() const { return Part({.everything = true}); }

absl::StatusOr<yang::Tree> Draft::Select(const std::string& xpath) const {
  return Part(ScopeOf(xpath)).Select(xpath);
}

const yang::Tree* Draft::Service(const std::string& key) const {
  const auto changed = services.find(key);
  return changed == services.end() ? base.service(key) : changed->second.get();
}

yang::Touched Draft::ChangedFrom(const Draft& before) const {
  yang::Touched touched{.rest = &Rest() != &before.Rest()};
  for (const Draft* draft : {&before, this}) {
    for (const std::string& key : draft->base.ServiceKeys()) {
      if (Service(key) != before.Service(key)) touched.keys.insert(key);
    }
    for (const auto& [key, tree] : draft->services) {
      if (Service(key) != before.Service(key)) touched.keys.insert(key);
    }
  }
  return touched;
}

yang::Tree Draft::Part(const yang::Touched& touched) const {
  yang::Tree part =
      touched.everything || touched.rest ? Rest().Duplicate() : yang::Tree(Rest().context());
  std::vector<const yang::Tree*> entries;
  const auto add = [&](const std::string& key) {
    const yang::Tree* tree = Service(key);
    if (tree != nullptr) entries.push_back(tree);
  };
  if (touched.everything) {
    for (const std::string& key : base.ServiceKeys()) add(key);
    for (const auto& [key, tree] : services) {
      if (base.service(key) == nullptr) add(key);
    }
  } else {
    for (const std::string& key : touched.keys) add(key);
  }
  yang::AddEntries(entries, ServiceList(), &part);
  return part;
}

Draft Draft::With(const yang::Touched& touched, yang::Tree part) const {
  Draft next = *this;
  // What was touched is gone unless the part still has it.
  const auto forget = [&](const std::string& key) {
    if (base.service(key) != nullptr) {
      next.services[key] = nullptr;
    } else {
      next.services.erase(key);
    }
  };
  if (touched.everything) {
    next.services.clear();
    for (const std::string& key : base.ServiceKeys()) forget(key);
  } else {
    for (const std::string& key : touched.keys) forget(key);
  }
  for (yang::Tree& service : yang::TakeEntries(ServiceList(), &part)) {
    const std::string key = yang::KeyOf(service, ServiceList());
    next.services[key] = std::make_shared<yang::Tree>(std::move(service));
  }
  if (touched.everything || touched.rest) next.rest = std::make_shared<yang::Tree>(std::move(part));
  return next;
}

}  // namespace portolan::config
