#include "services/base/yang/filter.h"

#include <libyang/libyang.h>

#include <cstdlib>
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "services/base/yang/libyang_errors.h"

namespace portolan::yang {
namespace {

constexpr uint32_t kDuplicate = LYD_DUP_NO_META | LYD_DUP_WITH_FLAGS;

absl::string_view View(const char* text) { return text == nullptr ? "" : text; }

// An element of a filter, whether or not libyang knows what it is.
class Element {
 public:
  explicit Element(const lyd_node* node) : node_(node) {}

  absl::string_view name() const {
    return node_->schema != nullptr ? View(node_->schema->name) : View(Opaque()->name.name);
  }
  absl::string_view xml_namespace() const {
    return node_->schema != nullptr ? View(node_->schema->module->ns)
                                    : View(Opaque()->name.module_ns);
  }
  const lyd_node* child() const { return lyd_child_any(); }
  std::string text() const {
    const char* text = node_->schema == nullptr ? Opaque()->value : lyd_get_value(node_);
    return std::string(absl::StripAsciiWhitespace(View(text)));
  }
  bool has_attributes() const {
    return node_->schema != nullptr ? node_->meta != nullptr : Opaque()->attr != nullptr;
  }
  bool is_selection() const { return child() == nullptr && text().empty(); }
  bool is_content() const { return child() == nullptr && !text().empty(); }

  bool Names(const lyd_node* data) const {
    return name() == data->schema->name &&
           (xml_namespace().empty() || xml_namespace() == data->schema->module->ns) &&
           !has_attributes();
  }

 private:
  const lyd_node_opaq* Opaque() const { return reinterpret_cast<const lyd_node_opaq*>(node_); }
  const lyd_node* lyd_child_any() const {
    return node_->schema == nullptr ? Opaque()->child : lyd_child(node_);
  }
  const lyd_node* const node_;
};

// Text of a leaf as a filter writes it: identities and such may have a prefix of their own there.
bool HasValue(const lyd_node* leaf, const std::string& wanted) {
  if ((leaf->schema->nodetype & LYD_NODE_TERM) == 0) return false;
  const absl::string_view value = View(lyd_get_value(leaf));
  if (value == wanted) return true;
  const size_t colon = wanted.find(':');
  const size_t own_colon = value.find(':');
  return reinterpret_cast<const lyd_node_term*>(leaf)->value.realtype->basetype == LY_TYPE_IDENT &&
         value.substr(own_colon == absl::string_view::npos ? 0 : own_colon + 1) ==
             absl::string_view(wanted).substr(colon == std::string::npos ? 0 : colon + 1);
}

void Append(lyd_node* node, lyd_node* parent, lyd_node** first) {
  if (node == nullptr) return;
  if (parent != nullptr) {
    // The keys of an entry are there already.
    if (lysc_is_key(node->schema)) return lyd_free_tree(node);
    lyd_insert_child(parent, node);
  } else {
    lyd_insert_sibling(*first, node, first);
  }
}

lyd_node* Whole(const lyd_node* node) {
  lyd_node* copy = nullptr;
  lyd_dup_single(node, nullptr, kDuplicate | LYD_DUP_RECURSIVE, &copy);
  return copy;
}

lyd_node* Alone(const lyd_node* node) {
  lyd_node* copy = nullptr;
  lyd_dup_single(node, nullptr, kDuplicate, &copy);
  return copy;
}

class SubtreeSelector {
 public:
  // Appends what the elements from `filter` on select of the siblings from `data` on. False: they
  // select nothing.
  bool Select(const lyd_node* filter, const lyd_node* data, lyd_node* parent, lyd_node** first) {
    bool only_contents = true;
    for (const lyd_node* f = filter; f != nullptr; f = f->next) {
      const Element element(f);
      only_contents = only_contents && element.is_content();
      if (element.is_content() && !Matches(element, data)) return false;
    }
    bool any = only_contents;
    for (const lyd_node* node = data; node != nullptr; node = node->next) {
      lyd_node* selected = only_contents ? Whole(node) : Restrict(filter, node);
      any = any || selected != nullptr;
      Append(selected, parent, first);
    }
    return any;
  }

 private:
  static bool Matches(const Element& element, const lyd_node* data) {
    for (const lyd_node* node = data; node != nullptr; node = node->next) {
      if (element.Names(node) && HasValue(node, element.text())) return true;
    }
    return false;
  }

