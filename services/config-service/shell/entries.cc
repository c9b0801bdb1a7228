#include "services/config-service/shell/entries.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/yang/compare.h"
#include "services/config-service/core/data_path.h"

namespace portolan::config {
namespace {

using Kind = yang::Difference::Kind;

// Lists below an entry whose entries have owners of their own.
constexpr absl::string_view kInner[] = {"peer", "advertisement"};
constexpr absl::string_view kInnerModule = "portolan-bgp";

bool IsListEntry(yang::Node node) {
  const yang::Node child = node.first_child();
  return child && child.is_key();
}

bool IsInner(yang::Node node) {
  if (node.module() != kInnerModule) return false;
  for (const absl::string_view name : kInner) {
    if (node.name() == name) return true;
  }
  return false;
}

yang::Node EntryNodeOf(yang::Node node) {
  yang::Node outermost;
  yang::Node below_top = node;
  for (yang::Node at = node; at; at = at.parent()) {
    if (IsListEntry(at)) {
      if (IsInner(at)) return at;
      outermost = at;
    }
    if (at.parent()) below_top = at;
  }
  return outermost ? outermost : below_top;
}

// Something was given there.
bool IsGiven(yang::Node node) {
  if (!node.first_child()) return !node.is_default();
  if (IsListEntry(node)) return true;
  for (yang::Node child = node.first_child(); child; child = child.next_sibling()) {
    if (IsGiven(child)) return true;
  }
  return false;
}

bool HasGiven(const yang::Tree& tree, const std::string& path) {
  const absl::StatusOr<std::vector<yang::Node>> found = tree.Find(path);
  return found.ok() && !found->empty() && IsGiven(found->front());
}

std::string ServicePath(const std::string& key) {
  const size_t slash = key.find('/');
  const absl::string_view text = key;
  return absl::StrCat("/portolan-service:services/service[namespace=", Quote(text.substr(0, slash)),
                      "][name=", Quote(text.substr(slash + 1)), "]");
}

}  // namespace

std::string EntryOf(yang::Node node) { return EntryNodeOf(node).path(); }

std::vector<TouchedEntry> TouchedEntries(const Configuration& from, const Configuration& to) {
  std::map<std::string, bool> found;  // exists afterwards
  if (&from.rest() != &to.rest()) {
    yang::VisitDifferences(from.rest(), to.rest(), [&](const yang::NodeDifference& difference) {
      const bool added = static_cast<bool>(difference.after);
      bool& exists = found[EntryOf(added ? difference.after : difference.before)];
      exists = exists || added;
      return true;
    });
    for (auto& [path, exists] : found) exists = exists || HasGiven(to.rest(), path);
  }
  for (const auto& [key, exists] : to.ServicesOtherThan(from)) found[ServicePath(key)] = exists;
  std::vector<TouchedEntry> touched;
  touched.reserve(found.size());
  for (const auto& [path, exists] : found) touched.push_back({path, exists});
  return touched;
}

std::optional<Draft> WithEntriesOfOthers(const Configuration& running, const Configuration& next,
                                         const Owners& owners, Writer writer,
                                         std::vector<std::string>* kept) {
  std::map<std::string, std::string> services;  // key by path
  for (const auto& [key, exists] : next.ServicesOtherThan(running)) {
    if (!exists) services[ServicePath(key)] = key;
  }
  Draft draft{next};
  std::optional<yang::Tree> rest;
  for (const auto& [path, owner] : *owners) {
    if (owner == writer) continue;
    if (const auto service = services.find(path); service != services.end()) {
      draft.services[service->second] =
          std::make_shared<yang::Tree>(running.service(service->second)->Duplicate());
      kept->push_back(path);
      continue;
    }
    if (absl::StartsWith(path, "/portolan-service:services/service[")) continue;
    if (HasGiven(next.rest(), path)) continue;
    const absl::StatusOr<yang::Tree> entry = running.rest().Select(path);
    if (!entry.ok() || !entry->first()) continue;
    if (!rest.has_value()) rest = next.rest().Duplicate();
    if (rest->Merge(*entry).ok()) kept->push_back(path);
  }
  if (kept->empty()) return std::nullopt;
  if (rest.has_value()) draft.rest = std::make_shared<yang::Tree>(*std::move(rest));
  return draft;
}

}  // namespace portolan::config
