#include "services/base/netconf/output.h"

#include <libyang/libyang.h>

namespace portolan::netconf {
namespace {

constexpr size_t kMaxKeys = 3;  // of lists in answers

// Adds elements below nodes; remembers the name of one that cannot be added.
class Output {
 public:
  bool AddAll(lyd_node* parent, const std::vector<Element>& elements, size_t from = 0) {
    for (size_t i = from; i < elements.size(); ++i) {
      if (!Add(parent, elements[i])) return false;
    }
    return true;
  }
  const std::string& misfit() const { return misfit_; }

 private:
  bool Add(lyd_node* parent, const Element& element) {
    const lysc_node* schema = lys_find_child(parent->schema, parent->schema->module,
                                             element.name.c_str(), 0, 0, LYS_GETNEXT_OUTPUT);
    lyd_node* node = nullptr;
    bool added = false;
    size_t keys = 0;
    if (schema == nullptr) {
      added = false;
    } else if (schema->nodetype == LYS_LIST) {
      added = AddEntry(parent, schema, element, &keys, &node);
    } else if (schema->nodetype == LYS_CONTAINER) {
      added = lyd_new_inner(parent, schema->module, schema->name, 1, &node) == LY_SUCCESS;
    } else {
      added = lyd_new_term(parent, schema->module, schema->name, element.value.c_str(), 1, &node) ==
              LY_SUCCESS;
    }
    if (!added) misfit_ = element.name + " \"" + element.value + "\"";
    return added && AddAll(node, element.children, keys);
  }

  // With its keys, which come first in `element`.
  static bool AddEntry(lyd_node* parent, const lysc_node* schema, const Element& element,
                       size_t* count, lyd_node** entry) {
    const char* keys[kMaxKeys] = {};
    for (const lysc_node* key = lysc_node_child(schema); key != nullptr && lysc_is_key(key);
         key = key->next) {
      if (*count == kMaxKeys || *count == element.children.size()) return false;
      const Element& child = element.children[*count];
      if (child.name != key->name) return false;
      keys[(*count)++] = child.value.c_str();
    }
    return lyd_new_list(parent, schema->module, schema->name, 1, entry, keys[0], keys[1],
                        keys[2]) == LY_SUCCESS;
  }

  std::string misfit_;
};

}  // namespace

lyd_node* ToOutput(const lyd_node* operation, const std::vector<Element>& elements,
                   std::string* why) {
  lyd_node* node = nullptr;
  if (lyd_dup_single(operation, nullptr, 0, &node) != LY_SUCCESS) {
    *why = "out of memory";
    return nullptr;
  }
  Output output;
  if (output.AddAll(node, elements)) return node;
  *why = output.misfit();
  ly_err_clean(const_cast<ly_ctx*>(LYD_CTX(node)), nullptr);
  lyd_free_all(node);
  return nullptr;
}

}  // namespace portolan::netconf