  // The part of `node` that the elements select, or null.
  lyd_node* Restrict(const lyd_node* filter, const lyd_node* node) {
    lyd_node* result = nullptr;
    for (const lyd_node* f = filter; f != nullptr; f = f->next) {
      const Element element(f);
      if (!element.Names(node)) continue;
      if (element.is_selection() || (element.is_content() && HasValue(node, element.text()))) {
        lyd_free_tree(result);
        return Whole(node);
      }
      if (element.is_content() || (node->schema->nodetype & LYD_NODE_INNER) == 0) continue;
      lyd_node* copy = Alone(node);
      lyd_node* unused = nullptr;
      if (!Select(element.child(), lyd_child(node), copy, &unused)) {
        lyd_free_tree(copy);
      } else if (result == nullptr) {
        result = copy;
      } else {
        lyd_merge_tree(&result, copy, LYD_MERGE_DESTRUCT);
      }
    }
    return result;
  }
};

// What an element for an entry says of its keys; empty: not all of them.
std::string KeyOfElement(const Element& entry, const ListPath& path) {
  std::string text;
  for (const std::string& key : path.keys) {
    std::string value;
    for (const lyd_node* child = entry.child(); child != nullptr; child = child->next) {
      const Element element(child);
      if (element.is_content() && element.name() == key) value = element.text();
    }
    if (value.empty()) return "";
    absl::StrAppend(&text, text.empty() ? "" : "/", value);
  }
  return text;
}

const lyd_node* FirstOf(Node any) {
  const auto* node = reinterpret_cast<const lyd_node_any*>(any.handle());
  return node->value_type == LYD_ANYDATA_DATATREE ? node->value.tree : nullptr;
}

// Copies the siblings from `node` on as far as `keep` says: the level of a top node is 1.
using Keep = std::function<bool(const lyd_node*, uint32_t level)>;
bool CopyWhere(const lyd_node* node, uint32_t level, const Keep& keep, lyd_node* parent,
               lyd_node** first) {
  bool any = false;
  for (; node != nullptr; node = node->next) {
    const bool inner = (node->schema->nodetype & LYD_NODE_INNER) != 0;
    const bool wanted = keep(node, level);
    if (!inner && !wanted) continue;
    lyd_node* copy = Alone(node);
    lyd_node* unused = nullptr;
    const bool below = inner && CopyWhere(lyd_child(node), level + 1, keep, copy, &unused);
    if (!wanted && !below) {
      lyd_free_tree(copy);
      continue;
    }
    any = true;
    Append(copy, parent, first);
  }
  return any;
}

Tree Copied(const Tree& data, const Keep& keep) {
  lyd_node* first = nullptr;
  CopyWhere(data.handle(), 1, keep, nullptr, &first);
  return Tree::Adopt(data.context(), first);
}

}  // namespace

std::string AnyContent(Node any) {
  char* text = nullptr;
  const auto* node = reinterpret_cast<const lyd_node_any*>(any.handle());
  if (node->value_type == LYD_ANYDATA_DATATREE) {
    // An empty container may be there to be deleted.
    lyd_print_mem(&text, node->value.tree, LYD_XML,
                  LYD_PRINT_WITHSIBLINGS | LYD_PRINT_SHRINK | LYD_PRINT_KEEPEMPTYCONT);
  } else {
    lyd_any_value_str(any.handle(), &text);
  }
  std::string result = text == nullptr ? "" : text;
  std::free(text);
  return result;
}

Tree SubtreeFilter(const Tree& data, Node filter) {
  lyd_node* first = nullptr;
  const lyd_node* elements = FirstOf(filter);
  if (elements != nullptr) SubtreeSelector().Select(elements, data.handle(), nullptr, &first);
  return Tree::Adopt(data.context(), first);
}

Touched TouchedByFilter(Node filter, const ListPath& path) {
  Touched touched;
  for (const lyd_node* top = FirstOf(filter); top != nullptr; top = top->next) {
    const Element container(top);
    if (container.name() != path.container) {
      touched.rest = true;
      continue;
    }
    if (container.child() == nullptr) touched.everything = true;
    for (const lyd_node* child = container.child(); child != nullptr; child = child->next) {
      const Element entry(child);
      const std::string key = entry.name() == path.list ? KeyOfElement(entry, path) : "";
      if (entry.name() != path.list) {
        touched.rest = true;
      } else if (key.empty()) {
        touched.everything = true;
      } else {
        touched.keys.insert(key);
      }
    }
  }
  return touched;
}

Tree OfKind(const Tree& data, Kind kind) {
  const uint16_t flag = kind == Kind::kConfiguration ? LYS_CONFIG_W : LYS_CONFIG_R;
  return Copied(data, [flag](const lyd_node* node, uint32_t) {
    // A frame is there for what it holds.
    return (node->schema->flags & flag) != 0 && !lysc_is_np_cont(node->schema) &&
           !lysc_is_key(node->schema);
  });
}

Tree ToDepth(const Tree& data, uint32_t depth) {
  return Copied(data, [depth](const lyd_node*, uint32_t level) { return level <= depth; });
}

absl::StatusOr<Tree> ParseState(std::shared_ptr<const Context> context, const std::string& text,
                                Format format) {
  lyd_node* root = nullptr;
  ly_ctx* const handle = context->handle();
  if (lyd_parse_data_mem(handle, text.c_str(), format == Format::kJson ? LYD_JSON : LYD_XML,
                         LYD_PARSE_ONLY | LYD_PARSE_STRICT, 0, &root) != LY_SUCCESS) {
    const std::vector<Finding> findings = TakeErrors(handle, nullptr);
    return absl::InvalidArgumentError(
        findings.empty() ? "state that cannot be parsed"
                         : absl::StrCat(findings.front().path, ": ", findings.front().message));
  }
  return Tree::Adopt(std::move(context), root);
}

absl::StatusOr<Tree> ParseNotification(std::shared_ptr<const Context> context,
                                       const std::string& xml) {
  ly_in* in = nullptr;
  lyd_node* root = nullptr;
  ly_in_new_memory(xml.c_str(), &in);
  const LY_ERR parsed =
      lyd_parse_op(context->handle(), nullptr, in, LYD_XML, LYD_TYPE_NOTIF_YANG, &root, nullptr);
  ly_in_free(in, 0);
  Tree tree = Tree::Adopt(context, root);
  if (parsed == LY_SUCCESS) return tree;
  const std::vector<Finding> findings = TakeErrors(context->handle(), nullptr);
  return absl::InvalidArgumentError(findings.empty() ? "a notification that cannot be parsed"
                                                     : findings.front().message);
}

bool CanSelect(const Context& context, const std::string& xpath, Kind kind) {
  if (xpath == "/") return true;
  const uint16_t flag = kind == Kind::kState ? LYS_CONFIG_R : LYS_CONFIG_W;
  const std::function<bool(const lysc_node*)> has = [&](const lysc_node* node) {
    const lysc_node* child = lysc_node_child(node);
    // Containers of configuration may hold nothing but state.
    if (child == nullptr || (node->flags & LYS_CONFIG_R) != 0) return (node->flags & flag) != 0;
    for (; child != nullptr; child = child->next) {
      if (!lysc_is_key(child) && has(child)) return true;
    }
    return false;
  };
  ly_set* nodes = nullptr;
  bool found = false;
  if (lys_find_xpath(context.handle(), nullptr, xpath.c_str(), 0, &nodes) == LY_SUCCESS) {
    for (uint32_t i = 0; i < nodes->count && !found; ++i) found = has(nodes->snodes[i]);
  }
  ly_set_free(nodes, nullptr);
  TakeErrors(context.handle(), nullptr);
  return found;
}

std::string Attribute(Node node, const std::string& name) {
  const lyd_meta* meta = lyd_find_meta(node.handle()->meta, nullptr, name.c_str());
  return meta == nullptr ? "" : lyd_get_meta_value(meta);
}

Tree CopyOf(std::shared_ptr<const Context> context, Node node) {
  lyd_node* copy = nullptr;
  lyd_dup_single(node.handle(), nullptr, LYD_DUP_RECURSIVE, &copy);
  return Tree::Adopt(std::move(context), copy);
}

std::string ContentId(const Context& context) {
  return absl::StrCat(ly_ctx_get_change_count(context.handle()));
}

Tree YangLibrary(std::shared_ptr<const Context> context) {
  lyd_node* root = nullptr;
  ly_ctx_get_yanglib_data(context->handle(), &root, "%s", ContentId(*context).c_str());
  return Tree::Adopt(std::move(context), root);
}

}  // namespace portolan::yang
