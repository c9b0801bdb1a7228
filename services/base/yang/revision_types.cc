#include <libyang/libyang.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/yang/revision.h"

namespace portolan::yang {
namespace {

using Reasons = std::vector<std::string>;
using Part = lysc_range::lysc_range_part;

// `part` of the released range lies in one part of the current one.
bool Covers(const lysc_range* range, const Part& part, bool is_signed) {
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(range->parts, i) {
    const Part& wide = range->parts[i];
    if (is_signed ? wide.min_64 <= part.min_64 && part.max_64 <= wide.max_64
                  : wide.min_u64 <= part.min_u64 && part.max_u64 <= wide.max_u64) {
      return true;
    }
  }
  return false;
}

void CheckRange(const lysc_range* released, const lysc_range* current, bool is_signed,
                const char* what, Reasons* reasons) {
  if (current == nullptr) return;
  bool narrowed = released == nullptr;
  LY_ARRAY_COUNT_TYPE i = 0;
  if (released != nullptr) {
    LY_ARRAY_FOR(released->parts, i) {
      narrowed = narrowed || !Covers(current, released->parts[i], is_signed);
    }
  }
  if (narrowed) reasons->push_back(absl::StrCat("the ", what, " is narrower"));
}

void CheckPatterns(lysc_pattern* const* released, lysc_pattern* const* current, Reasons* reasons) {
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(current, i) {
    bool known = false;
    LY_ARRAY_COUNT_TYPE j = 0;
    LY_ARRAY_FOR(released, j) {
      known = known || (std::strcmp(released[j]->expr, current[i]->expr) == 0 &&
                        released[j]->inverted == current[i]->inverted);
    }
    if (!known) reasons->push_back(absl::StrCat("the pattern ", current[i]->expr, " is new"));
  }
}

void CheckItems(const lysc_type_bitenum_item* released, const lysc_type_bitenum_item* current,
                Reasons* reasons) {
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(released, i) {
    const lysc_type_bitenum_item* found = nullptr;
    LY_ARRAY_COUNT_TYPE j = 0;
    LY_ARRAY_FOR(current, j) {
      if (std::strcmp(released[i].name, current[j].name) == 0) found = &current[j];
    }
    if (found == nullptr) {
      reasons->push_back(absl::StrCat("the value ", released[i].name, " is gone"));
    } else if (found->value != released[i].value) {
      reasons->push_back(absl::StrCat("the value ", released[i].name, " has another number"));
    }
  }
}

std::vector<std::string> BasesOf(const lysc_type* type) {
  std::vector<std::string> bases;
  const auto* reference = reinterpret_cast<const lysc_type_identityref*>(type);
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(reference->bases, i) {
    bases.push_back(
        absl::StrCat(reference->bases[i]->module->name, ":", reference->bases[i]->name));
  }
  std::sort(bases.begin(), bases.end());
  return bases;
}

void CheckUnion(const lysc_type_union* released, const lysc_type_union* current, Reasons* reasons) {
  if (LY_ARRAY_COUNT(released->types) != LY_ARRAY_COUNT(current->types)) {
    reasons->push_back("the union has other members");
    return;
  }
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(released->types, i) {
    for (std::string& reason : NarrowedTypes(released->types[i], current->types[i])) {
      reasons->push_back(std::move(reason));
    }
  }
}

template <typename T>
const T* As(const lysc_type* type) {
  return reinterpret_cast<const T*>(type);
}

}  // namespace

std::vector<std::string> NarrowedTypes(const lysc_type* released, const lysc_type* current) {
  Reasons reasons;
  if (released->basetype != current->basetype) return {"the type is another one"};
  switch (released->basetype) {
    case LY_TYPE_STRING:
      CheckRange(As<lysc_type_str>(released)->length, As<lysc_type_str>(current)->length, false,
                 "length", &reasons);
      CheckPatterns(As<lysc_type_str>(released)->patterns, As<lysc_type_str>(current)->patterns,
                    &reasons);
      break;
    case LY_TYPE_BINARY:
      CheckRange(As<lysc_type_bin>(released)->length, As<lysc_type_bin>(current)->length, false,
                 "length", &reasons);
      break;
    case LY_TYPE_ENUM:
      CheckItems(As<lysc_type_enum>(released)->enums, As<lysc_type_enum>(current)->enums, &reasons);
      break;
    case LY_TYPE_BITS:
      CheckItems(As<lysc_type_bits>(released)->bits, As<lysc_type_bits>(current)->bits, &reasons);
      break;
    case LY_TYPE_IDENT:
      if (BasesOf(released) != BasesOf(current)) reasons.push_back("the identity has other bases");
      break;
    case LY_TYPE_LEAFREF: {
      const auto* was = As<lysc_type_leafref>(released);
      const auto* is = As<lysc_type_leafref>(current);
      if (std::strcmp(lyxp_get_expr(was->path), lyxp_get_expr(is->path)) != 0) {
        reasons.push_back("the leafref leads elsewhere");
      }
      if (is->require_instance > was->require_instance) {
        reasons.push_back("the leafref requires an instance");
      }
      break;
    }
    case LY_TYPE_INST:
      if (As<lysc_type_instanceid>(current)->require_instance >
          As<lysc_type_instanceid>(released)->require_instance) {
        reasons.push_back("the instance-identifier requires an instance");
      }
      break;
    case LY_TYPE_UNION:
      CheckUnion(As<lysc_type_union>(released), As<lysc_type_union>(current), &reasons);
      break;
    case LY_TYPE_DEC64:
      if (As<lysc_type_dec>(released)->fraction_digits !=
          As<lysc_type_dec>(current)->fraction_digits) {
        reasons.push_back("the fraction-digits changed");
      }
      CheckRange(As<lysc_type_dec>(released)->range, As<lysc_type_dec>(current)->range, true,
                 "range", &reasons);
      break;
    case LY_TYPE_BOOL:
    case LY_TYPE_EMPTY:
    case LY_TYPE_UNKNOWN:
      break;
    default:
      CheckRange(As<lysc_type_num>(released)->range, As<lysc_type_num>(current)->range,
                 released->basetype > LY_TYPE_DEC64, "range", &reasons);
      break;
  }
  return reasons;
}

}  // namespace portolan::yang
