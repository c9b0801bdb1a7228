#include "services/base/yang/deny.h"

#include <libyang/libyang.h>

#include "absl/strings/string_view.h"

namespace portolan::yang {

// libyang hands the statements down to descendants when it compiles them.
Deny DenyOf(const lysc_node* schema) {
  LY_ARRAY_COUNT_TYPE i = 0;
  LY_ARRAY_FOR(schema->exts, i) {
    const lysc_ext* extension = schema->exts[i].def;
    if (absl::string_view(extension->module->name) != "ietf-netconf-acm") continue;
    const absl::string_view name = extension->name;
    if (name == "default-deny-all") return Deny::kAll;
    if (name == "default-deny-write") return Deny::kWrite;
  }
  return Deny::kNothing;
}

}  // namespace portolan::yang
