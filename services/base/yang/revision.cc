#include "services/base/yang/revision.h"

#include <libyang/libyang.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::yang {
namespace {

std::string PathOf(const lysc_node* node) {
  char* text = lysc_path(node, LYSC_PATH_LOG, nullptr, 0);
  std::string path = text == nullptr ? "" : text;
  std::free(text);
  return path;
}

std::string TextOf(const char* text) { return text == nullptr ? "" : text; }

// Of a list of cases, actions or notifications, which may be empty.
template <typename T>
const lysc_node* NodeOf(const T* first) {
  return first == nullptr ? nullptr : &first->node;
}

class Judge {
 public:
  std::vector<std::string> Take() { return std::move(changes_); }

  void Module(const lys_module* released, const lys_module* current) {
    if (TextOf(current->revision) < TextOf(released->revision)) {
      changes_.push_back(absl::StrCat(released->name, ": revision ", TextOf(current->revision),
                                      " is older than the released one"));
    }
    if (std::strcmp(released->ns, current->ns) != 0) {
      changes_.push_back(absl::StrCat(released->name, ": the namespace changed"));
    }
    Names(released, released->identities, current->identities, "identity");
    Names(released, released->parsed->features, current->parsed->features, "feature");
    Names(released, released->parsed->typedefs, current->parsed->typedefs, "typedef");
    Siblings(released->compiled->data, current->compiled->data);
    Siblings(NodeOf(released->compiled->rpcs), NodeOf(current->compiled->rpcs));
    Siblings(NodeOf(released->compiled->notifs), NodeOf(current->compiled->notifs));
  }

 private:
  void Say(const lysc_node* node, absl::string_view what) {
    changes_.push_back(absl::StrCat(PathOf(node), ": ", what));
  }

  // Of sized arrays whose items have a name.
  template <typename Item>
  void Names(const lys_module* module, const Item* released, const Item* current,
             const char* what) {
    LY_ARRAY_COUNT_TYPE i = 0;
    LY_ARRAY_FOR(released, i) {
      bool found = false;
      LY_ARRAY_COUNT_TYPE j = 0;
      LY_ARRAY_FOR(current, j) {
        found = found || std::strcmp(released[i].name, current[j].name) == 0;
      }
      if (!found) {
        changes_.push_back(
            absl::StrCat(module->name, ": the ", what, " ", released[i].name, " is gone"));
      }
    }
  }

  static const lysc_node* Find(const lysc_node* siblings, const lysc_node* like) {
    for (; siblings != nullptr; siblings = siblings->next) {
      if (std::strcmp(siblings->name, like->name) == 0 &&
          std::strcmp(siblings->module->name, like->module->name) == 0) {
        return siblings;
      }
    }
    return nullptr;
  }

  void Siblings(const lysc_node* released, const lysc_node* current) {
    for (const lysc_node* node = released; node != nullptr; node = node->next) {
      const lysc_node* found = Find(current, node);
      if (found == nullptr) {
        Say(node, "is gone; declare it deprecated, then obsolete, and leave it there");
      } else if (found->nodetype != node->nodetype) {
        Say(node, "is another kind of node");
      } else {
        Pair(node, found);
      }
    }
    for (const lysc_node* node = current; node != nullptr; node = node->next) {
      if (Find(released, node) == nullptr && (node->flags & LYS_MAND_TRUE) != 0) {
        Say(node, "is new and mandatory");
      }
    }
  }

