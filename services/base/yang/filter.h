// Parts of a tree as NETCONF asks for them: subtree filters (RFC 6241, section 6), a depth and
// configuration or state alone (RFC 8526, section 3.1.1).
//
// Pure; the trees belong to the caller. The filter is what stands in an anyxml node of a request.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/base/yang/list_entries.h"
#include "services/base/yang/tree.h"

namespace portolan::yang {

// What stands in an anydata or anyxml node: XML without the node itself, or its text.
std::string AnyContent(Node any);

// Of an element of a request; empty: it has none. `name` with its module: "ietf-netconf:select".
std::string Attribute(Node node, const std::string& name);

// A tree that holds `node` alone, without its parents.
Tree CopyOf(std::shared_ptr<const Context> context, Node node);

// `filter` is the anyxml node. An empty filter selects nothing. A node of the filter that has an
// attribute selects nothing, because data have none. Keys of selected list entries come along.
Tree SubtreeFilter(const Tree& data, Node filter);

// What the filter can select, by the entries of one list.
Touched TouchedByFilter(Node filter, const ListPath& path);

enum class Kind : uint8_t { kConfiguration, kState };

// Nodes of that kind with their ancestors and keys.
Tree OfKind(const Tree& data, Kind kind);

// Can `xpath` select nodes of that kind, or nodes above such? "/" can select everything; a bad
// expression nothing.
bool CanSelect(const Context& context, const std::string& xpath, Kind kind);

// No deeper than `depth` levels from the top, from 1; keys count as the level below their entry and
// are kept.
Tree ToDepth(const Tree& data, uint32_t depth);

// As Tree::Parse(), of state as well as of configuration, from an XML text of ours.
// INVALID_ARGUMENT: it does not fit the modules.
absl::StatusOr<Tree> ParseState(std::shared_ptr<const Context> context, const std::string& text,
                                Format format);

// The same of a notification's own element.
absl::StatusOr<Tree> ParseNotification(std::shared_ptr<const Context> context,
                                       const std::string& xml);

// Changes whenever the modules do: what RFC 8525 calls content-id.
std::string ContentId(const Context& context);

// Of ietf-yang-library (RFC 8525): what `context` holds.
Tree YangLibrary(std::shared_ptr<const Context> context);

}  // namespace portolan::yang
