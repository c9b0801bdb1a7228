// Configuration data under a Context: parse, validate, edit, print, walk.
//
// A Tree owns its nodes; a Node is a view that is good until its tree changes or goes. One thread
// at a time. The only room that sees libyang; others see these types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/base/yang/context.h"
#include "services/base/yang/deny.h"
#include "services/base/yang/finding.h"

struct lyd_node;

namespace portolan::yang {

class Tree;
struct NodeDifference;
enum class Operation : uint8_t;

enum class Format : uint8_t {
  kGuess,  // '<' begins XML, everything else is JSON
  kJson,   // RFC 7951
  kXml,    // RFC 7950; several roots may stand side by side
};

enum class Defaults : uint8_t {
  kExplicit,  // what was given, RFC 6243 section 3.3
  kAll,       // and what holds by default, section 3.1
  kTrim,      // without what is as by default, section 3.2
  kTagged,    // as kAll, what is as by default with an attribute, section 3.4; XML only
};

// A data node, or none. Copies are cheap.
class Node {
 public:
  Node() = default;
  // For base rooms over libraries that speak libyang themselves.
  static Node Of(const lyd_node* node) { return Node(node); }
  const lyd_node* handle() const { return node_; }
  explicit operator bool() const { return node_ != nullptr; }

  absl::string_view name() const;
  absl::string_view module() const;
  // Canonical text of a leaf; an identity is "module:name". Empty for inner nodes.
  std::string value() const;
  // It holds by default and was not given.
  bool is_default() const;
  // With key predicates.
  std::string path() const;
  // An object of RFC 7951 with this node alone, what holds by default in it: {"module:name": ...};
  // an entry of a list or leaf-list is an array of one.
  std::string ToJson() const;
  // Of a list entry.
  bool is_key() const;
  Deny deny() const;
  // A leaf that is default-deny-all by itself, not for where it stands: a password.
  bool is_secret() const;

  Node parent() const;
  Node first_child() const;
  Node next_sibling() const;
  // The first child of that name, or none.
  Node Child(absl::string_view name) const;
  // All children of that name: the entries of a list or leaf-list, in order.
  std::vector<Node> Children(absl::string_view name) const;

 private:
  friend class Tree;
  friend void VisitDifferences(const Tree& from, const Tree& to,
                               const std::function<bool(const NodeDifference&)>& visit);
  explicit Node(const lyd_node* node) : node_(node) {}
  const lyd_node* node_ = nullptr;
};

class Tree {
 public:
  // Nothing configured.
  explicit Tree(std::shared_ptr<const Context> context);
  ~Tree();
  Tree(Tree&& other) noexcept;
  Tree& operator=(Tree&& other) noexcept;

  // For rooms that speak libyang themselves: takes over `root`, the first of its siblings.
  static Tree Adopt(std::shared_ptr<const Context> context, lyd_node* root);
  const lyd_node* handle() const { return root_; }

  // Syntax, names and types. Strict: what the modules do not know is refused, and so are members
  // or containers that are there twice, attributes, bytes after the end, and an empty text. Does
  // not validate.
  // Nothing: `findings` has at least one entry (libyang stops at the first).
  static std::optional<Tree> Parse(std::shared_ptr<const Context> context, const std::string& text,
                                   Format format, std::vector<Finding>* findings);

  // Mandatory nodes, leafrefs, must, unique. Fills defaults in. Empty: the tree is valid. After
  // findings the tree is good for printing only.
  std::vector<Finding> Validate();

  // Takes `other` over this tree: its leaves win, its list entries are added or merged. Same
  // context. To be validated afterwards.
  absl::Status Merge(const Tree& other);

  // Removes the nodes that `xpath` selects. Findings: bad expression (xpath), nothing given there
  // (data-missing), a list key (xpath); then nothing is removed. To be validated afterwards.
  std::vector<Finding> Delete(const std::string& xpath);

  const std::shared_ptr<const Context>& context() const { return context_; }

  // Removes them with all that is below. They are of this tree, none of them below another.
  void Remove(const std::vector<Node>& nodes);

  // Removes every secret (Node::is_secret).
  void RemoveSecrets();

  Tree Duplicate() const;

  // Makes now the canonical texts that libyang makes when a value is first read: from then on, and
  // until it changes, any number of threads may read the tree at once.
  void Freeze();

  // The selected subtrees with their ancestors and keys. INVALID_ARGUMENT: bad expression.
  absl::StatusOr<Tree> Select(const std::string& xpath) const;

  // With indentation and a final line break; of nothing: "{}\n" or "".
  std::string Print(Format format, Defaults defaults) const;

  // What `xpath` selects, in the order of the tree. INVALID_ARGUMENT: bad expression.
  absl::StatusOr<std::vector<Node>> Find(const std::string& xpath) const;
  // The first of the top nodes, or none.
  Node first() const { return Node(root_); }
  // The top node of that name, or none.
  Node Top(absl::string_view module, absl::string_view name) const;

 private:
  friend class LibyangAccess;
  friend void VisitDifferences(const Tree& from, const Tree& to,
                               const std::function<bool(const NodeDifference&)>& visit);
  friend std::optional<Tree> ParseEdit(std::shared_ptr<const Context> context,
                                       const std::string& text, Format format,
                                       std::vector<Finding>* findings);
  friend std::optional<Finding> ApplyEdit(const Tree& edit, Operation default_operation,
                                          Tree* tree);
  static std::optional<Tree> ParseText(std::shared_ptr<const Context> context,
                                       const std::string& text, Format format, bool with_operations,
                                       std::vector<Finding>* findings);
  std::vector<Finding> Errors() const;

  std::shared_ptr<const Context> context_;
  lyd_node* root_ = nullptr;  // first of the siblings
};

}  // namespace portolan::yang