  void Pair(const lysc_node* released, const lysc_node* current) {
    Flags(released, current);
    Conditions(released, current);
    if (released->nodetype == LYS_LEAF) {
      Leaf(reinterpret_cast<const lysc_node_leaf*>(released),
           reinterpret_cast<const lysc_node_leaf*>(current));
    } else if (released->nodetype == LYS_LEAFLIST) {
      LeafList(reinterpret_cast<const lysc_node_leaflist*>(released),
               reinterpret_cast<const lysc_node_leaflist*>(current));
    } else if (released->nodetype == LYS_LIST) {
      List(reinterpret_cast<const lysc_node_list*>(released),
           reinterpret_cast<const lysc_node_list*>(current));
    }
    if (released->nodetype == LYS_CHOICE) {
      const auto* was = reinterpret_cast<const lysc_node_choice*>(released);
      const auto* is = reinterpret_cast<const lysc_node_choice*>(current);
      if (was->dflt != nullptr &&
          (is->dflt == nullptr || std::strcmp(was->dflt->name, is->dflt->name) != 0)) {
        Say(released, "has another default case");
      }
      Siblings(NodeOf(was->cases), NodeOf(is->cases));
    } else if ((released->nodetype & (LYS_RPC | LYS_ACTION)) != 0) {
      const auto* was = reinterpret_cast<const lysc_node_action*>(released);
      const auto* is = reinterpret_cast<const lysc_node_action*>(current);
      Siblings(was->input.child, is->input.child);
      Siblings(was->output.child, is->output.child);
    } else {
      Siblings(lysc_node_child(released), lysc_node_child(current));
      Siblings(NodeOf(lysc_node_actions(released)), NodeOf(lysc_node_actions(current)));
      Siblings(NodeOf(lysc_node_notifs(released)), NodeOf(lysc_node_notifs(current)));
    }
  }

  void Flags(const lysc_node* released, const lysc_node* current) {
    const int was = released->flags;
    const int is = current->flags;
    // A status that is better than it was may be; a step down goes through deprecated.
    if ((was & LYS_STATUS_OBSLT) == 0 && (was & LYS_STATUS_DEPRC) == 0 &&
        (is & LYS_STATUS_OBSLT) != 0) {
      Say(current, "is obsolete, and was not deprecated for a release");
    }
    if ((was & LYS_MAND_TRUE) == 0 && (is & LYS_MAND_TRUE) != 0) Say(current, "is mandatory now");
    if ((was & LYS_CONFIG_W) != 0 && (is & LYS_CONFIG_R) != 0) {
      Say(current, "is no configuration any more");
    }
    if (released->nodetype == LYS_CONTAINER && ((was ^ is) & LYS_PRESENCE) != 0) {
      Say(current, "its presence changed its meaning");
    }
    if ((released->nodetype & (LYS_LIST | LYS_LEAFLIST)) != 0 &&
        ((was ^ is) & LYS_ORDBY_USER) != 0) {
      Say(current, "is ordered by somebody else");
    }
  }

  // Nothing that was valid may be refused or vanish.
  void Conditions(const lysc_node* released, const lysc_node* current) {
    std::vector<std::string> known;
    const lysc_must* musts = lysc_node_musts(released);
    lysc_when** whens = lysc_node_when(released);
    LY_ARRAY_COUNT_TYPE i = 0;
    LY_ARRAY_FOR(musts, i) known.push_back(absl::StrCat("must ", lyxp_get_expr(musts[i].cond)));
    LY_ARRAY_FOR(whens, i) known.push_back(absl::StrCat("when ", lyxp_get_expr(whens[i]->cond)));
    const auto check = [&](const std::string& condition) {
      if (std::find(known.begin(), known.end(), condition) != known.end()) return;
      Say(current, absl::StrCat("has a new condition: ", condition));
    };
    musts = lysc_node_musts(current);
    whens = lysc_node_when(current);
    LY_ARRAY_FOR(musts, i) check(absl::StrCat("must ", lyxp_get_expr(musts[i].cond)));
    LY_ARRAY_FOR(whens, i) check(absl::StrCat("when ", lyxp_get_expr(whens[i]->cond)));
  }

  template <typename Node>
  void TypeAndUnits(const Node* released, const Node* current) {
    for (const std::string& reason : NarrowedTypes(released->type, current->type)) {
      Say(&current->node, reason);
    }
    if (released->units != nullptr && TextOf(released->units) != TextOf(current->units)) {
      Say(&current->node,
          absl::StrCat("the units changed from ", released->units, " to ", TextOf(current->units)));
    }
  }

