#include "services/base/yang/tree.h"

#include <libyang/libyang.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "services/base/yang/json_text.h"
#include "services/base/yang/libyang_errors.h"
#include "services/base/yang/opaque_node.h"

namespace portolan::yang {
namespace {

struct SetDeleter {
  void operator()(ly_set* set) const { ly_set_free(set, nullptr); }
};
using NodeSet = std::unique_ptr<ly_set, SetDeleter>;

// Containers that are there twice: libyang would keep the last one and drop the others silently.
void FindTwins(const lyd_node* siblings, std::vector<Finding>* findings) {
  std::set<const lysc_node*> seen;
  for (const lyd_node* node = siblings; node != nullptr; node = node->next) {
    if (node->schema == nullptr || (node->schema->nodetype & LYD_NODE_TERM) != 0) continue;
    if (node->schema->nodetype == LYS_CONTAINER && !seen.insert(node->schema).second) {
      findings->push_back(
          {.path = PathOf(node),
           .rule = "duplicate",
           .message = absl::StrCat("\"", node->schema->name, "\" stands twice in the same place")});
    }
    FindTwins(lyd_child(node), findings);
  }
}

// The values of what goes are all that did not parse.
bool IsOpaqueOnlyWhereDeleted(const lyd_node* siblings) {
  for (const lyd_node* node = siblings; node != nullptr; node = node->next) {
    if (node->schema != nullptr) {
      if ((node->schema->nodetype & LYD_NODE_TERM) == 0 &&
          !IsOpaqueOnlyWhereDeleted(lyd_child(node))) {
        return false;
      }
    } else if (!OpaqueNode(node).IsDeletedLeaf()) {
      return false;
    }
  }
  return true;
}

// An attribute that libyang knows, NETCONF's operation above all, and nobody would heed.
void FindAttributes(const lyd_node* siblings, std::vector<Finding>* findings) {
  for (const lyd_node* node = siblings; node != nullptr; node = node->next) {
    if (node->meta != nullptr) {
      findings->push_back(
          {.path = PathOf(node),
           .rule = "attribute",
           .message = absl::StrCat("the attribute \"", node->meta->name, "\" means nothing here")});
    }
    if (node->schema != nullptr && (node->schema->nodetype & LYD_NODE_TERM) == 0) {
      FindAttributes(lyd_child(node), findings);
    }
  }
}

// In the order of Defaults.
constexpr uint32_t kPrintOptions[] = {LYD_PRINT_WD_EXPLICIT, LYD_PRINT_WD_ALL, LYD_PRINT_WD_TRIM,
                                      LYD_PRINT_WD_ALL_TAG};

// Mostly the first character tells that it is another one.
bool IsNamed(const lyd_node* node, absl::string_view name) {
  const char* own = node->schema->name;
  return own[0] == name[0] && name == own;
}

void FindSecrets(Node node, std::vector<Node>* secrets) {
  for (; node; node = node.next_sibling()) {
    if (node.is_secret()) {
      secrets->push_back(node);
    } else {
      FindSecrets(node.first_child(), secrets);
    }
  }
}

// Also from a null tree: then nothing is found.
LY_ERR FindNodes(const lyd_node* root, const std::string& xpath, NodeSet* found) {
  ly_set* set = nullptr;
  LY_ERR error = LY_SUCCESS;
  if (root == nullptr) {
    error = ly_set_new(&set);
  } else {
    error = lyd_find_xpath3(nullptr, root, xpath.c_str(), nullptr, &set);
  }
  found->reset(set);
  return error;
}

}  // namespace

absl::string_view Node::name() const { return node_->schema->name; }
absl::string_view Node::module() const { return node_->schema->module->name; }

std::string Node::value() const {
  const char* value = lyd_get_value(node_);
  return value == nullptr ? "" : value;
}

bool Node::is_default() const { return (node_->flags & LYD_DEFAULT) != 0; }
std::string Node::path() const { return PathOf(node_); }

std::string Node::ToJson() const {
  char* text = nullptr;
  lyd_print_mem(&text, node_, LYD_JSON, LYD_PRINT_WD_ALL | LYD_PRINT_SHRINK);
  const std::string json = text == nullptr ? "{}" : text;
  std::free(text);
  return json;
}

bool Node::is_key() const { return lysc_is_key(node_->schema); }
Deny Node::deny() const { return DenyOf(node_->schema); }

bool Node::is_secret() const {
  if ((node_->schema->nodetype & LYD_NODE_TERM) == 0 || deny() != Deny::kAll) return false;
  const lyd_node* parent = lyd_parent(node_);
  return parent == nullptr || DenyOf(parent->schema) != Deny::kAll;
}

Node Node::parent() const { return Node(lyd_parent(node_)); }
Node Node::first_child() const { return Node(lyd_child(node_)); }
Node Node::next_sibling() const { return Node(node_->next); }

Node Node::Child(absl::string_view name) const {
  const lyd_node* child = lyd_child(node_);
  while (child != nullptr && !IsNamed(child, name)) child = child->next;
  return Node(child);
}

std::vector<Node> Node::Children(absl::string_view name) const {
  std::vector<Node> children;
  for (const lyd_node* child = lyd_child(node_); child != nullptr; child = child->next) {
    if (!IsNamed(child, name)) continue;
    if (children.empty()) children.reserve(8);
    children.push_back(Node(child));
  }
  return children;
}

Tree::Tree(std::shared_ptr<const Context> context) : context_(std::move(context)) {}
Tree::~Tree() { lyd_free_all(root_); }

Tree Tree::Adopt(std::shared_ptr<const Context> context, lyd_node* root) {
  Tree tree(std::move(context));
  tree.root_ = root;
  return tree;
}

Tree::Tree(Tree&& other) noexcept
    : context_(other.context_), root_(std::exchange(other.root_, nullptr)) {}

Tree& Tree::operator=(Tree&& other) noexcept {
  std::swap(context_, other.context_);
  std::swap(root_, other.root_);
  return *this;
}

std::vector<Finding> Tree::Errors() const {
  std::vector<Finding> findings = TakeErrors(context_->ctx_, root_);
  if (findings.empty()) {
    findings.push_back({.rule = "internal", .message = "libyang failed and said no reason"});
  }
  return findings;
}

std::optional<Tree> Tree::Parse(std::shared_ptr<const Context> context, const std::string& text,
                                Format format, std::vector<Finding>* findings) {
  return ParseText(std::move(context), text, format, /*with_operations=*/false, findings);
}

std::optional<Tree> Tree::ParseText(std::shared_ptr<const Context> context, const std::string& text,
                                    Format format, bool with_operations,
                                    std::vector<Finding>* findings) {
  const std::string::size_type begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) {
    findings->push_back({.rule = "syntax", .message = "the text is empty"});
    return std::nullopt;
  }
  if (text.find('\0') != std::string::npos) {
    findings->push_back({.rule = "syntax", .message = "the text holds a zero byte"});
    return std::nullopt;
  }
  if (format == Format::kGuess) format = text[begin] == '<' ? Format::kXml : Format::kJson;
  if (format == Format::kJson) {
    if (std::optional<Finding> finding = CheckJson(text); finding.has_value()) {
      findings->push_back(*std::move(finding));
      return std::nullopt;
    }
  }
  Tree tree(std::move(context));
  const auto parse = [&](uint32_t options) {
    return lyd_parse_data_mem(tree.context_->ctx_, text.c_str(),
                              format == Format::kXml ? LYD_XML : LYD_JSON,
                              LYD_PARSE_ONLY | LYD_PARSE_NO_STATE | options, 0, &tree.root_);
  };
  if (parse(LYD_PARSE_STRICT) != LY_SUCCESS) {
    *findings = tree.Errors();
    // A leaf that an edit deletes has no value, which libyang takes only as an opaque node.
    if (!with_operations || format != Format::kXml || parse(LYD_PARSE_OPAQ) != LY_SUCCESS) {
      return std::nullopt;
    }
    TakeErrors(tree.context_->ctx_, nullptr);
    if (!IsOpaqueOnlyWhereDeleted(tree.root_)) return std::nullopt;
    findings->clear();
  }
  FindTwins(tree.root_, findings);
  if (!with_operations) FindAttributes(tree.root_, findings);
  if (!findings->empty()) return std::nullopt;
  return tree;
}

