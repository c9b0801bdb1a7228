#include "services/base/yang/reference.h"

#include <libyang/libyang.h>

#include <cstdlib>
#include <limits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "services/base/yang/deny.h"

namespace portolan::yang {
namespace {

// Of a description: one line.
std::string Line(const char* text) {
  if (text == nullptr) return "";
  return absl::StrJoin(absl::StrSplit(text, absl::ByAnyChar(" \n\t"), absl::SkipEmpty()), " ");
}

std::string InTable(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"<", "&lt;"}});
}

std::string PathOf(const lysc_node* node) {
  char* text = lysc_path(node, LYSC_PATH_DATA, nullptr, 0);
  const std::string path = text == nullptr ? "" : text;
  std::free(text);
  return path;
}

// " 1..10 | 20"; `type` says whether the bounds are signed.
std::string RangeText(const lysc_range* range, bool is_signed, const char* unit) {
  if (range == nullptr) return "";
  std::vector<std::string> parts;
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(range->parts, i) {
    const auto& part = range->parts[i];
    const std::string low = is_signed ? absl::StrCat(part.min_64) : absl::StrCat(part.min_u64);
    const std::string high = is_signed ? absl::StrCat(part.max_64)
                             : part.max_u64 == std::numeric_limits<uint64_t>::max()
                                 ? "any"
                                 : absl::StrCat(part.max_u64);
    parts.push_back(low == high ? low : absl::StrCat(low, "..", high));
  }
  return absl::StrCat(" ", absl::StrJoin(parts, " or "), unit);
}

std::string ItemsText(const char* what, const lysc_type_bitenum_item* items) {
  std::vector<std::string> lines;
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(items, i) {
    const std::string meaning = Line(items[i].dsc);
    lines.push_back(absl::StrCat("`", items[i].name, "`", meaning.empty() ? "" : ": ", meaning));
  }
  return absl::StrCat(what, "<br>", absl::StrJoin(lines, "<br>"));
}

std::string IdentitiesText(const lysc_ident* base) {
  std::vector<std::string> names;
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(base->derived, i) {
    names.push_back(
        absl::StrCat("`", base->derived[i]->module->name, ":", base->derived[i]->name, "`"));
  }
  return absl::StrCat("identity<br>", absl::StrJoin(names, "<br>"));
}

std::string TypeText(const lysc_type* type) {
  switch (type->basetype) {
    case LY_TYPE_STRING:
      return absl::StrCat("string", RangeText(reinterpret_cast<const lysc_type_str*>(type)->length,
                                              false, " characters"));
    case LY_TYPE_BINARY:
      return absl::StrCat("binary", RangeText(reinterpret_cast<const lysc_type_bin*>(type)->length,
                                              false, " bytes"));
    case LY_TYPE_ENUM:
      return ItemsText("one of", reinterpret_cast<const lysc_type_enum*>(type)->enums);
    case LY_TYPE_BITS:
      return ItemsText("some of", reinterpret_cast<const lysc_type_bits*>(type)->bits);
    case LY_TYPE_IDENT:
      return IdentitiesText(reinterpret_cast<const lysc_type_identityref*>(type)->bases[0]);
    case LY_TYPE_LEAFREF:
      return absl::StrCat(
          "value of `", lyxp_get_expr(reinterpret_cast<const lysc_type_leafref*>(type)->path), "`");
    case LY_TYPE_UNION: {
      std::vector<std::string> members;
      lysc_type** types = reinterpret_cast<const lysc_type_union*>(type)->types;
      LY_ARRAY_COUNT_TYPE i = 0;
      LY_ARRAY_FOR(types, i) members.push_back(TypeText(types[i]));
      return absl::StrJoin(members, ", or ");
    }
    case LY_TYPE_BOOL:
      return "boolean";
    case LY_TYPE_EMPTY:
      return "empty";
    case LY_TYPE_INST:
      return "instance-identifier";
    case LY_TYPE_DEC64:
      return "decimal64";
    default:
      return absl::StrCat("integer", RangeText(reinterpret_cast<const lysc_type_num*>(type)->range,
                                               type->basetype > LY_TYPE_DEC64, ""));
  }
}

std::string DefaultText(const lysc_node* node) {
  std::vector<std::string> values;
  const auto add = [&](const lyd_value* value) {
    values.push_back(absl::StrCat("`", lyd_value_get_canonical(node->module->ctx, value), "`"));
  };
  if (node->nodetype == LYS_LEAF) {
    const auto* leaf = reinterpret_cast<const lysc_node_leaf*>(node);
    if (leaf->dflt != nullptr) add(leaf->dflt);
  } else if (node->nodetype == LYS_LEAFLIST) {
    lyd_value** defaults = reinterpret_cast<const lysc_node_leaflist*>(node)->dflts;
    LY_ARRAY_COUNT_TYPE i = 0;
    LY_ARRAY_FOR(defaults, i) add(defaults[i]);
  }
  return absl::StrJoin(values, ", ");
}

