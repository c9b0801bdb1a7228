// The entries of a long list of a top container as trees of their own, so that an edit of one of
// ten thousand costs as much as the one.
//
// Pure functions of trees, which belong to the caller. The entry of a tree of its own stands below
// its container, so its paths are what they are in the whole tree. Keys of the list are leaves; a
// list that a user orders loses its order.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "services/base/yang/tree.h"

namespace portolan::yang {

// "/portolan-service:services/service" is {"portolan-service", "services", "service", {"namespace",
// "name"}}.
struct ListPath {
  std::string module;
  std::string container;
  std::string list;
  std::vector<std::string> keys;  // in their order, strings all of them
};

// The values of the keys with "/" between: "default/web". Empty: `entry` is no such tree, or a key
// of it is missing.
std::string KeyOf(const Tree& entry, const ListPath& path);

// Takes them out of `tree`; each with its container.
std::vector<Tree> TakeEntries(const ListPath& path, Tree* tree);

// Puts copies of `entries` into `tree`, which has none of these keys.
void AddEntries(const std::vector<const Tree*>& entries, const ListPath& path, Tree* tree);

// What an edit is about.
struct Touched {
  bool everything = false;     // it cannot be told by entry
  bool rest = false;           // something beside the entries
  std::set<std::string> keys;  // of entries, as KeyOf()
};

// Of an edit, with or without operations (edit_config.h) on its nodes.
Touched TouchedBy(const Tree& edit, const ListPath& path);

// One text for each leafref that is given below `entry`: where it stands in the schema, and its
// value. Two entries with the same text refer to the same.
std::vector<std::string> References(const Tree& entry);

// The entry as an object of JSON, without line breaks and what holds by default.
std::string EntryToJson(const Tree& entry, const ListPath& path);

// The text around the entries of the list, in the same form: BEFORE + "{...},{...}" + AFTER is the
// whole, and `without` is it when there is no entry.
struct JsonAround {
  std::string before;
  std::string after;
  std::string without;
};

// Of a tree that has no entries. It is changed and put back.
JsonAround PrintAround(const ListPath& path, Tree* tree);

}  // namespace portolan::yang