std::vector<Finding> Tree::Validate() {
  if (lyd_validate_all(&root_, context_->ctx_, LYD_VALIDATE_NO_STATE, nullptr) == LY_SUCCESS) {
    TakeErrors(context_->ctx_, root_);
    return {};
  }
  return Errors();
}

absl::Status Tree::Merge(const Tree& other) {
  if (lyd_merge_siblings(&root_, other.root_, 0) == LY_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("merge: ", Errors().front().message));
}

std::vector<Finding> Tree::Delete(const std::string& xpath) {
  NodeSet found;
  if (FindNodes(root_, xpath, &found) != LY_SUCCESS) return Errors();
  TakeErrors(context_->ctx_, root_);  // warnings
  std::vector<lyd_node*> doomed;
  for (uint32_t i = 0; i < found->count; ++i) {
    lyd_node* node = found->dnodes[i];
    if (node->flags & LYD_DEFAULT) continue;
    if (lysc_is_key(node->schema)) {
      return {{.path = PathOf(node),
               .rule = "xpath",
               .message = "a list key cannot be removed; remove the entry"}};
    }
    // A selected node below another selected one goes with it.
    bool covered = false;
    for (lyd_node* up = lyd_parent(node); up != nullptr && !covered; up = lyd_parent(up)) {
      covered = ly_set_contains(found.get(), up, nullptr) != 0;
    }
    if (!covered) doomed.push_back(node);
  }
  if (doomed.empty()) {
    return {{.path = xpath, .rule = "data-missing", .message = "nothing is configured there"}};
  }
  std::vector<Node> nodes;
  for (const lyd_node* node : doomed) nodes.push_back(Node(node));
  Remove(nodes);
  return {};
}