  static std::string ValueOf(const lysc_node* node, const lyd_value* value) {
    return value == nullptr ? "" : TextOf(lyd_value_get_canonical(node->module->ctx, value));
  }

  void Leaf(const lysc_node_leaf* released, const lysc_node_leaf* current) {
    TypeAndUnits(released, current);
    if (released->dflt == nullptr) return;
    const std::string was = ValueOf(&released->node, released->dflt);
    const std::string is = ValueOf(&current->node, current->dflt);
    if (current->dflt == nullptr) {
      Say(&current->node, absl::StrCat("the default ", was, " is gone"));
    } else if (was != is) {
      Say(&current->node, absl::StrCat("the default changed from ", was, " to ", is));
    }
  }

  void Limits(const lysc_node* node, uint32_t was_min, uint32_t was_max, uint32_t min,
              uint32_t max) {
    if (min > was_min) Say(node, "needs more elements");
    if (max < was_max) Say(node, "takes fewer elements");
  }

  static std::vector<std::string> DefaultsOf(const lysc_node_leaflist* list) {
    std::vector<std::string> values;
    LY_ARRAY_COUNT_TYPE i = 0;
    LY_ARRAY_FOR(list->dflts, i) values.push_back(ValueOf(&list->node, list->dflts[i]));
    return values;
  }

  void LeafList(const lysc_node_leaflist* released, const lysc_node_leaflist* current) {
    TypeAndUnits(released, current);
    Limits(&current->node, released->min, released->max, current->min, current->max);
    const std::vector<std::string> was = DefaultsOf(released);
    if (!was.empty() && was != DefaultsOf(current)) Say(&current->node, "the defaults changed");
  }

  static std::vector<std::string> KeysOf(const lysc_node_list* list) {
    std::vector<std::string> keys;
    for (const lysc_node* node = list->child; node != nullptr && lysc_is_key(node);
         node = node->next) {
      keys.push_back(node->name);
    }
    return keys;
  }

  static std::vector<std::string> UniquesOf(const lysc_node_list* list) {
    std::vector<std::string> uniques;
    LY_ARRAY_COUNT_TYPE i = 0;
    LY_ARRAY_FOR(list->uniques, i) {
      std::string text;
      LY_ARRAY_COUNT_TYPE j = 0;
      LY_ARRAY_FOR(list->uniques[i], j) {
        absl::StrAppend(&text, PathOf(&list->uniques[i][j]->node), " ");
      }
      uniques.push_back(text);
    }
    return uniques;
  }

  void List(const lysc_node_list* released, const lysc_node_list* current) {
    Limits(&current->node, released->min, released->max, current->min, current->max);
    if (KeysOf(released) != KeysOf(current)) Say(&current->node, "the keys changed");
    const std::vector<std::string> was = UniquesOf(released);
    for (const std::string& unique : UniquesOf(current)) {
      if (std::find(was.begin(), was.end(), unique) == was.end()) {
        Say(&current->node, absl::StrCat("has to be unique: ", unique));
      }
    }
  }

  std::vector<std::string> changes_;
};

}  // namespace

std::vector<std::string> IncompatibleChanges(const Context& released, const Context& current) {
  Judge judge;
  std::vector<std::string> gone;
  uint32_t index = 0;
  while (const lys_module* module = ly_ctx_get_module_iter(released.ctx_, &index)) {
    if (!module->implemented) continue;
    const lys_module* now = ly_ctx_get_module_implemented(current.ctx_, module->name);
    if (now == nullptr) {
      gone.push_back(absl::StrCat(module->name, ": the module is gone"));
    } else {
      judge.Module(module, now);
    }
  }
  std::vector<std::string> changes = judge.Take();
  changes.insert(changes.end(), gone.begin(), gone.end());
  return changes;
}

}  // namespace portolan::yang
