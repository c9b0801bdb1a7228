// The entries that belong to somebody (core/owners.h), and which of them differ between two
// configurations.
//
// An entry is the outermost list entry that a node stands in: a pool, a service, a policy, a node.
// In a BGP instance each peer and advertisement is an entry of its own, since one who runs the
// instance and one who adds a peer are often two. What stands in no list belongs to the
// container below the top, such as /portolan-ipam:ipam/settings.
//
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/base/yang/tree.h"
#include "services/config-service/core/owners.h"
#include "services/config-service/shell/configuration.h"

namespace portolan::config {

// The path of the entry that `node` stands in, which is of a configuration.
std::string EntryOf(yang::Node node);

// Those that differ, by path. Linear in what the two do not share. What holds by default counts as
// absent.
std::vector<TouchedEntry> TouchedEntries(const Configuration& from, const Configuration& to);

// `next`, and what it lacks of the entries of `running` that belong to others than `writer`;
// `kept` gets their paths. Nothing: it lacks none. To be validated.
std::optional<Draft> WithEntriesOfOthers(const Configuration& running, const Configuration& next,
                                         const Owners& owners, Writer writer,
                                         std::vector<std::string>* kept);

}  // namespace portolan::config