void Tree::Remove(const std::vector<Node>& nodes) {
  for (const Node& view : nodes) {
    lyd_node* node = const_cast<lyd_node*>(view.node_);
    if (node == root_) root_ = node->next;
    lyd_free_tree(node);
  }
}

void Tree::RemoveSecrets() {
  std::vector<Node> secrets;
  FindSecrets(first(), &secrets);
  Remove(secrets);
}

Tree Tree::Duplicate() const {
  Tree copy(context_);
  if (root_ != nullptr) {
    lyd_dup_siblings(root_, nullptr, LYD_DUP_RECURSIVE | LYD_DUP_WITH_FLAGS, &copy.root_);
  }
  return copy;
}

void Tree::Freeze() {
  for (lyd_node* top = root_; top != nullptr; top = top->next) {
    lyd_node* node = nullptr;
    LYD_TREE_DFS_BEGIN(top, node) {
      lyd_get_value(node);
      LYD_TREE_DFS_END(top, node);
    }
  }
}

absl::StatusOr<Tree> Tree::Select(const std::string& xpath) const {
  NodeSet found;
  if (FindNodes(root_, xpath, &found) != LY_SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path ", xpath, ": ", Errors().front().message));
  }
  TakeErrors(context_->ctx_, root_);  // warnings
  Tree selected(context_);
  for (uint32_t i = 0; i < found->count; ++i) {
    lyd_node* copy = nullptr;
    const LY_ERR error =
        lyd_dup_single(found->dnodes[i], nullptr,
                       LYD_DUP_RECURSIVE | LYD_DUP_WITH_PARENTS | LYD_DUP_WITH_FLAGS, &copy);
    if (error != LY_SUCCESS) return absl::InternalError("out of memory");
    while (lyd_parent(copy) != nullptr) copy = lyd_parent(copy);
    if (lyd_merge_siblings(&selected.root_, copy, LYD_MERGE_DESTRUCT | LYD_MERGE_DEFAULTS) !=
        LY_SUCCESS) {
      return absl::InternalError(absl::StrCat("select: ", Errors().front().message));
    }
  }
  return selected;
}

absl::StatusOr<std::vector<Node>> Tree::Find(const std::string& xpath) const {
  NodeSet found;
  if (FindNodes(root_, xpath, &found) != LY_SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path ", xpath, ": ", Errors().front().message));
  }
  TakeErrors(context_->ctx_, root_);  // warnings
  std::vector<Node> nodes;
  for (uint32_t i = 0; i < found->count; ++i) nodes.push_back(Node(found->dnodes[i]));
  return nodes;
}

std::string Tree::Print(Format format, Defaults defaults) const {
  char* text = nullptr;
  lyd_print_mem(&text, root_, format == Format::kXml ? LYD_XML : LYD_JSON,
                LYD_PRINT_WITHSIBLINGS | kPrintOptions[static_cast<size_t>(defaults)]);
  std::string result = text == nullptr ? "" : text;
  std::free(text);
  // libyang names the module where RFC 6243, section 6, has a namespace of its own.
  if (defaults == Defaults::kTagged) {
    absl::StrReplaceAll({{"xmlns:ncwd=\"urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults\"",
                          "xmlns:ncwd=\"urn:ietf:params:xml:ns:netconf:default:1.0\""}},
                        &result);
  }
  return result == "{\n\n}\n" ? "{}\n" : result;
}

Node Tree::Top(absl::string_view module, absl::string_view name) const {
  Node node(root_);
  while (node && (node.name() != name || node.module() != module)) node = node.next_sibling();
  return node;
}

}  // namespace portolan::yang