// What else is to be known: sentences.
std::string Remarks(const lysc_node* node) {
  std::string remarks;
  const auto say = [&](absl::string_view text) { absl::StrAppend(&remarks, " ", text, "."); };
  if (lysc_is_key(node)) say("Key");
  if ((node->flags & LYS_MAND_TRUE) != 0 && !lysc_is_key(node)) say("Mandatory");
  if (lysc_is_userordered(node)) say("In the user's order");
  if ((node->flags & LYS_STATUS_DEPRC) != 0) say("Deprecated");
  if ((node->flags & LYS_STATUS_OBSLT) != 0) say("Obsolete");
  if ((node->flags & LYS_CONFIG_R) != 0) say("State");
  if (DenyOf(node) == Deny::kAll) say("Denied to all whom no rule of access permits it");
  if (DenyOf(node) == Deny::kWrite) say("Written only by whom a rule of access permits it");
  const lysc_must* musts = lysc_node_musts(node);
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(musts, i) {
    if (musts[i].emsg != nullptr) say(absl::StrCat("Rule: ", Line(musts[i].emsg)));
  }
  return remarks;
}

class Writer {
 public:
  std::string Take() { return std::move(text_); }

  void Section(const lysc_node* node) {
    absl::StrAppend(&text_, "\n### ", PathOf(node), "\n\n", KindOf(node), ". ", Line(node->dsc),
                    Remarks(node), "\n");
    if ((node->nodetype & (LYS_RPC | LYS_ACTION)) != 0) {
      const auto* operation = reinterpret_cast<const lysc_node_action*>(node);
      Arguments("Input", &operation->input.node);
      Arguments("Output", &operation->output.node);
    } else {
      Content(node);
    }
  }

 private:
  static const char* KindOf(const lysc_node* node) {
    switch (node->nodetype) {
      case LYS_LIST:
        return "List";
      case LYS_RPC:
        return "Operation";
      case LYS_ACTION:
        return "Action";
      case LYS_NOTIF:
        return "Notification";
      default:
        return (node->flags & LYS_PRESENCE) != 0 ? "Container that means something by being there"
                                                 : "Container";
    }
  }

  void Arguments(const char* title, const lysc_node* side) {
    if (lysc_node_child(side) == nullptr) return;
    absl::StrAppend(&text_, "\n", title, ":\n");
    Content(side);
  }

  // Of choices the nodes, with the name of the choice.
  void Content(const lysc_node* parent) {
    std::vector<const lysc_node*> inner;
    bool table = false;
    const lysc_node* node = nullptr;
    while ((node = lys_getnext(node, parent, nullptr, 0)) != nullptr) {
      if ((node->nodetype & (LYS_LEAF | LYS_LEAFLIST | LYS_ANYDATA | LYS_ANYXML)) == 0) {
        inner.push_back(node);
        continue;
      }
      if (!table) text_ += "\n| leaf | type | default | meaning |\n|---|---|---|---|\n";
      table = true;
      Row(node);
    }
    for (const lysc_node* child : inner) Section(child);
  }

  void Row(const lysc_node* node) {
    const bool many = node->nodetype == LYS_LEAFLIST;
    std::string type = "anything";
    std::string units;
    if (node->nodetype == LYS_LEAF || many) {
      // Both begin alike.
      const auto* leaf = reinterpret_cast<const lysc_node_leaf*>(node);
      type = TypeText(leaf->type);
      if (leaf->units != nullptr) units = absl::StrCat(" ", leaf->units);
    }
    std::string choice;
    if (node->parent != nullptr && node->parent->nodetype == LYS_CASE) {
      choice = absl::StrCat(" One alternative of \"", node->parent->parent->name, "\".");
    }
    absl::StrAppend(&text_, "| `", node->name, "`", many ? " (any number)" : "", " | ",
                    absl::StrReplaceAll(type, {{"|", "\\|"}}), units, " | ", DefaultText(node),
                    " | ", InTable(absl::StrCat(Line(node->dsc), choice, Remarks(node))), " |\n");
  }

  std::string text_;
};

}  // namespace

std::string ReferenceOf(const Context& context, absl::string_view module) {
  const lys_module* found =
      ly_ctx_get_module_implemented(context.ctx_, std::string(module).c_str());
  if (found == nullptr) return "";
  Writer writer;
  const lysc_node* node = nullptr;
  while ((node = lys_getnext(node, nullptr, found->compiled, 0)) != nullptr) writer.Section(node);
  const std::string sections = writer.Take();
  if (sections.empty()) return "";
  return absl::StrCat("\n## ", found->name, "\n\nRevision ",
                      found->revision == nullptr ? "none" : found->revision, ". ", Line(found->dsc),
                      "\n", sections);
}

}  // namespace portolan::yang
